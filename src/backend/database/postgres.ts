import { setTimeout as delay } from "node:timers/promises";
import { Kysely, PostgresDialect, type PostgresPoolClient } from "kysely";
import pLimit from "p-limit";
import pg from "pg";
import type { Database } from "./schema.ts";
import { isStalePlan, type StatementNames, statementNames } from "./statementNames.ts";
import { isConnectionFailure, isSerializationFailure } from "./storageFailure.ts";
import { MAX_TRIES, retryPause } from "./transaction.ts";

const INT8 = 20;

/** Parses a `bigint`, which arrives as text. All of ours are safe integers. */
function parseBigint(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError(`${text} does not fit a safe integer`);
  return value;
}

/** How to connect to PostgreSQL. */
export interface PostgresOptions {
  /** The most connections at a time; 10 if left out. */
  readonly connections?: number;
  /** PEM certificates of the authorities to trust instead of the system's; the server's certificate is then verified. */
  readonly ca?: string | null;
  /** Whether the server's certificate has to be valid; `false` connects without TLS. The URL decides if left out. */
  readonly isTlsRequired?: boolean;
  /** Whether a PgBouncer in transaction mode is in between: no named statements, and time-outs are settings of the role. */
  readonly isPgbouncer?: boolean;
  /** How long to wait for a connection, milliseconds; 2 seconds if left out. */
  readonly acquireMs?: number;
  /** How long to wait for the answer to a statement, milliseconds; 7 seconds if left out, `null` without a limit. */
  readonly answerMs?: number | null;
  /** Session parameters, such as `search_path`, for tests. */
  readonly parameters?: Readonly<Record<string, string>>;
  /** Called for an idle connection that broke; the pool replaces it. */
  onPoolError?(error: Error): void;
  /** Called when a connection is asked for; what it returns is called once there is one, or none in time. */
  onAcquire?(): () => void;
  /** Called before a statement or transaction is repeated after a conflict, with its SQLSTATE. */
  onRetry?(code: string): void;
  /** Called with each statement that is sent. */
  onStatement?(text: string): void;
}

/** A store on PostgreSQL, and what its pool is doing. */
export interface PostgresStore {
  readonly database: Kysely<Database>;
  /** The same for work in the background, which has a quarter of the connections at most: requests do not wait for it. */
  readonly background: Kysely<Database>;
  /** The connections, those that are idle, and how many callers wait for one. */
  pool(): { total: number; idle: number; waiting: number };
}

/** How long the database waits, in milliseconds, by the names of its settings. */
export const TIMEOUTS = { statement_timeout: 5_000, lock_timeout: 2_000, idle_in_transaction_session_timeout: 10_000 };

/** A prepared statement is planned once for each connection: ours find rows by keys, whatever the values. */
const PLANNING = { plan_cache_mode: "force_generic_plan" };

/** How long to wait for a connection, milliseconds. */
const ACQUIRE_MS = 2_000;

/** How long to wait for an answer, a little more than a statement may take, milliseconds. */
const ANSWER_MS = 7_000;

const KEEP_ALIVE_MS = 10_000;

const CONNECTION_LIFE_S = 1_800;

const CONNECTION_IDLE_MS = 300_000;

/**
 * Opens the store on PostgreSQL.
 *
 * @param connectionString `postgresql://user@host:port/database`
 */
export function openPostgres(connectionString: string, options: PostgresOptions = {}): PostgresStore {
  const { parameters = {}, connections = 10 } = options;
  const startup = Object.entries({ ...(!options.isPgbouncer && PLANNING), ...parameters }).map(
    ([name, value]) => `-c ${name}=${value}`,
  );
  const pool = new pg.Pool({
    connectionString,
    max: connections,
    connectionTimeoutMillis: options.acquireMs ?? ACQUIRE_MS,
    maxLifetimeSeconds: CONNECTION_LIFE_S,
    // A new connection plans every statement anew, in the middle of the load that needs it.
    idleTimeoutMillis: CONNECTION_IDLE_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
    // The server's limit does not help if the network swallows what either side sends.
    ...(options.answerMs !== null && { query_timeout: options.answerMs ?? ANSWER_MS }),
    ...(!options.isPgbouncer && TIMEOUTS),
    ...(startup.length > 0 && { options: startup.join(" ") }),
    ...(options.isTlsRequired !== undefined && {
      ssl: options.isTlsRequired && { rejectUnauthorized: true, ...(options.ca && { ca: options.ca }) },
    }),
    types: {
      getTypeParser: ((oid: number, format: "text" | "binary") =>
        oid === INT8 && format !== "binary"
          ? parseBigint
          : pg.types.getTypeParser(oid, format)) as typeof pg.types.getTypeParser,
    },
  });
  pool.on("error", (error) => options.onPoolError?.(error));
  const lost = new WeakSet<pg.PoolClient>();
  // Without a listener, a connection that is lost while the pool hands it over, or between two statements, would end the process.
  pool.on("connect", (client) => client.on("error", () => lost.add(client)));
  const statements = statementNames(options.isPgbouncer ?? false);
  const storeOf = (connectOnce: Connecting) =>
    new Kysely<Database>({
      dialect: new PostgresDialect({
        pool: {
          connect: async () => (await connectOnce()) as unknown as PostgresPoolClient,
          end: () => pool.end(),
        },
      }),
    });
  const connectNow: Connecting = async (onRelease) =>
    new Connection(await connect(pool, options), lost, options, statements, onRelease);
  return {
    database: storeOf(connectNow),
    background: storeOf(inTurn(connectNow, Math.max(1, Math.floor(connections * BACKGROUND_SHARE)))),
    pool: () => ({ total: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount }),
  };
}

