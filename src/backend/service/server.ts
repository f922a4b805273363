import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { FastifyInstance } from "fastify";
import { BASE_PATH } from "../../contract/constants.ts";
import { buildApp } from "../app.ts";
import type { PostgresStore } from "../database/postgres.ts";
import type { UserRow } from "../database/schema.ts";
import type { BackendDeps, Notifier } from "../deps.ts";
import { listenFailure } from "../http/server.ts";
import { passwords } from "../identity/secrets.ts";
import { registerSetupPage } from "../pages/setupPage.ts";
import { testGateway } from "../payments/testGateway.ts";
import { startSweeping } from "../sweep.ts";
import { type DatabaseClock, startDatabaseClock } from "./clock.ts";
import type { ServiceSettings } from "./settings.ts";
import { assertSchema, databaseFailure, openStore } from "./store.ts";

/** What a service takes from its machine. */
export interface ServiceDeps {
  /** The machine's clock, milliseconds; `monotonic` never goes back. */
  now(): number;
  monotonic(): number;
  random(bytes: number): Buffer;
  readonly pid: number;
  reach(point: string): void;
  /** Writes a line of the log. */
  log(line: string): void;
  readonly version: string;
}

/** A service that is listening. */
export interface RunningService {
  /** The values of the ready line. */
  readonly ready: { readonly url: string; readonly instance: string; readonly pid: number };
  /**
   * Ends it within 25 seconds: it is no longer ready, goes on for the time to drain, takes no new connections, and answers
   * the requests that it has.
   */
  close(): Promise<void>;
}

/**
 * Starts an instance of the service.
 *
 * @throws BackendError `database_unreachable`, `schema_mismatch`, `port_in_use`
 */
export async function startService(settings: ServiceSettings, deps: ServiceDeps): Promise<RunningService> {
  const instance = `ins_${deps.random(6).toString("hex")}`;
  const log = (message: string) => {
    deps.log(JSON.stringify({ time: new Date(deps.now()).toISOString(), instance, message }));
  };
  const store = openStore(settings.database, settings.connections, log);
  let clock: DatabaseClock | null = null;
  try {
    await assertSchema(store.database);
    clock = await startDatabaseClock(store.database, { ...deps, log });
    return await run({ settings, store, clock, instance, deps: { ...deps, log } });
  } catch (error) {
    clock?.stop();
    await store.database.destroy();
    throw databaseFailure(error);
  }
}

interface Running {
  readonly settings: ServiceSettings;
  readonly store: PostgresStore;
  readonly clock: DatabaseClock;
  readonly instance: string;
  readonly deps: ServiceDeps;
}

async function run(running: Running): Promise<RunningService> {
  const { settings, store, clock, instance, deps } = running;
  let isDraining = false;
  const publicUrl = new URL(settings.publicUrl);
  const backend = backendOf(running, () => publicUrl.origin);
  const app = buildService(backend, running, () => isDraining);
  const url = await listen(app, settings);
  if (publicUrl.port === "0") publicUrl.port = url.port;
  const stopSweeping = settings.roles.includes("jobs") ? startSweeping(backend) : async () => {};
  return {
    ready: { url: `${url.origin}${BASE_PATH}`, instance, pid: deps.pid },
    async close() {
      isDraining = true;
      await delay(settings.drainSeconds * 1_000);
      await endWithin(app, stopSweeping(), MAX_CLOSING_MS - settings.drainSeconds * 1_000);
      clock.stop();
      await store.database.destroy();
    },
  };
}

function backendOf({ settings, store, clock, deps }: Running, origin: () => string): BackendDeps {
  const { database } = store;
  const [pageKey = Buffer.alloc(0), ...olderPageKeys] = settings.pageKeys;
  return {
    database,
    gateway: testGateway({ ...deps, database, clock, now: clock.now }),
    notifier: logNotifier(deps.log),
    clock,
    now: clock.now,
    random: deps.random,
    reach: deps.reach,
    log: deps.log,
    // The request's `Host` is whatever the client says.
    pageOrigin: origin,
    pageKey,
    olderPageKeys,
    version: deps.version,
    licenseLimit: settings.licenseLimit,
    renewalGraceDays: settings.graceDays,
  };
}

