import { EventEmitter } from "node:events";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { FastifyInstance } from "fastify";
import { BASE_PATH } from "../../contract/constants.ts";
import { buildApp } from "../app.ts";
import { schemaState } from "../database/migrations/index.ts";
import type { PostgresStore } from "../database/postgres.ts";
import type { UserRow } from "../database/schema.ts";
import type { BackendDeps } from "../deps.ts";
import { listenFailure } from "../http/server.ts";
import { secretBox } from "../identity/secretBox.ts";
import { passwords } from "../identity/secrets.ts";
import { registerSetupPage } from "../pages/setupPage.ts";
import { type DatabaseClock, startDatabaseClock } from "./clock.ts";
import { endWithin, giveBackLeases, purchasesAtRest } from "./closing.ts";
import { type Holding, startHolding } from "./holding.ts";
import { serviceHooks } from "./hooks.ts";
import { startJobs } from "./jobs.ts";
import { measureLoopDelay } from "./load.ts";
import { createLog, type Log, lineLog } from "./log.ts";
import { createMetrics, type Metrics, observePurchase, poolObservers } from "./metrics.ts";
import { startMetricsServer } from "./metricsServer.ts";
import { logNotifier, postNotifier } from "./notifier.ts";
import { openGateway } from "./provider.ts";
import { createReadiness } from "./readiness.ts";
import { noteSeller } from "./sellerSetting.ts";
import { pageKeyOf, type ServiceSettings } from "./settings.ts";
import { assertSchema, databaseFailure, openStore } from "./store.ts";
import { storeGauges } from "./storeGauges.ts";
import { observeStripe } from "./stripeCalls.ts";
import { noteProvider } from "./usualProvider.ts";
import { within } from "./within.ts";

/** What a service takes from its machine. */
export interface ServiceDeps {
  /** The machine's clock, milliseconds; `monotonic` never goes back. */
  now(): number;
  monotonic(): number;
  random(bytes: number): Buffer;
  readonly pid: number;
  reach(point: string): void;
  /** Writes a line of the log, which ends with a newline. */
  log(line: string): void;
  readonly version: string;
}

/** Limits for draining and finishing work, then for releasing leases, then for cleaning up, milliseconds. */
const [MAX_CLOSING_MS, MAX_GIVING_BACK_MS, MAX_CLEANING_MS] = [23_500, 500, 500];

/** A service that is listening. */
export interface RunningService {
  /** The values of the ready line. */
  readonly ready: { readonly url: string; readonly instance: string; readonly pid: number };
  /**
   * Ends it within 25 seconds: it is no longer ready, keeps serving while it drains, accepts no new connections, and
   * answers the requests that it has. Work that is not finished by then is left to other instances.
   *
   * @returns whether all work was finished
   */
  close(): Promise<boolean>;
}

/** What an instance is made of. */
interface Instance {
  readonly name: string;
  readonly settings: ServiceSettings;
  readonly deps: ServiceDeps;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly store: PostgresStore;
  readonly clock: DatabaseClock;
  readonly holding: Holding;
  /** Stops whatever was started so far, in reverse order. */
  readonly cleanUps: (() => unknown)[];
}

/**
 * Starts an instance of the service.
 *
 * @throws BackendError `database_unreachable`, `schema_mismatch`, `port_in_use`
 */
export async function startService(settings: ServiceSettings, deps: ServiceDeps): Promise<RunningService> {
  const name = `ins_${deps.random(6).toString("hex")}`;
  const log = createLog({ level: settings.logLevel, instance: name, now: deps.now, write: deps.log });
  const metrics = createMetrics();
  const store = openStore(settings.database, settings.connections, lineLog(log), poolObservers(metrics));
  const cleanUps: Instance["cleanUps"] = [() => store.database.destroy()];
  try {
    await assertSchema(store.database);
    await noteProvider(store.database, settings.payments.provider);
    await noteSeller(store.database, settings.seller);
    const clock = await startDatabaseClock(store.database, { ...deps, log: lineLog(log) });
    cleanUps.push(clock.stop);
    const holding = await startHolding(store.database, { now: clock.now, log: lineLog(log) });
    cleanUps.push(holding.stop);
    return await run({ name, settings, deps, log, metrics, store, clock, holding, cleanUps });
  } catch (error) {
    await cleanUp(cleanUps);
    throw databaseFailure(error);
  }
}

async function cleanUp(cleanUps: Instance["cleanUps"]): Promise<void> {
  for (const stop of cleanUps.splice(0).reverse()) await stop();
}

async function run(instance: Instance): Promise<RunningService> {
  const { name, settings, deps, cleanUps } = instance;
  let isDraining = false;
  const publicUrl = new URL(settings.publicUrl);
  const backend = await backendOf(instance, () => publicUrl.origin);
  const hooks = { addHooks: await observe(backend, instance), addWebhooks: await webhooksOf(backend, instance) };
  const app = buildService(backend, instance, { ...hooks, isDraining: () => isDraining });
  const url = await listen(app, settings);
  if (publicUrl.port === "0") publicUrl.port = url.port;
  const stopJobs = settings.roles.includes("jobs") ? startJobs(backend, instance) : async () => {};
  return {
    ready: { url: `${url.origin}${BASE_PATH}`, instance: name, pid: deps.pid },
    async close() {
      isDraining = true;
      await delay(settings.drainSeconds * 1_000);
      const work = Promise.all([stopJobs(), purchasesAtRest(backend)]);
      const isOver = await endWithin(app, work, {
        milliseconds: MAX_CLOSING_MS - settings.drainSeconds * 1_000,
        monotonic: deps.monotonic,
      });
      if (!isOver) await within(MAX_GIVING_BACK_MS, () => giveBackLeases(backend));
      const isClean = await within(MAX_CLEANING_MS, () => cleanUp(cleanUps).then(() => true));
      return isOver && isClean === true;
    },
  };
}

