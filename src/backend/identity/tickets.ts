import type { TicketRow, UserRow } from "../database/schema.ts";
import type { BackendDeps } from "../deps.ts";
import { ProblemError } from "../errors.ts";
import { readUser } from "./memberships.ts";
import { acceptCode } from "./oneTimeCodes.ts";
import { hashToken } from "./secrets.ts";
import { countTry, findTicket, saveTicket, takeTicket } from "./sessions.ts";

/** How long a ticket is good for: until the code is given (details.md, 15), or until the person has decided. */
const LIFE_MS = { mfa: 5 * 60_000, page: 10 * 60_000 } as const;

const MOST_TRIES = 5;

type TicketDeps = Pick<BackendDeps, "database" | "now" | "random">;

/** A person who has signed in; `mfaAt` is when they gave a one-time code, `null` where they have none. */
export interface SignedIn {
  readonly user: UserRow;
  readonly mfaAt: number | null;
}

/**
 * Gives a secret that stands for a step of signing in: `mfa` that the password was right, for 5 minutes; `page` that the
 * whole sign-in was, for 10. Only its hash is kept.
 */
export async function issueTicket(
  deps: TicketDeps,
  userId: number,
  kind: TicketRow["kind"],
  mfaAt: number | null,
): Promise<string> {
  const secret = deps.random(32).toString("base64url");
  const now = deps.now();
  await saveTicket(
    deps.database,
    {
      ticket_hash: hashToken(secret),
      user_id: userId,
      kind,
      tries: 0,
      mfa_at: mfaAt,
      expires_at: now + LIFE_MS[kind],
    },
    now,
  );
  return secret;
}

/**
 * Who a ticket stands for; it stays good.
 *
 * @throws ProblemError `unauthenticated` for one that is unknown, of another kind, or over
 */
export async function readTicket(deps: TicketDeps, ticket: string, kind: TicketRow["kind"]): Promise<SignedIn> {
  const row = await findTicket(deps.database, { hash: hashToken(ticket), kind, now: deps.now() });
  if (!row) throw signInAgain();
  return { user: await readUser(deps.database, row.user_id), mfaAt: row.mfa_at };
}

/**
 * Takes the one-time code that an `mfa` ticket asks for. A wrong one leaves the ticket good, for 5 tries; the right one
 * spends it.
 *
 * @param address where the request came from
 * @throws ProblemError `mfa_invalid`, or `unauthenticated` where the ticket is unknown, spent or over
 */
export async function codeForTicket(
  deps: TicketDeps,
  { challenge, code }: { challenge: string; code: string },
  address: string,
): Promise<{ user: UserRow; mfaAt: number }> {
  const hash = hashToken(challenge);
  const ticket = await countTry(deps.database, { hash, kind: "mfa", now: deps.now() }, MOST_TRIES);
  if (!ticket) throw signInAgain();
  const user = await readUser(deps.database, ticket.user_id);
  const mfaAt = await acceptCode(deps, user, code, address);
  if (!(await takeTicket(deps.database, hash))) throw signInAgain();
  return { user, mfaAt };
}

function signInAgain(): ProblemError {
  return new ProblemError("unauthenticated", "This sign-in has ended or took too long; sign in again");
}