/** Writes notifications to the log, without the person's email. */
function logNotifier(log: (line: string) => void): Notifier {
  return {
    async deliver({ id, type, organizationId }) {
      log(`notification ${type} ${id} organization ${organizationId}`);
    },
  };
}

/** How long browsers remember to use https, seconds: a year. */
const HSTS_SECONDS = 31_536_000;

function buildService(backend: BackendDeps, { settings, clock, deps }: Running, isDraining: () => boolean) {
  const isApiOff = !settings.roles.includes("http");
  const signIn = { passwords: passwords(deps.random), passwordHashOf: async (user: UserRow) => user.password_hash };
  return buildApp(backend, {
    signIn,
    trustProxy: settings.trustProxy,
    tls: settings.tls,
    isApiOff,
    isReady: async () => !isDraining() && clock.age() < CLOCK_STALE_MS && (await isSchemaKnown(backend)),
    extend(app) {
      if (!isApiOff) registerSetupPage(app, { ...backend, ...signIn });
      app.addHook("onRequest", async (_request, reply) => {
        reply.header("X-Content-Type-Options", "nosniff");
        if (settings.publicUrl.protocol === "https:") {
          reply.header("Strict-Transport-Security", `max-age=${HSTS_SECONDS}`);
        }
      });
    },
  });
}

/** After how many milliseconds a measurement of the clock no longer counts. */
const CLOCK_STALE_MS = 300_000;

/** How long the database may take to answer, milliseconds. */
const READY_MS = 1_000;

/** Whether the database answers in time, with the schema of this version. */
async function isSchemaKnown({ database, log }: Pick<BackendDeps, "database" | "log">): Promise<boolean> {
  const stop = new AbortController();
  const known = assertSchema(database).then(
    () => true,
    (error: unknown) => {
      log(`not ready: ${error}`);
      return false;
    },
  );
  const late = delay(READY_MS, false, { signal: stop.signal }).catch(() => false);
  return Promise.race([known, late]).finally(() => stop.abort());
}

/** Listens, and returns the address: a wildcard is reached through loopback. */
async function listen(
  app: FastifyInstance,
  { host, port, tls }: Pick<ServiceSettings, "host" | "port" | "tls">,
): Promise<URL> {
  try {
    await app.listen({ host, port });
  } catch (error) {
    throw listenFailure(error, port);
  }
  const { address, port: chosen, family } = app.server.address() as AddressInfo;
  const name = { "0.0.0.0": "127.0.0.1", "::": "[::1]" }[address] ?? (family === "IPv6" ? `[${address}]` : address);
  return new URL(`${tls === null ? "http" : "https"}://${name}:${chosen}`);
}

/** How long a service takes to end at most, milliseconds. */
const MAX_CLOSING_MS = 24_000;

/** How often connections are closed that have become idle, milliseconds. */
const IDLE_POLL_MS = 50;

/** Closes the application and waits for its work, but cuts what lasts longer than a time. */
async function endWithin(app: FastifyInstance, work: Promise<void>, milliseconds: number): Promise<void> {
  const stop = new AbortController();
  const closing = Promise.all([app.close(), work]).finally(() => stop.abort());
  // A connection whose last request was answered would stay open until its keep-alive time is over.
  const idle = setInterval(() => app.server.closeIdleConnections(), IDLE_POLL_MS);
  const cut = delay(milliseconds, undefined, { signal: stop.signal }).then(
    () => app.server.closeAllConnections(),
    () => {},
  );
  try {
    await Promise.race([closing, cut]);
  } finally {
    clearInterval(idle);
  }
}
