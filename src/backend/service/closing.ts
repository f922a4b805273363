import { once } from "node:events";
import { Server } from "node:net";
import { setTimeout as delay, setImmediate } from "node:timers/promises";
import type { FastifyInstance } from "fastify";
import type { BackendDeps } from "../deps.ts";
import { releaseLease } from "../purchases/leases.ts";

/** How often to check for idle connections and for work that has ended, milliseconds. */
const IDLE_POLL_MS = 50;

/** After how long a listener is closed although connections still come, milliseconds. */
const MAX_ACCEPTING_MS = 5_000;

/**
 * How long a turn of the event loop may take that proves that no connection waits, milliseconds; a busy machine has longer
 * ones, so that it grows by a part of the time that was spent on waiting for one.
 */
const [SHORT_TURN_MS, GROWTH] = [1, 0.005];

/** For how long no connection may have come, milliseconds: on a busy machine they arrive late. */
const QUIET_MS = 25;

/**
 * Stops listening once no connection has waited to be accepted for a moment, because the system resets those that do. A turn
 * of the event loop accepts one.
 */
async function stopListening({ server }: Pick<FastifyInstance, "server">, monotonic: () => number): Promise<void> {
  const begin = monotonic();
  let hasAccepted = false;
  server.on("connection", () => {
    hasAccepted = true;
  });
  for (let waited = 0, quietSince = 0; waited < MAX_ACCEPTING_MS && waited - quietSince < QUIET_MS; ) {
    hasAccepted = false;
    await setImmediate();
    const turn = monotonic() - begin - waited;
    waited += turn;
    if (hasAccepted || turn >= SHORT_TURN_MS + GROWTH * waited) quietSince = waited;
  }
  // The application's own method would also close idle connections, on which a request may be on its way.
  Server.prototype.close.call(server);
}

/**
 * How long connections stay open after that, milliseconds: those in use are closed by their next answer, which tells the
 * client, so that hardly any is left that a client may be asking on when it is closed.
 */
const REQUEST_MS = 250;

/** Stops listening, closes the application and waits for its work and its connections. */
async function closeAll(app: FastifyInstance, work: Promise<unknown>, monotonic: () => number): Promise<void> {
  const closed = once(app.server, "close");
  await stopListening(app, monotonic);
  await delay(REQUEST_MS);
  // A connection whose last request was answered would stay open until its keep-alive time is over.
  const idle = setInterval(() => app.server.closeIdleConnections(), IDLE_POLL_MS).unref();
  await Promise.all([app.close(), closed, work]).finally(() => clearInterval(idle));
}

/** How an application ends. */
export interface Ending {
  /** How long to wait for its connections and its work. */
  readonly milliseconds: number;
  /** The machine's clock, milliseconds, which never goes back. */
  monotonic(): number;
}

/**
 * Closes the application and waits for its work, but cuts what lasts longer than a time. Connections that wait to be
 * accepted are answered, too.
 *
 * @returns whether everything ended in time
 */
export async function endWithin(
  app: FastifyInstance,
  work: Promise<unknown>,
  { milliseconds, monotonic }: Ending,
): Promise<boolean> {
  const stop = new AbortController();
  const closing = closeAll(app, work, monotonic)
    .then(() => true)
    .finally(() => stop.abort());
  const cut = delay(milliseconds, undefined, { signal: stop.signal }).then(
    () => {
      app.server.closeAllConnections();
      return false;
    },
    () => closing,
  );
  return await Promise.race([closing, cut]);
}

/** Waits until no purchase is being worked on, including those whose request has been answered. */
export async function purchasesAtRest({ leases = new Set() }: Pick<BackendDeps, "leases">): Promise<void> {
  // This must not keep the process alive once the work is left to other instances.
  while (leases.size > 0) await delay(IDLE_POLL_MS, undefined, { ref: false });
}

/** Releases the leases of unfinished work, so that other instances take over its purchases at once. */
export async function giveBackLeases({
  database,
  clock,
  leases = new Set(),
}: Pick<BackendDeps, "database" | "clock" | "leases">): Promise<void> {
  await Promise.all([...leases].map((lease) => releaseLease(database, lease, clock.now())));
}
