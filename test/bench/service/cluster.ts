import { spawn } from "node:child_process";
import { chown, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import pg from "pg";
import { temporaryDirectory } from "../../support/places.ts";
import { freePort } from "../../support/ports.ts";
import { waitFor } from "../../support/wait.ts";

/** A PostgreSQL server of the run's own, with the settings it has out of the box. */
export interface Cluster {
  readonly pid: number;
  urlOf(database: string): string;
  /** Runs statements in a database. */
  query(database: string, text: string): Promise<Record<string, unknown>[]>;
  /** Runs a program of PostgreSQL, such as `pgbench`, and returns its stdout. */
  run(program: string, args: readonly string[]): Promise<string>;
  stop(): Promise<void>;
}

/** Where PostgreSQL's programs are that are not in the `PATH`. */
const DEBIAN = "/usr/lib/postgresql";

/** Starts a server in a new directory. It never runs as root, which it refuses. */
export async function startCluster(): Promise<Cluster> {
  const bin = await programs();
  const directory = await temporaryDirectory();
  const user = await serverUser();
  if (user) await chown(directory, user.uid, user.gid);
  const data = join(directory, "data");
  const options = { cwd: directory, ...user };
  await execa(join(bin, "initdb"), ["-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale", "C", data], options);
  const port = await freePort();
  const args = ["-D", data, "-p", String(port), "-k", directory, "-c", "listen_addresses=127.0.0.1"];
  const server = spawn(join(bin, "postgres"), args, { ...options, stdio: "ignore" });
  const ended = new Promise<void>((resolve) => server.once("exit", () => resolve()));
  const urlOf = (database: string) => `postgresql://postgres@127.0.0.1:${port}/${database}`;
  const query = async (database: string, text: string) => {
    const client = new pg.Client({ connectionString: urlOf(database) });
    await client.connect();
    try {
      return ((await client.query(text)) as pg.QueryResult<Record<string, unknown>>).rows;
    } finally {
      await client.end();
    }
  };
  await waitFor(() => query("postgres", "select 1").catch(() => undefined), 20_000, "PostgreSQL to start");
  return {
    pid: server.pid ?? 0,
    urlOf,
    query,
    run: async (program, given) => {
      const place = ["-h", "127.0.0.1", "-p", String(port), "-U", "postgres"];
      return (await execa(join(bin, program), [...place, ...given])).stdout;
    },
    async stop() {
      server.kill("SIGINT");
      await ended;
    },
  };
}

/** The directory of the newest PostgreSQL; empty to look in the `PATH`. */
async function programs(): Promise<string> {
  const versions = await readdir(DEBIAN).catch(() => []);
  const newest = versions.toSorted((one, other) => Number(one) - Number(other)).at(-1);
  return newest === undefined ? "" : join(DEBIAN, newest, "bin");
}

async function serverUser(): Promise<{ uid: number; gid: number } | null> {
  if (process.getuid?.() !== 0) return null;
  const idOf = async (flag: string) => Number((await execa("id", [flag, "postgres"])).stdout);
  return { uid: await idOf("-u"), gid: await idOf("-g") };
}

/** Linux counts the time of a process in hundredths of a second. */
const TICKS_PER_SECOND = 100;

/** Seconds of the processor that a process has taken so far, and its children, living and ended; Linux only. */
export async function cpuSeconds(pid: number): Promise<number> {
  const all = await Promise.all((await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(statOf));
  const found = all.filter((stat) => stat !== null && (stat.pid === pid || stat.parent === pid));
  return found.reduce((sum, stat) => sum + (stat?.ticks ?? 0), 0) / TICKS_PER_SECOND;
}

async function statOf(pid: string): Promise<{ pid: number; parent: number; ticks: number } | null> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => null);
  if (text === null) return null;
  // After the name, which may contain anything: the state, the parent, and from the 12th on the four times (proc(5)).
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  return { pid: Number(pid), parent: Number(fields[1]), ticks };
}
