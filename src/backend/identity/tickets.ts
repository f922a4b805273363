import type { TicketRow, UserRow } from "../database/schema.ts";
import type { BackendDeps } from "../deps.ts";
import { BackendError } from "../errors.ts";
import { readUser } from "./memberships.ts";
import { acceptCode } from "./oneTimeCodes.ts";
import { hashToken } from "./secrets.ts";
import { countTry, findTicket, saveTicket, takeTicket } from "./sessions.ts";

/** How long a ticket is valid: `mfa` until the code is given, `page` until the person decides, `setup` until it is used. */
const LIFE_MS = { mfa: 5 * 60_000, page: 10 * 60_000, setup: 3_600_000 } as const;

const MAX_TRIES = 5;

type TicketDeps = Pick<BackendDeps, "database" | "now" | "random">;

/** An authenticated person; `mfaAt` is when they gave a one-time code, `null` for a person without. */
export interface SignedIn {
  readonly user: UserRow;
  readonly mfaAt: number | null;
}

/**
 * Issues a secret that proves a step of a sign-in: `mfa` the password, for 5 minutes; `page` the whole sign-in, for 10;
 * `setup` that an operator asked for the account, for an hour.
 * Only its hash is stored.
 */
export async function issueTicket(
  deps: TicketDeps,
  userId: number,
  kind: TicketRow["kind"],
  mfaAt: number | null,
): Promise<string> {
  const secret = deps.random(32).toString("base64url");
  await saveTicket(deps.database, {
    ticket_hash: hashToken(secret),
    user_id: userId,
    kind,
    tries: 0,
    mfa_at: mfaAt,
    expires_at: deps.now() + LIFE_MS[kind],
  });
  return secret;
}

/**
 * Returns the person of a ticket, which stays valid.
 *
 * @throws BackendError `unauthenticated` if it is unknown, of another kind or expired
 */
export async function readTicket(deps: TicketDeps, ticket: string, kind: TicketRow["kind"]): Promise<SignedIn> {
  const row = await findTicket(deps.database, { hash: hashToken(ticket), kind, now: deps.now() });
  if (!row) throw signInAgain();
  return { user: await readUser(deps.database, row.user_id), mfaAt: row.mfa_at };
}

/**
 * Accepts the one-time code for an `mfa` ticket. A wrong code leaves the ticket valid, for 5 tries; the right one uses it
 * up.
 *
 * @param address the network address of the request
 * @throws BackendError `mfa_invalid`, or `unauthenticated` if the ticket is unknown, used or expired
 */
export async function codeForTicket(
  deps: TicketDeps & Pick<BackendDeps, "clock" | "log" | "secrets">,
  { challenge, code }: { challenge: string; code: string },
  address: string,
): Promise<{ user: UserRow; mfaAt: number }> {
  const hash = hashToken(challenge);
  const ticket = await countTry(deps.database, { hash, kind: "mfa", now: deps.now() }, MAX_TRIES);
  if (!ticket) throw signInAgain();
  const user = await readUser(deps.database, ticket.user_id);
  const mfaAt = await acceptCode(deps, user, code, address);
  if (!(await takeTicket(deps.database, hash))) throw signInAgain();
  return { user, mfaAt };
}

function signInAgain(): BackendError {
  return new BackendError("unauthenticated", "The sign-in has expired; sign in again");
}
