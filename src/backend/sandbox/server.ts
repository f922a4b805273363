import { once } from "node:events";
import type { RequestListener, Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Kysely } from "kysely";
import type Libsql from "libsql";
import { DEFAULT_LICENSE_LIMIT } from "../../billing/quote.ts";
import { DEFAULT_GRACE_DAYS } from "../../billing/renewal.ts";
import { mayBuy } from "../../billing/roles.ts";
import { BASE_PATH } from "../../contract/constants.ts";
import { migrate } from "../database/migrations/index.ts";
import { createSchema } from "../database/migrations/newest.ts";
import type { Database, UserRow } from "../database/schema.ts";
import { sqliteStore } from "../database/sqlite.ts";
import type { BackendDeps, Notification, Notifier } from "../deps.ts";
import { SandboxError } from "../errors.ts";
import { createHttpServer } from "../http/server.ts";
import { passwords } from "../identity/secrets.ts";
import { sandboxGateway } from "../payments/sandboxGateway.ts";
import { takeOverAll } from "../purchases/leases.ts";
import { readSubscription } from "../subscriptions/store.ts";
import { startSweeping } from "../sweep.ts";
import { CLOCK_SETTING, type SandboxClock, sandboxClock } from "./clock.ts";
import { inAHurry, openData, startFailure } from "./dataFolder.ts";
import { fillOrKnow, type SandboxDeps, type SandboxOptions, type SandboxStart } from "./filling.ts";
import type { SandboxControls } from "./routes.ts";
import { BUILT_IN_PASSWORD, BUILT_IN_PASSWORD_HASH } from "./seed.ts";
import { SeedPasswords } from "./seedRows.ts";
import { readPageKey, readSetting, writeSetting } from "./settings.ts";

/** How long clients have to end what they are at when the sandbox ends. */
const CLOSING_MS = 1_000;

/** A sandbox that listens. */
export interface RunningSandbox {
  /** The ready line of cli.md. */
  readonly ready: {
    readonly url: string;
    readonly organizationId: number;
    readonly admin: { readonly email: string; readonly password: string } | null;
    readonly token: string | null;
    readonly dataDir: string | null;
    readonly pid: number;
  };
  /** What the person should know, for stderr. */
  readonly notes: readonly string[];
  /** Ends it: what is under way is finished or stays as it is on disk, and nothing is lost. */
  close(): Promise<void>;
}

/**
 * Starts the embedded backend on a loopback port.
 *
 * @throws SandboxError for a seed that is not valid, data that are in use or not empty, a port in use
 */
export async function startSandbox(options: SandboxOptions, deps: SandboxDeps): Promise<RunningSandbox> {
  const data = await openData(options.dataDir);
  const database = sqliteStore(data.backend);
  const closeData = async () => {
    await database.destroy();
    data.outside.close();
  };
  try {
    await (options.dataDir === null ? createSchema(data.backend, database) : migrate(database, "sqlite"));
    const start = await fillOrKnow(database, options, deps);
    const clock = await startClock(database, options, deps, start);
    const gateway = sandboxGateway(data.outside, { ...deps, clock });
    const backend: BackendDeps = {
      database,
      gateway,
      notifier: mailbox(data.outside),
      clock,
      licenseLimit: DEFAULT_LICENSE_LIMIT,
      renewalGraceDays: DEFAULT_GRACE_DAYS,
      now: deps.now,
      random: deps.random,
      reach: deps.reach,
      log: deps.log,
      pageOrigin: (host) => `http://${host}`,
      pageKey: await readPageKey(database, deps.random),
      version: deps.version,
    };
    const controls: Omit<SandboxControls, "timeZone"> = {
      clock,
      captures: gateway.captures,
      inAHurry: (work) => inAHurry(data, database, work),
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
  await takeOverAll(database, controls.clock.now());
  const door = createDoor(deps);
  const url = await listen(door.server, options.port);
  const loaded = import("./routes.ts").then(({ sandboxApp }) => sandboxApp(backend, signIn, { ...controls, timeZone }));
  void loaded.then((app) => door.open(app.routing));
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
      const impatience = setTimeout(() => door.server.closeAllConnections(), CLOSING_MS);
      const closed = once(door.server.close(), "close");
      await (await loaded).close();
      await closed;
      clearTimeout(impatience);
      // What is kept is kept whole: a seed's passwords are nowhere else. In memory there is nothing to wait for.
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
    await writeSetting(database, CLOCK_SETTING, String(clock.distance()));
  } else if (options.now !== null && !start.isNew) {
    start.notes.push(
      `The data's clock is at ${new Date(clock.now()).toISOString()}, later than --now, which is ignored.`,
    );
  }
  return clock;
}

function credentialsOf({ seed }: SandboxStart): Pick<RunningSandbox["ready"], "admin" | "token"> {
  const first = seed?.organizations[0];
  const admin = first?.users.find((user) => mayBuy(user.role));
  return {
    admin: admin ? { email: admin.email, password: admin.password } : null,
    token: first?.tokens?.[0]?.token ?? null,
  };
}

async function listen(server: Server, port: number): Promise<string> {
  try {
    await once(server.listen(port, "127.0.0.1"), "listening");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    throw new SandboxError(
      "port_in_use",
      `Port ${port} is in use`,
      "Stop what listens there, or choose another with --port <n> (0 picks a free one).",
      { cause: error },
    );
  }
  const { port: chosen } = server.address() as AddressInfo;
  return `http://127.0.0.1:${chosen}${BASE_PATH}`;
}

/** Where a sandbox is reached before it has loaded what answers: requests that come meanwhile wait. */
export interface Door {
  readonly server: Server;
  /** Lets in who waits, and everybody who comes from here on. */
  open(listener: RequestListener): void;
}

/** A door that is closed and does not listen yet. */
export function createDoor(deps: Parameters<typeof createHttpServer>[0]): Door {
  const server = createHttpServer(deps);
  const waiting: Parameters<RequestListener>[] = [];
  const keep = (...exchange: Parameters<RequestListener>) => void waiting.push(exchange);
  server.on("request", keep);
  return {
    server,
    open(listener) {
      server.off("request", keep).on("request", listener);
      for (const exchange of waiting.splice(0)) listener(...exchange);
    },
  };
}

/** Where the sandbox's notifications go: a table outside the backend's own store, each id once however often it is sent. */
export function mailbox(database: Libsql.Database): Notifier & { delivered(): Notification[] } {
  database.exec("create table if not exists mailbox (id text primary key, notification text not null)");
  return {
    async deliver(notification) {
      database
        .prepare("insert into mailbox (id, notification) values (?, ?) on conflict (id) do nothing")
        .run(notification.id, JSON.stringify(notification));
    },
    delivered() {
      const rows = database.prepare("select notification from mailbox order by rowid").all() as {
        notification: string;
      }[];
      return rows.map((row) => JSON.parse(row.notification) as Notification);
    },
  };
}