async function backendOf(
  { settings, store, clock, holding, deps, log, metrics }: Instance,
  origin: () => string,
): Promise<BackendDeps> {
  const [pageKey = Buffer.alloc(0), ...olderPageKeys] = settings.masterKeys.map(pageKeyOf);
  return {
    database: store.database,
    gateway: await openGateway(settings.payments, {
      ...deps,
      database: store.database,
      clock,
      now: clock.now,
      observeCall: observeStripe(metrics, log, deps.monotonic),
      fallbackSeller: settings.publicUrl.host,
    }),
    seller: settings.seller,
    notifier: settings.notify ? postNotifier(store.database, settings.notify, clock.now) : logNotifier(log),
    clock,
    now: clock.now,
    random: deps.random,
    reach: deps.reach,
    changes: new EventEmitter(),
    log: lineLog(log),
    leases: new Set(),
    isHeld: holding.isHeld,
    observe: (settled) => observePurchase(metrics, settled),
    // The request's `Host` is whatever the client says.
    pageOrigin: origin,
    pageKey,
    olderPageKeys,
    secrets: secretBox(settings.masterKeys, deps.random),
    issuersAt: settings.hasPrivateIssuers ? "private" : "public",
    version: deps.version,
    licenseLimit: settings.licenseLimit,
    renewalGraceDays: settings.graceDays,
  };
}

/** Returns what registers the provider's webhook. Stripe's client is loaded only where it is needed. */
async function webhooksOf(
  backend: BackendDeps,
  { settings: { payments }, metrics }: Instance,
): Promise<(app: FastifyInstance) => void> {
  if (payments.provider !== "stripe") return () => {};
  const { registerWebhooks } = await import("./webhooks.ts");
  return (app) => registerWebhooks(app, { ...backend, metrics, secrets: payments.webhookSecrets });
}

/** How long browsers remember to use https, seconds: a year. */
const HSTS_SECONDS = 31_536_000;

function buildService(
  backend: BackendDeps,
  { settings, deps, clock }: Instance,
  {
    addHooks,
    addWebhooks,
    isDraining,
  }: { addHooks(app: FastifyInstance): void; addWebhooks(app: FastifyInstance): void; isDraining(): boolean },
): FastifyInstance {
  const isApiOff = !settings.roles.includes("http");
  const signIn = { passwords: passwords(deps.random), passwordHashOf: async (user: UserRow) => user.password_hash };
  return buildApp(backend, {
    signIn,
    trustProxy: settings.trustProxy,
    tls: settings.tls,
    isApiOff,
    isReady: createReadiness(backend, {
      isDraining,
      clockAge: clock.age,
      isSchemaKnown: () => isSchemaKnown(backend),
    }),
    addHooks(app) {
      app.addHook("onRequest", async (_request, reply) => {
        // Clients that keep connections open move to other instances before this one closes them.
        if (isDraining()) reply.header("Connection", "close");
        reply.header("X-Content-Type-Options", "nosniff");
        if (settings.publicUrl.protocol === "https:") {
          reply.header("Strict-Transport-Security", `max-age=${HSTS_SECONDS}`);
        }
      });
      addHooks(app);
    },
    extend(app) {
      if (isApiOff) return;
      registerSetupPage(app, { ...backend, ...signIn });
      addWebhooks(app);
    },
  });
}

/** A newer schema is served while instances are replaced: only `serve` at its start refuses it. */
async function isSchemaKnown({ database }: Pick<BackendDeps, "database">): Promise<boolean> {
  const { pending } = await schemaState(database, { dialect: "postgres" });
  return pending.length === 0;
}

/** Starts to measure the load, and returns the hooks that log, count and limit requests. */
async function observe(backend: BackendDeps, instance: Instance): Promise<(app: FastifyInstance) => void> {
  const { settings, store, clock, log, metrics, deps, cleanUps } = instance;
  const loopDelay = measureLoopDelay();
  cleanUps.push(loopDelay.stop);
  if (settings.metricsPort !== null) {
    const sources = {
      pool: store.pool,
      loopDelay: loopDelay.read,
      clockOffset: clock.offset,
      readStore: storeGauges(metrics, backend),
    };
    const { url, close } = await startMetricsServer(metrics, sources, {
      host: settings.host,
      port: settings.metricsPort,
    });
    cleanUps.push(close);
    log({ level: "info", msg: `metrics on port ${new URL(url).port}` });
  }
  return serviceHooks({
    now: deps.now,
    monotonic: deps.monotonic,
    load: () => ({ waiting: store.pool().waiting, loopDelay: loopDelay.read() }),
    connections: settings.connections,
    metrics,
    log,
    limit: settings.limit,
  });
}

/** Listens, and returns the address: a wildcard is reached through loopback. */
async function listen(
  app: FastifyInstance,
  { host, port, tls }: Pick<ServiceSettings, "host" | "port" | "tls">,
): Promise<URL> {
  try {
    await app.listen({ host, port });
  } catch (error) {
    throw listenFailure(error, { host, port });
  }
  const { address, port: chosen, family } = app.server.address() as AddressInfo;
  const name = { "0.0.0.0": "127.0.0.1", "::": "[::1]" }[address] ?? (family === "IPv6" ? `[${address}]` : address);
  return new URL(`${tls === null ? "http" : "https"}://${name}:${chosen}`);
}
