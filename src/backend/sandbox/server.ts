import { EventEmitter, once } from "node:events";
import type { RequestListener, Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Kysely } from "kysely";
import { DEFAULT_LICENSE_LIMIT } from "../../billing/quote.ts";
import { DEFAULT_GRACE_DAYS } from "../../billing/renewal.ts";
import { canBuy } from "../../billing/roles.ts";
import { BASE_PATH } from "../../contract/constants.ts";
import { migrate } from "../database/migrations/index.ts";
import { createSchema } from "../database/migrations/newest.ts";
import type { Database, UserRow } from "../database/schema.ts";
import { preparer, type SqliteConnection, sqliteStore } from "../database/sqlite.ts";
import type { BackendDeps, Notification, Notifier } from "../deps.ts";
import { describeError } from "../errors.ts";
import { createHttpServer, listenFailure } from "../http/server.ts";
import { secretBox } from "../identity/secretBox.ts";
import { passwords } from "../identity/secrets.ts";
import { SANDBOX_SELLER } from "../payments/cards.ts";
import { sandboxGateway } from "../payments/sandboxGateway.ts";
import { reclaimLeases } from "../purchases/leases.ts";
import { BUILT_IN_PASSWORD, BUILT_IN_PASSWORD_HASH } from "../seeding/seed.ts";
import { SeedPasswords } from "../seeding/seedRows.ts";
import { readPageKey, readSetting, writeSetting } from "../seeding/store.ts";
import { readSubscription } from "../subscriptions/store.ts";
import { startSweeping } from "../sweep.ts";
import { CLOCK_SETTING, type SandboxClock, sandboxClock } from "./clock.ts";
import { openData, startFailure } from "./dataFolder.ts";
import type { SandboxControls } from "./routes.ts";
import { type SandboxDeps, type SandboxOptions, type SandboxStart, seedOrReopen } from "./seeding.ts";

/** How long clients have to finish when the sandbox stops. */
const CLOSING_MS = 1_000;

/** A sandbox that is listening. */
export interface RunningSandbox {
  /** The values of the ready line. */
  readonly ready: {
    readonly url: string;
    readonly organizationId: number;
    readonly admin: { readonly email: string; readonly password: string } | null;
    readonly token: string | null;
    readonly dataDir: string | null;
    readonly pid: number;
  };
  /** Notes for stderr. */
  readonly notes: readonly string[];
  /** Stops it. Work in progress finishes or stays on disk. */
  close(): Promise<void>;
}

/**
 * Starts the embedded backend on a loopback port.
 *
 * @throws BackendError for an invalid seed, data in use or not empty, or a port in use
 */
export async function startSandbox(options: SandboxOptions, deps: SandboxDeps): Promise<RunningSandbox> {
  const data = await openData(options.dataDir);
  const database = sqliteStore(data.backend);
  const closeData = async () => {
    await database.destroy();
    data.outside.close();
  };
  try {
    await (options.dataDir === null ? createSchema(data.backend, database) : migrate(database, { dialect: "sqlite" }));
    const pageKey = await readPageKey(database, deps.random);
    const secrets = secretBox([pageKey], deps.random);
    const start = await seedOrReopen(database, options, { ...deps, secrets });
    const clock = await startClock(database, options, deps, start);
    const gateway = sandboxGateway(data.outside, { ...deps, clock });
    const backend: BackendDeps = {
      database,
      gateway,
      seller: SANDBOX_SELLER,
      notifier: mailbox(data.outside),
      clock,
      licenseLimit: DEFAULT_LICENSE_LIMIT,
      renewalGraceDays: DEFAULT_GRACE_DAYS,
      now: deps.now,
      random: deps.random,
      reach: deps.reach,
      changes: new EventEmitter(),
      log: (line, error) => deps.log(error === undefined ? line : `${line}: ${describeError(error)}`),
      pageOrigin: (host) => `http://${host}`,
      pageKey,
      secrets,
      issuersAt: "loopback",
      version: deps.version,
    };
    const controls: Omit<SandboxControls, "timeZone"> = {
      clock,
      captures: gateway.captures,
    };
    return await run(backend, { options, deps, start, controls, closeData });
  } catch (error) {
    await closeData();
    throw startFailure(options.dataDir, error);
  }
}

interface Running {
  readonly options: SandboxOptions;
  readonly deps: SandboxDeps;
  readonly start: SandboxStart;
  readonly controls: Omit<SandboxControls, "timeZone">;
  closeData(): Promise<void>;
}

