import { startSession } from "../../../src/backend/identity/sessions.ts";
import type { Purchase } from "../../../src/contract/billing.ts";
import type { SeedChanges } from "../../support/seed.ts";
import { buy, call, organization, type TestBackend, tokenOf } from "./backend.ts";
import { idOf, SECRET } from "./people.ts";

/** A signed-in administrator with a fresh one-time code. */
export interface Administrator {
  readonly email: string;
  readonly userId: number;
  readonly session: string;
}

/** An organization with a threshold, two administrators with one-time codes, and a token of the first one. */
export interface FourEyes {
  readonly id: number;
  readonly ada: Administrator;
  readonly bob: Administrator;
}

/** Above one license and below five, in minor units: one costs £48.82, five £244.10 (src/billing/README.md, Proration). */
export const THRESHOLD = 20_000;

/** Adds an organization whose purchases above `approvalAbove` need a second administrator. */
export async function openFourEyes(
  backend: TestBackend,
  { approvalAbove = THRESHOLD, ...changes }: SeedChanges & { approvalAbove?: number | null } = {},
): Promise<FourEyes> {
  const made = organization(changes);
  const [first] = made.users;
  if (!first) throw new TypeError("no administrator");
  const emails = [first.email, `bob@organization-${made.id}.test`] as const;
  const users = emails.map((email) => ({ ...first, email, totpSecret: SECRET }));
  await backend.addOrganization({ ...made, users });
  await setThreshold(backend, made.id, approvalAbove);
  const [ada, bob] = [await signIn(backend, emails[0]), await signIn(backend, emails[1])];
  return { id: made.id, ada, bob };
}

/** Sets the threshold of an organization, minor units. */
export async function setThreshold(backend: TestBackend, id: number, approvalAbove: number | null): Promise<void> {
  await backend.deps.database
    .updateTable("subscriptions")
    .set({ approval_above: approvalAbove })
    .where("organization_id", "=", id)
    .execute();
}

/** Starts a session of a person who has just given a one-time code. */
export async function signIn(backend: TestBackend, email: string): Promise<Administrator> {
  const userId = await idOf(backend, email);
  const { accessToken } = await startSession(backend.deps, userId, backend.clocks.machine);
  return { email, userId, session: accessToken };
}

/** Buys five licenses, which wait for the other administrator, with the token or a session. */
export async function buyAbove(backend: TestBackend, id: number, token = tokenOf(id), key = "k"): Promise<Purchase> {
  return (await buy(backend, id, 5, key, { token })).body;
}

/** `POST …/approve` with the digest that the purchase shows, or another one. */
export function approve(
  backend: TestBackend,
  id: number,
  { id: purchaseId, approval }: Pick<Purchase, "id" | "approval">,
  token: string,
  digest = approval?.digest ?? "",
) {
  const path = `/organizations/${id}/purchases/${purchaseId}/approve`;
  return call(backend, "POST", path, { token, body: { digest } });
}

/** `POST …/reject`. */
export function reject(backend: TestBackend, id: number, purchaseId: string, token: string, reason = "Too many") {
  return call(backend, "POST", `/organizations/${id}/purchases/${purchaseId}/reject`, { token, body: { reason } });
}
