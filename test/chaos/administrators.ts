import { setTimeout as sleep } from "node:timers/promises";
import type { Purchase } from "../../src/contract/billing.ts";
import { codeOf, SECOND } from "../support/fourEyes.ts";
import type { RunningSandbox } from "../support/sandbox.ts";
import { PASSWORD, tokenOf } from "../support/seed.ts";
import { waitFor } from "../support/wait.ts";
import type { Tally } from "./ledger.ts";
import type { Random } from "./random.ts";

/** What a purchase of an organization with a threshold may cost without a second administrator, in minor units. */
export const THRESHOLD = 10_000;

/** The statuses of a decision under concurrency and kills; never 500. */
const ANSWERS = [200, 202, 402, 409, 503];

/** What the second administrator acts on. */
export interface Office {
  readonly random: Random;
  readonly tally: Tally;
  /** The organizations that have a threshold. */
  readonly controlled: readonly number[];
  sandbox(): RunningSandbox;
}

/** Approves and rejects what waits for the second administrator, until a deadline (`performance.now()`). */
export async function administrator(office: Office, until: number): Promise<void> {
  let session: string | null = null;
  while (performance.now() < until) {
    await sleep(office.random.between(50, 400));
    // The backend may be down.
    session ??= await signIn(office.sandbox()).catch(() => null);
    if (session === null) continue;
    const isSignedIn = await decideOnSome(office, session).catch(() => true);
    if (!isSignedIn) session = null;
  }
}

/** Decides on everything that waits. */
export async function decideOnAll(office: Office): Promise<void> {
  // Sign-ins that kills cut off count for a minute.
  const session = await waitFor(() => signIn(office.sandbox()).catch(() => false as const), 90_000, "a sign-in");
  for (const id of office.controlled) {
    for (const purchase of await waitingOf(office.sandbox(), id)) await decide(office, session, id, purchase);
  }
}

/** Checks that what nobody approved stayed within the threshold. All of it was bought within a day. */
export function expectApproved(office: Office, organizationId: number, purchases: readonly Purchase[]): void {
  if (!office.controlled.includes(organizationId)) return;
  const unapproved = purchases.filter(
    ({ kind, status, approval }) => kind === "purchase" && status === "succeeded" && !approval?.approvedAt,
  );
  const total = unapproved.reduce((sum, purchase) => sum + purchase.total.amount, 0);
  office.tally.expect(
    total <= THRESHOLD,
    `organization ${organizationId}: ${total} was charged and nobody approved it`,
  );
}

async function decideOnSome(office: Office, session: string): Promise<boolean> {
  const organizationId = office.random.of(office.controlled);
  const waiting = await waitingOf(office.sandbox(), organizationId);
  return waiting.length === 0 || decide(office, session, organizationId, office.random.of(waiting));
}

/** Approves a purchase, in two windows at times, or rejects it. Returns whether the session is valid. */
async function decide(office: Office, session: string, organizationId: number, purchase: Purchase): Promise<boolean> {
  const { random, tally } = office;
  const path = `/organizations/${organizationId}/purchases/${purchase.id}`;
  const send = async (what: "approve" | "reject") => {
    const body = what === "approve" ? { digest: purchase.approval?.digest } : { reason: "Too many" };
    const { status } = await office.sandbox().request("POST", `${path}/${what}`, { token: session, body });
    tally.clicks += 1;
    tally.expect([...ANSWERS, 401].includes(status), `${what} of ${purchase.id}: ${status}`);
    return status !== 401;
  };
  const kinds = random.of([["approve"], ["approve", "approve"], ["approve", "reject"], ["reject"]] as const);
  return (await Promise.all(kinds.map(send))).every(Boolean);
}

async function waitingOf(sandbox: RunningSandbox, organizationId: number): Promise<Purchase[]> {
  const path = `/organizations/${organizationId}/purchases?limit=100&status=requires_approval`;
  const { body } = await sandbox.request("GET", path, { token: tokenOf(organizationId) });
  return (body as { items: Purchase[] }).items.filter(({ nextAction }) => nextAction?.url === null);
}

async function signIn(sandbox: RunningSandbox): Promise<string> {
  const first = await sandbox.request("POST", "/auth/login", { body: { email: SECOND, password: PASSWORD } });
  const { challenge } = first.body as { challenge?: string };
  if (challenge === undefined) throw new TypeError(`The password was refused: ${JSON.stringify(first.body)}`);
  const code = await codeOf(SECOND);
  const { body } = await sandbox.request("POST", "/auth/mfa", { body: { challenge, code } });
  const { accessToken } = body as { accessToken?: string };
  if (accessToken === undefined) throw new TypeError(`The code was refused: ${JSON.stringify(body)}`);
  return accessToken;
}
