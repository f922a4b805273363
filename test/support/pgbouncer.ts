import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isInstalled } from "./installed.ts";
import { freePort } from "./ports.ts";
import { WaitError, waitFor } from "./wait.ts";

const PROGRAM = "pgbouncer";

/** Whether PgBouncer is installed. */
export const HAS_PGBOUNCER = isInstalled(PROGRAM);

/** Fewer connections to the server than a pool has clients, so that transactions of a client change between them. */
const SERVER_CONNECTIONS = 4;

/** The user and group `nobody`: PgBouncer refuses to run as root. */
const NOBODY = 65_534;

const START_MS = 10_000;

/** A PgBouncer in transaction mode, in front of all databases of a server. */
export interface RunningPgbouncer {
  /** The URL of a database through it. */
  urlOf(databaseUrl: string): string;
  stop(): Promise<void>;
}

/** Starts PgBouncer on a free port of loopback. */
export async function startPgbouncer(serverUrl: string): Promise<RunningPgbouncer> {
  const folder = await mkdtemp(join(tmpdir(), "secureflag-licenses-pgbouncer-"));
  await chmod(folder, 0o755);
  const port = await freePort();
  const config = join(folder, "pgbouncer.ini");
  const { username, password, hostname, port: serverPort } = new URL(serverUrl);
  const users = `"${decodeURIComponent(username)}" "${decodeURIComponent(password)}"\n`;
  await writeFile(join(folder, "users.txt"), users, { mode: 0o644 });
  await writeFile(
    config,
    [
      "[databases]",
      `* = host=${hostname} port=${serverPort || 5432}`,
      "[pgbouncer]",
      "listen_addr = 127.0.0.1",
      `listen_port = ${port}`,
      "unix_socket_dir =",
      "auth_type = trust",
      `auth_file = ${join(folder, "users.txt")}`,
      "pool_mode = transaction",
      `default_pool_size = ${SERVER_CONNECTIONS}`,
      "max_client_conn = 1000",
      "",
    ].join("\n"),
    { mode: 0o644 },
  );
  const program = spawn(PROGRAM, [config], {
    stdio: ["ignore", "ignore", "pipe"],
    ...(process.getuid?.() === 0 && { uid: NOBODY, gid: NOBODY }),
  });
  const stop = async () => {
    await end(program);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await listening(program);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    urlOf(databaseUrl) {
      const url = new URL(databaseUrl);
      url.host = `127.0.0.1:${port}`;
      return url.href;
    },
    stop,
  };
}

async function listening(program: ChildProcess): Promise<void> {
  let log = "";
  program.stderr?.setEncoding("utf8").on("data", (text: string) => {
    log += text;
  });
  await waitFor(
    () => {
      if (program.exitCode !== null) throw new WaitError(`PgBouncer ended with ${program.exitCode}: ${log}`);
      return log.includes("process up");
    },
    START_MS,
    () => `PgBouncer: ${log}`,
  );
}

async function end(program: ChildProcess): Promise<void> {
  if (program.exitCode !== null || program.signalCode !== null) return;
  const ended = once(program, "exit");
  // PgBouncer stops at once at SIGTERM.
  program.kill("SIGTERM");
  await ended;
}

/** Starts the PgBouncer of a run with `TEST_PGBOUNCER` before the tests, and stops it after them. */
export default async function setup(): Promise<(() => Promise<void>) | undefined> {
  const { TEST_PGBOUNCER, TEST_DATABASE_URL } = process.env;
  if (!TEST_PGBOUNCER || !TEST_DATABASE_URL) return undefined;
  const pgbouncer = await startPgbouncer(TEST_DATABASE_URL);
  process.env.TEST_PGBOUNCER_URL = pgbouncer.urlOf(TEST_DATABASE_URL);
  return () => pgbouncer.stop();
}
