import { Readable } from "node:stream";
import type { FastifyInstance } from "fastify";
import { endOfDateInZone, startOfDateInZone } from "../../billing/calendar.ts";
import { type Event, EXPORT_MEDIA_TYPE, type SignedCheckpoint } from "../../contract/events.ts";
import { inTransaction } from "../database/transaction.ts";
import type { BackendDeps } from "../deps.ts";
import { pageLimit, type RouteDeps, register } from "../http/register.ts";
import { chainEvents } from "./chain.ts";
import { listCheckpoints, publicKeys, signHead } from "./checkpoints.ts";
import { actorOf, eventOf, type HashedEventRow, listEvents, recordEvent } from "./events.ts";

/** How many new entries a list hashes before it is read, so that it has their hashes without waiting for the next round. */
const AT_ONCE = 500;

/** Registers the audit log, its export and its keys (src/contract/README.md, Event log). */
export function registerEvents(app: FastifyInstance, deps: RouteDeps): void {
  register(app, deps, "listEvents", async ({ organization, query }) => {
    const limit = pageLimit(query.limit);
    const { time_zone: timeZone } = organization.subscription;
    await chainEvents(deps.database, organization.id, AT_ONCE);
    const rows = await listEvents(deps.database, organization.id, {
      after: query.after === undefined ? null : Number(query.after),
      limit: limit + 1,
      isNewestFirst: query.order === "newest",
      from: query.from === undefined ? null : startOfDateInZone(query.from, timeZone),
      until: query.to === undefined ? null : endOfDateInZone(query.to, timeZone),
      type: query.type ?? null,
    });
    const items = rows.slice(0, limit).map(hashedEvent);
    return { status: 200, body: { items, next: rows.length > limit ? String(items.at(-1)?.number) : null } };
  });

  register(app, deps, "exportEvents", async ({ organization: { id: organizationId }, identity }) => {
    const { database, clock } = deps;
    const head = await chainEvents(database, organizationId);
    const checkpoint = await signHead(deps, organizationId, head);
    const actor = actorOf({ email: identity.user.email, token: identity.token });
    const data = { events: head.number };
    await inTransaction(database, (tx) =>
      recordEvent(tx, { organizationId, at: clock.now(), type: "events.exported", actor, data }),
    );
    const body = Readable.from(exportLines(deps, organizationId, checkpoint));
    return { status: 200, body, headers: { "Content-Type": EXPORT_MEDIA_TYPE } };
  });

  register(app, deps, "listCheckpoints", async ({ organization, query }) => {
    const limit = pageLimit(query.limit);
    const before = query.after === undefined ? null : Number(query.after);
    const found = await listCheckpoints(deps.database, organization.id, { before, limit: limit + 1 });
    const items = found.slice(0, limit);
    const next = found.length > limit ? String(items.at(-1)?.checkpoint.number) : null;
    return { status: 200, body: { items, next } };
  });

  register(app, deps, "getEventKeys", async () => ({ status: 200, body: { keys: await publicKeys(deps) } }));
}

function hashedEvent(row: HashedEventRow): Event {
  return { ...eventOf(row), hash: row.hash };
}

/** How many entries of an export are read at once. */
const PAGE = 500;

/** Reads an audit log up to a checkpoint, page by page, as the lines of an export. */
async function* exportLines(
  deps: BackendDeps,
  organizationId: number,
  signed: SignedCheckpoint,
): AsyncGenerator<string> {
  const { number: last } = signed.checkpoint;
  for (let after = 0; after < last; ) {
    const rows = await listEvents(deps.database, organizationId, { after, limit: Math.min(PAGE, last - after) });
    yield linesOf(rows.map(hashedEvent));
    after = rows.at(-1)?.number ?? last;
  }
  yield linesOf([{ keys: await publicKeys(deps) }, signed]);
}

function linesOf(documents: readonly unknown[]): string {
  return documents.map((document) => `${JSON.stringify(document)}\n`).join("");
}
