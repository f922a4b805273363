import { chown, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import pg from "pg";
import { temporaryDirectory } from "../support/places.ts";
import { freePort } from "../support/ports.ts";
import { WaitError, waitFor } from "../support/wait.ts";

/** A PostgreSQL cluster of a run's own, with one database. */
export interface Cluster {
  readonly url: string;
  readonly port: number;
  /** Runs a statement, again for as long as the server is away. */
  query(text: string, values?: unknown[]): Promise<Record<string, unknown>[]>;
  /** Ends connections to the database at random, as a failing network would. Returns how many; 0 while it is away. */
  terminate(most: number): Promise<number>;
  /** Ends the server without a checkpoint, and starts it again: it recovers from its log. */
  crash(): Promise<void>;
  stop(): Promise<void>;
}

const PROGRAMS = "/usr/lib/postgresql";

/** How much of the server's log is told when it does not start, characters. */
const LOG_LENGTH = 1_000;

/** How long the server may be away, milliseconds. */
const AWAY_MS = 30_000;

/** Makes a cluster in a temporary folder and starts it on a free port of loopback. */
export async function startCluster(): Promise<Cluster> {
  const [version = ""] = (await readdir(PROGRAMS)).toSorted((one, other) => Number(other) - Number(one));
  const folder = await temporaryDirectory();
  const user = await serverUser();
  if (user) await chown(folder, user.uid, user.gid);
  const run = (program: string, ...args: string[]) =>
    execa(join(PROGRAMS, version, "bin", program), args, { ...user, cwd: folder, stdio: ["ignore", "ignore", "pipe"] });
  const data = join(folder, "data");
  await run("initdb", "--auth", "trust", "--username", "postgres", "--no-sync", "--pgdata", data);
  const port = await freePort();
  // What a server without `fsync` loses when the machine stops is kept when only its processes are killed.
  const options = `-p ${port} -k ${folder} -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=60`;
  const log = join(folder, "log");
  const start = async () => {
    try {
      await run("pg_ctl", "start", "--wait", "--silent", "--pgdata", data, "--log", log, "--options", options);
    } catch {
      throw new WaitError(`PostgreSQL did not start: ${(await readFile(log, "utf8")).slice(-LOG_LENGTH)}`);
    }
  };
  const stop = () => run("pg_ctl", "stop", "--wait", "--silent", "--pgdata", data, "--mode", "immediate");
  await start();

  const pool = new pg.Pool({ connectionString: urlOf(port, "postgres"), max: 2 });
  // The server is killed under the pool.
  pool.on("error", () => {});
  await pool.query("create database chaos");
  const own = new pg.Pool({ connectionString: urlOf(port, "chaos"), max: 2 });
  own.on("error", () => {});
  const query: Cluster["query"] = (text, values = []) =>
    waitFor(async () => (await own.query(text, values).catch(ignoreAbsence))?.rows, AWAY_MS, "the server");
  return {
    url: urlOf(port, "chaos"),
    port,
    query,
    async terminate(most) {
      const chosen = "select pid from pg_stat_activity where datname = 'chaos' order by random() limit $1";
      const ended = pool.query(`select pg_terminate_backend(pid) from (${chosen}) as chosen`, [most]);
      return (await ended.catch(ignoreAbsence))?.rowCount ?? 0;
    },
    async crash() {
      await stop();
      await start();
    },
    async stop() {
      await Promise.all([pool.end(), own.end()]);
      await stop();
    },
  };
}

function urlOf(port: number, database: string): string {
  return `postgresql://postgres@127.0.0.1:${port}/${database}`;
}

/** Returns nothing for an error that says that the server is away, or that the connection was lost; throws any other. */
function ignoreAbsence(error: Error & { code?: string }): undefined {
  if (error.code === undefined || /^(ECONN|57P|08)/.test(error.code)) return undefined;
  throw error;
}

/** The user whom the server runs as, since it refuses to run as root; `null` for this one. */
async function serverUser(): Promise<{ uid: number; gid: number } | null> {
  if (process.getuid?.() !== 0) return null;
  const [uid, gid] = await Promise.all(
    ["-u", "-g"].map(async (flag) => Number((await execa("id", [flag, "postgres"])).stdout)),
  );
  return { uid: uid ?? 0, gid: gid ?? 0 };
}
