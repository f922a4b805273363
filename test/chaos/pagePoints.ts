import { join } from "node:path";
import { runCli } from "../support/cli.ts";
import { actOnPage } from "../support/paymentPage.ts";
import { temporaryDirectory } from "../support/places.ts";
import { environmentFor, type RunningSandbox, startSandbox } from "../support/sandbox.ts";
import { organization, seed } from "../support/seed.ts";
import { waitFor } from "../support/wait.ts";
import { checkInvariants, type Tally } from "./ledger.ts";
import { openPages } from "./persons.ts";

/** How a purchase waits (for approval, for a card, declined), where the backend crashes, and with which card a person pays. */
const WHILE_PAYING: readonly (readonly [paymentMethod: string | null, point: string, card: string])[] = [
  ["card_requires_approval", "B2", "card_ok"],
  ["card_requires_approval", "B6", "card_timeout"],
  ["card_requires_approval", "B7", "card_processing"],
  ["card_requires_approval", "B8", "card_ok"],
  [null, "B6", "card_processing"],
  [null, "B7", "card_ok"],
  ["card_declined", "B6", "card_timeout"],
  ["card_declined", "B7", "card_ok"],
];

const KILLED = 137;
const BUY = ["buy", "5", "--yes", "--json", "--timeout", "5"];

/** Kills the CLI while it waits for a person, and the backend while a person pays or cancels. */
export async function killWhilePersonsPay(tally: Tally): Promise<void> {
  await killWaiting(tally);
  for (const [paymentMethod, point, card] of WHILE_PAYING) await killPaying(paymentMethod, point, card, tally);
  for (const point of ["B2", "B7"]) await killCanceling(point, tally);
  for (const point of ["B2", "B6", "B7", "B9"]) await killPayCommand(point, tally);
  await killBeforeRenewal(tally);
}

/** C5: the command that waits is killed, the person pays, and `purchases resume` shows it. */
async function killWaiting(tally: Tally): Promise<void> {
  const sandbox = await startSandbox({ seed: seedFor("card_requires_approval") });
  try {
    const killed = await sandbox.cli(1, [...BUY, "--wait", "60"], { env: { SECUREFLAG_CRASH_AT: "C5" } });
    tally.kills += 1;
    tally.expect(killed.exitCode === KILLED, `C5: was not reached (exit ${killed.exitCode}) ${killed.stderr}`);
    await actOnPage(await pageOf(sandbox), "pay");
    await expectResumed("C5", sandbox, killed.home, tally);
    await expectOnePurchase("C5", sandbox, tally);
  } finally {
    await sandbox.stop();
  }
}

/** The backend crashes while a person pays. It continues by itself, and paying again changes nothing. */
async function killPaying(paymentMethod: string | null, point: string, card: string, tally: Tally): Promise<void> {
  const where = `${point} on the page, ${card} for ${paymentMethod}`;
  const waiting = await waitingPurchase(paymentMethod);
  const sandbox = await killDuring(waiting, point, (url) => actOnPage(url, "pay", card), tally);
  try {
    await waitForEnds(sandbox);
    const again = await actOnPage(waiting.url, "pay", "card_processing").catch(() => null);
    tally.expect(again === null || again.status < 500, `${where}: paying again answered ${again?.status}`);
    if (paymentMethod !== "card_declined") await expectResumed(where, sandbox, waiting.home, tally);
    await expectOnePurchase(where, sandbox, tally);
  } finally {
    await sandbox.stop();
  }
}

/** The backend crashes while a person cancels: the purchase is canceled, or still waits and can be paid. Never both. */
async function killCanceling(point: string, tally: Tally): Promise<void> {
  const where = `${point} on the page, canceling`;
  const waiting = await waitingPurchase("card_requires_approval");
  const sandbox = await killDuring(waiting, point, (url) => actOnPage(url, "cancel"), tally);
  try {
    await actOnPage(waiting.url, "pay", "card_ok").catch(() => null);
    const purchases = await waitForEnds(sandbox);
    tally.expect(purchases.length === 1, `${where}: ${purchases.length} purchases where one was meant`);
    await checkInvariants(sandbox, 1, 25, tally);
  } finally {
    await sandbox.stop();
  }
}

