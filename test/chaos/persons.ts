import { setTimeout as sleep } from "node:timers/promises";
import type { Purchase } from "../../src/contract/billing.ts";
import { startCli } from "../support/cli.ts";
import { actOnPage } from "../support/paymentPage.ts";
import { environmentFor, type RunningSandbox } from "../support/sandbox.ts";
import { tokenOf } from "../support/seed.ts";
import type { Tally } from "./ledger.ts";
import type { Random } from "./random.ts";

/** What a person does on a payment page. `pay` also runs the command that retries the stored card. */
const HABITS = ["pay", "pay", "another card", "cancel", "two windows", "both at once", "command"] as const;
const GOOD_CARDS = ["card_ok", "card_processing", "card_timeout", "card_requires_approval", undefined];
const BAD_CARDS = ["card_declined", "card_insufficient_funds", "card_expired"];

/** The statuses that a page may answer under concurrency and network faults; never 500. */
const ANSWERS = [200, 400, 402, 403, 404, 409, 410, 429, 503];

/** The exit codes of `purchases pay`: paid, declined, waiting, no longer payable, unknown, killed, a broken read. */
const PAY_ENDS = [0, 1, 6, 8, 9, 10, 137];

/** What people act on, and what they remember. */
export interface Street {
  readonly random: Random;
  readonly tally: Tally;
  readonly organizations: readonly number[];
  /** Declined purchases that someone paid after their commands had ended. */
  readonly revived: Set<string>;
  /** Where people's requests go: to the backend directly, or through a faulty network. */
  proxyUrl(): string;
  sandbox(): RunningSandbox;
}

/** Pays, tries other cards and cancels on open payment pages until a deadline (`performance.now()`). */
export async function person(street: Street, until: number): Promise<void> {
  const { random } = street;
  while (performance.now() < until) {
    await sleep(random.between(50, 600));
    const open = await findOpen(street).catch(() => []);
    if (open.length > 0) await act(street, random.of(open));
  }
}

/** The open pages of a random organization that has any. */
async function findOpen({ random, organizations, sandbox }: Street): Promise<OpenPurchase[]> {
  const first = random.between(0, organizations.length - 1);
  for (const organizationId of [...organizations.slice(first), ...organizations.slice(0, first)]) {
    const open = await openPages(sandbox(), organizationId);
    if (open.length > 0) return open;
  }
  return [];
}

/** Settles most waiting purchases, and leaves the rest to expire. */
export async function tidyUp(street: Street): Promise<void> {
  for (const organizationId of street.organizations) {
    for (const purchase of await openPages(street.sandbox(), organizationId)) {
      if (street.random.next() < 0.7) await act(street, purchase);
    }
  }
}

/** Lists the purchases of an organization with a payment page, newest first. */
export async function openPages(sandbox: RunningSandbox, organizationId: number): Promise<OpenPurchase[]> {
  const path = `/organizations/${organizationId}/purchases?limit=100`;
  const { body } = await sandbox.request("GET", path, { token: tokenOf(organizationId) });
  const { items } = body as { items: Purchase[] };
  return items.flatMap((purchase) =>
    purchase.nextAction?.url ? [{ ...purchase, organizationId, url: purchase.nextAction.url }] : [],
  );
}

type OpenPurchase = Purchase & { readonly organizationId: number; readonly url: string };

async function act(street: Street, purchase: OpenPurchase): Promise<void> {
  const { random, revived } = street;
  const url = random.next() < 0.5 ? purchase.url : throughProxy(purchase.url, street.proxyUrl());
  const good = () => random.of(GOOD_CARDS);
  if (purchase.status === "failed") revived.add(purchase.id);
  switch (random.of(HABITS)) {
    case "pay":
      return await post(street, url, "pay", good());
    case "another card":
      await post(street, url, "pay", random.of(BAD_CARDS));
      return await post(street, url, "pay", good());
    case "cancel":
      return await post(street, url, "cancel");
    case "two windows":
      await Promise.all([post(street, url, "pay", good()), post(street, url, "pay", random.of(BAD_CARDS))]);
      return;
    case "both at once":
      await Promise.all([post(street, url, "pay", good()), post(street, url, "cancel")]);
      return;
    case "command":
      return await payByCommand(street, purchase);
  }
}

async function post({ tally }: Street, url: string, action: "pay" | "cancel", card?: string): Promise<void> {
  tally.clicks += 1;
  // A page without a form (someone was faster) and lost answers are expected; the final checks decide.
  const answer = await actOnPage(url, action, card).catch(() => null);
  if (answer !== null) tally.expect(ANSWERS.includes(answer.status), `${action} on ${url}: ${answer.status}`);
}

async function payByCommand({ tally, proxyUrl }: Street, purchase: OpenPurchase): Promise<void> {
  const args = ["purchases", "pay", purchase.id, "--yes", "--json", "--wait", "1", "--timeout", "3"];
  const env = environmentFor(proxyUrl(), purchase.organizationId);
  const running = await startCli(args, { env, timeout: 200_000 });
  const { exitCode, stderr } = await running.ended;
  tally.clicks += 1;
  tally.expect(PAY_ENDS.includes(exitCode), `purchases pay ${purchase.id} ended ${exitCode}: ${stderr}`);
}

function throughProxy(url: string, proxyUrl: string): string {
  const { origin } = new URL(proxyUrl);
  return url.replace(new URL(url).origin, origin);
}