/** The share of the connections that work in the background has. */
const BACKGROUND_SHARE = 1 / 4;

/** Takes a connection of the pool; `onRelease` is called once it is given back. */
type Connecting = (onRelease?: () => void) => Promise<Connection>;

/** Returns what takes a number of connections at most, and lets further callers wait until one is given back. */
function inTurn(connectOnce: Connecting, most: number): Connecting {
  const turn = pLimit(most);
  return () =>
    new Promise((resolve, reject) => {
      void turn(
        () =>
          new Promise<void>((release) => {
            connectOnce(release).then(resolve, (error) => {
              release();
              reject(error);
            });
          }),
      );
    });
}

/** Opens the store on PostgreSQL; see `openPostgres`. */
export function postgresStore(connectionString: string, options: PostgresOptions = {}): Kysely<Database> {
  return openPostgres(connectionString, options).database;
}

async function connect(pool: pg.Pool, options: PostgresOptions): Promise<pg.PoolClient> {
  const acquired = options.onAcquire?.();
  try {
    return await pool.connect();
  } catch (error) {
    throw withCode(error);
  } finally {
    acquired?.();
  }
}

/** The SQLSTATE of a connection failure. */
const CONNECTION_FAILURE = "08006";

/** What the driver says, without a code, of a connection that is lost, silent, or not to be had in time. */
const DRIVER_FAILURE = /timeout|terminated|not queryable|closed the connection|after calling end/i;

/** Gives the driver's errors about its connection, which have no code, the one of a connection failure. */
function withCode(error: unknown): unknown {
  if (error instanceof Error && !("code" in error) && DRIVER_FAILURE.test(error.message)) {
    Object.assign(error, { code: CONNECTION_FAILURE });
  }
  return error;
}

/**
 * A connection of the pool. Statements outside of a transaction are repeated after a conflict, which is possible on any
 * isolation level above READ COMMITTED; `inTransaction` repeats transactions.
 */
class Connection {
  private isInTransaction = false;

  constructor(
    private readonly client: pg.PoolClient,
    /** The connections that were lost. */
    private readonly lost: WeakSet<pg.PoolClient>,
    private readonly options: PostgresOptions,
    private readonly statements: StatementNames,
    private readonly onRelease: (() => void) | undefined,
  ) {}

  private get isBroken(): boolean {
    return this.lost.has(this.client);
  }

  release(): void {
    this.client.release(this.isBroken);
    this.onRelease?.();
  }

  async query(text: string, values: readonly unknown[]): Promise<pg.QueryResult> {
    // The server has already rolled back, and another error would hide the one that is reported.
    if (text === "rollback" && this.isBroken) return { rows: [], command: "ROLLBACK", rowCount: 0, oid: 0, fields: [] };
    for (let tries = 1; ; tries += 1) {
      const name = this.statements.of(text, values);
      try {
        this.options.onStatement?.(text);
        const result = await this.client.query({ text, values: [...values], ...(name !== null && { name }) });
        this.follow(text);
        return result;
      } catch (error) {
        if (name !== null && isStalePlan(error)) this.statements.forget(name, error);
        if (isConnectionFailure(withCode(error))) this.lost.add(this.client);
        if (!isSerializationFailure(error) || (tries >= MAX_TRIES && !this.isInTransaction)) throw error;
        this.options.onRetry?.(error.code);
        if (this.isInTransaction) throw error;
        await delay(retryPause());
      }
    }
  }

  private follow(text: string): void {
    if (/^(begin|start transaction)/.test(text)) this.isInTransaction = true;
    else if (text === "commit" || text === "rollback") this.isInTransaction = false;
  }
}
