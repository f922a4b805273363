import { randomBytes } from "node:crypto";
import pg from "pg";
import { TIMEOUTS } from "../../src/backend/database/postgres.ts";
import { type RunningCli, type RunOptions, type RunResult, runCli, startCli } from "./cli.ts";
import { environmentFor } from "./sandbox.ts";
import { WaitError, waitFor } from "./wait.ts";

/** The server of the tests on PostgreSQL; `undefined` without one. */
export const POSTGRES: string | undefined = process.env.TEST_DATABASE_URL;

/** An empty database of a test. */
export interface TestDatabase {
  readonly url: string;
  query(text: string, values?: unknown[]): Promise<Record<string, unknown>[]>;
  drop(): Promise<void>;
}

/**
 * Creates an empty database, or a copy of one that nobody is connected to.
 *
 * @param original the database to copy; the connections of the test itself are ended
 */
export async function createDatabase(original?: Pick<TestDatabase, "url">): Promise<TestDatabase> {
  const name = `test_${randomBytes(6).toString("hex")}`;
  if (original) {
    const source = new URL(original.url).pathname.slice(1);
    await onServer(`select pg_terminate_backend(pid) from pg_stat_activity where datname = '${source}'`);
    await onServer(`create database ${name} template ${source}`);
  } else {
    await onServer(`create database ${name}`);
  }
  const url = new URL(POSTGRES ?? "");
  url.pathname = `/${name}`;
  const pool = new pg.Pool({ connectionString: url.href, max: 2 });
  // Dropping the database may cut a connection that is being closed.
  pool.on("error", () => {});
  return {
    url: url.href,
    query: async (text, values = []) => (await pool.query(text, values)).rows,
    async drop() {
      await pool.end();
      await onServer(`drop database ${name} with (force)`);
    },
  };
}

/** Sets the time-outs of a database's connections, as an operator does who runs PgBouncer. */
export async function setTimeouts({ url, query }: TestDatabase): Promise<void> {
  const name = new URL(url).pathname.slice(1);
  for (const [timeout, ms] of Object.entries(TIMEOUTS)) await query(`alter database ${name} set ${timeout} = ${ms}`);
}

async function onServer(statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: POSTGRES });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

/** The line that a service prints once it listens. */
interface ServiceReady {
  readonly url: string;
  readonly instance: string;
  readonly pid: number;
}

/** An instance of the service in a process of its own. */
export interface RunningService {
  readonly ready: ServiceReady;
  readonly process: RunningCli;
  /** Runs the CLI against it with an organization's token. */
  cli(organizationId: number, args: readonly string[], options?: RunOptions): Promise<RunResult>;
}

/** The secrets of all instances. */
const SECRETS_KEY = Buffer.alloc(32, 7).toString("base64");

/** The environment of the service and its commands. */
export function serviceEnvironment(database: Pick<TestDatabase, "url">): Record<string, string> {
  return {
    SECUREFLAG_DATABASE_URL: database.url,
    SECUREFLAG_PUBLIC_URL: "http://127.0.0.1:0",
    SECUREFLAG_SECRETS_KEY: SECRETS_KEY,
  };
}

/**
 * Starts the built program's service on a free port, with test cards, and waits until it listens.
 *
 * @param env added to its environment
 * @param timeout how long it may run, milliseconds
 */
export async function startService(
  database: Pick<TestDatabase, "url">,
  args: readonly string[] = [],
  { env, timeout = 120_000, executable }: Pick<RunOptions, "env" | "timeout" | "executable"> = {},
): Promise<RunningService> {
  const process = await startCli(
    ["serve", "--payments", "sandbox", "--test-mode", "--port", "0", "--json", "--drain-seconds", "0", ...args],
    { env: { ...serviceEnvironment(database), ...env }, timeout, ...(executable && { executable }) },
  );
  let end: RunResult | undefined;
  void process.ended.then((result) => {
    end = result;
  });
  const line = await waitFor(
    () => {
      if (end) throw new WaitError(`The service ended with ${end.exitCode}: ${end.stderr}`);
      return process.printed().includes("\n") && process.printed();
    },
    20_000,
    () => `the service to listen: ${process.noted()}`,
  );
  const ready = JSON.parse(line) as ServiceReady;
  return {
    ready,
    process,
    cli(organizationId, words, options = {}) {
      return runCli(words, { ...options, env: { ...environmentFor(ready.url, organizationId), ...options.env } });
    },
  };
}