/** The backend crashes while `purchases pay` retries the declined card. Another card on the page then pays once. */
async function killPayCommand(point: string, tally: Tally): Promise<void> {
  const where = `${point}, purchases pay`;
  const waiting = await waitingPurchase("card_declined");
  const paying = async (_url: string, sandbox: RunningSandbox) => {
    const [purchase] = await sandbox.purchases(1);
    const ended = await sandbox.cli(1, ["purchases", "pay", purchase?.id ?? "", "--yes", "--json"], {
      timeout: 150_000,
    });
    tally.expect([6, 10].includes(ended.exitCode), `${where}: ended ${ended.exitCode} ${ended.stderr}`);
  };
  const sandbox = await killDuring(waiting, point, paying, tally);
  try {
    await waitForEnds(sandbox);
    await actOnPage(waiting.url, "pay", "card_ok");
    await expectOnePurchase(where, sandbox, tally);
  } finally {
    await sandbox.stop();
  }
}

/** A payment made in one term is found in the next one: it is refunded, with a credit note. */
async function killBeforeRenewal(tally: Tally): Promise<void> {
  const where = "B7, found after the term's end";
  const waiting = await waitingPurchase("card_requires_approval");
  const pay = (url: string) => actOnPage(url, "pay");
  const sandbox = await killDuring(waiting, "B7", pay, tally, "2027-03-02T12:00:00Z");
  try {
    await waitForEnds(sandbox);
    const resumed = await sandbox.cli(1, ["purchases", "resume", "--json"], { home: waiting.home });
    const [purchase] = JSON.parse(resumed.stdout).resumed;
    tally.expect(resumed.exitCode === 6, `${where}: resume ended ${resumed.exitCode} ${resumed.stderr}`);
    tally.expect(purchase?.refund?.creditNoteNumber === "CN-1-000001", `${where}: ${resumed.stdout}`);
    await checkInvariants(sandbox, 1, 25, tally);
  } finally {
    await sandbox.stop();
  }
}

interface Waiting {
  readonly data: string;
  readonly home: string;
  readonly port: number;
  readonly url: string;
}

/** A purchase that waits for a person, in data without a running backend. */
async function waitingPurchase(paymentMethod: string | null): Promise<Waiting> {
  const data = join(await temporaryDirectory(), "data");
  const sandbox = await startSandbox({ data, seed: seedFor(paymentMethod) });
  const { home } = await sandbox.cli(1, BUY);
  const url = await pageOf(sandbox);
  await sandbox.stop();
  return { data, home, port: Number(new URL(url).port), url };
}

/**
 * Runs a backend that crashes at a point while someone acts, and returns the backend started after it.
 *
 * @param now the later backend's clock; by default it continues the earlier one's
 */
async function killDuring(
  { data, port, url }: Waiting,
  point: string,
  action: (url: string, sandbox: RunningSandbox) => Promise<unknown>,
  tally: Tally,
  now: string | null = null,
): Promise<RunningSandbox> {
  const armed = await startSandbox({ data, port, now: null, env: { SECUREFLAG_CRASH_AT: point } });
  // The crash cuts the answer.
  const acting = action(url, armed).catch(() => null);
  await armed.died();
  tally.kills += 1;
  const sandbox = await startSandbox({ data, port, now });
  await acting;
  return sandbox;
}

async function pageOf(sandbox: RunningSandbox): Promise<string> {
  return waitFor(async () => (await openPages(sandbox, 1))[0]?.url, 10_000, "a purchase with a payment page");
}

function waitForEnds(sandbox: RunningSandbox) {
  const haveEnded = async () => {
    const purchases = await sandbox.purchases(1);
    return purchases.every(({ status }) => status === "succeeded" || status === "failed") && purchases;
  };
  return waitFor(haveEnded, 20_000, "every purchase to end");
}

async function expectResumed(where: string, sandbox: RunningSandbox, home: string, tally: Tally): Promise<void> {
  const resumed = await runCli(["purchases", "resume", "--json"], { home, env: environmentFor(sandbox.ready.url, 1) });
  const statuses = JSON.parse(resumed.stdout).resumed.map(({ status }: { status: string }) => status);
  const isShown = resumed.exitCode === 0 && statuses.length === 1 && statuses[0] === "succeeded";
  tally.expect(isShown, `${where}: resume ended ${resumed.exitCode} with ${statuses} ${resumed.stderr}`);
}

async function expectOnePurchase(where: string, sandbox: RunningSandbox, tally: Tally): Promise<void> {
  const purchases = await checkInvariants(sandbox, 1, 25, tally);
  const succeeded = purchases.filter(({ status }) => status === "succeeded");
  tally.expect(
    purchases.length === 1 && succeeded.length === 1,
    `${where}: ${succeeded.length} of ${purchases.length} purchases paid where one was meant`,
  );
}

function seedFor(paymentMethod: string | null) {
  return seed(organization(1, { paymentMethod }));
}