async function run(backend: BackendDeps, running: Running): Promise<RunningSandbox> {
  const { options, deps, start, controls, closeData } = running;
  const { database } = backend;
  const hashing = passwords(deps.random);
  const { time_zone: timeZone } = await readSubscription(database, start.organizationId);
  const hashes = new SeedPasswords(database, hashing, { [BUILT_IN_PASSWORD]: BUILT_IN_PASSWORD_HASH }, start.seed);
  const signIn = { passwords: hashing, passwordHashOf: (user: UserRow) => hashes.hashOf(user) };
  await reclaimLeases(database, controls.clock.now());
  const queueing = createQueueingServer(deps);
  const url = await listen(queueing.server, options.port);
  const loaded = import("./routes.ts").then(({ sandboxApp }) => sandboxApp(backend, signIn, { ...controls, timeZone }));
  void loaded.then((app) => queueing.serve(app.routing));
  const stopSweeping = startSweeping(backend);
  hashes.start((error) => deps.log(`passwords of the seed: ${error}`));
  return {
    ready: {
      url,
      organizationId: start.organizationId,
      ...credentialsOf(start),
      dataDir: options.dataDir,
      pid: deps.pid,
    },
    notes: start.notes,
    async close() {
      await stopSweeping();
      const timeout = setTimeout(() => queueing.server.closeAllConnections(), CLOSING_MS);
      const closed = once(queueing.server.close(), "close");
      await (await loaded).close();
      await closed;
      clearTimeout(timeout);
      // Data on disk get every hash, because the seed's passwords are stored nowhere else.
      await hashes.end(options.dataDir === null ? "now" : "all");
      await closeData();
    },
  };
}

async function startClock(
  database: Kysely<Database>,
  options: SandboxOptions,
  deps: SandboxDeps,
  start: SandboxStart,
): Promise<SandboxClock> {
  const clock = sandboxClock(deps.now, Number((await readSetting(database, CLOCK_SETTING)) ?? 0));
  if (options.now !== null && options.now > clock.now()) {
    clock.moveTo(options.now);
    await writeSetting(database, CLOCK_SETTING, String(clock.offset()));
  } else if (options.now !== null && !start.isNew) {
    start.notes.push(
      `The clock of the data is at ${new Date(clock.now()).toISOString()}, later than --now; --now is ignored.`,
    );
  }
  return clock;
}

function credentialsOf({ seed }: SandboxStart): Pick<RunningSandbox["ready"], "admin" | "token"> {
  const first = seed?.organizations[0];
  const { email, password } = first?.users.find((user) => canBuy(user.role)) ?? {};
  return {
    admin: email !== undefined && password !== undefined ? { email, password } : null,
    token: first?.tokens?.[0]?.token ?? null,
  };
}

async function listen(server: Server, port: number): Promise<string> {
  const host = "127.0.0.1";
  try {
    await once(server.listen(port, host), "listening");
  } catch (error) {
    throw listenFailure(error, { host, port });
  }
  const { port: chosen } = server.address() as AddressInfo;
  return `http://127.0.0.1:${chosen}${BASE_PATH}`;
}

/** A server that queues requests until their listener is loaded, so that the sandbox is ready before it has loaded fastify. */
export interface QueueingServer {
  readonly server: Server;
  /** Passes the queued requests and all later ones to the listener. */
  serve(listener: RequestListener): void;
}

/** Creates a queueing server that does not listen yet. */
export function createQueueingServer(deps: Parameters<typeof createHttpServer>[0]): QueueingServer {
  const server = createHttpServer(deps);
  const queue: Parameters<RequestListener>[] = [];
  const enqueue = (...exchange: Parameters<RequestListener>) => void queue.push(exchange);
  server.on("request", enqueue);
  return {
    server,
    serve(listener) {
      server.off("request", enqueue).on("request", listener);
      for (const exchange of queue.splice(0)) listener(...exchange);
    },
  };
}

/** Creates the sandbox's notifier: a table outside the backend's store that keeps each ID once. */
export function mailbox(database: SqliteConnection): Notifier & { delivered(): Notification[] } {
  database.exec("create table if not exists mailbox (id text primary key, notification text not null)");
  const prepare = preparer(database);
  return {
    async deliver(notification) {
      prepare("insert into mailbox (id, notification) values (?, ?) on conflict (id) do nothing").run(
        notification.id,
        JSON.stringify(notification),
      );
    },
    delivered() {
      const rows = prepare("select notification from mailbox order by rowid").all() as {
        notification: string;
      }[];
      return rows.map((row) => JSON.parse(row.notification) as Notification);
    },
  };
}
