import { chmod, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import {
  errorOf,
  type RunningCli,
  type RunOptions,
  type RunResult,
  resultOf,
  runCli,
  startCli,
} from "../support/cli.ts";
import { FaultProxy } from "../support/faultProxy.ts";
import { actOnPage } from "../support/paymentPage.ts";
import { temporaryDirectory } from "../support/places.ts";
import { environmentFor, startSandbox } from "../support/sandbox.ts";
import { organization, seed, tokenOf } from "../support/seed.ts";
import { KEYS, runInTerminal, type TerminalRun } from "../support/terminal.ts";
import { useSandbox } from "../support/useSandbox.ts";
import { waitFor } from "../support/wait.ts";

const APPROVAL = Array.from({ length: 24 }, (_, index) => index + 1);
const DECLINED = Array.from({ length: 8 }, (_, index) => index + 101);
const WITHOUT_METHOD = 201;
const CHARGE = 24410;

interface Bought {
  purchase: {
    id: string;
    status: string;
    nextAction: { type: string; url: string; expiresAt: string } | null;
    failure: { code: string } | null;
  };
  licenses: { purchased: number };
  replayed: boolean;
}

let proxy: FaultProxy;
let terminals: TerminalRun[] = [];
const free = { approval: [...APPROVAL], declined: [...DECLINED] };

function untouched(kind: keyof typeof free): number {
  const id = free[kind].shift();
  if (id === undefined) throw new RangeError("every organization of the seed is used: add some");
  return id;
}

const sandbox = useSandbox({
  seed: seed(
    ...APPROVAL.map((id) => organization(id, { paymentMethod: "card_requires_approval" })),
    ...DECLINED.map((id) => organization(id, { paymentMethod: "card_declined" })),
    organization(WITHOUT_METHOD, { paymentMethod: null }),
  ),
});

beforeAll(async () => {
  proxy = await FaultProxy.start(sandbox.ready.url);
});

afterEach(() => {
  for (const terminal of terminals) terminal.close();
  terminals = [];
  proxy.heal();
});

afterAll(async () => {
  await proxy?.close();
});

function cli(id: number, line: string, options: RunOptions = {}): Promise<RunResult> {
  return sandbox.cli(id, [...line.split(" "), "--json"], options);
}

function start(id: number, line: string, options: RunOptions = {}): Promise<RunningCli> {
  const env = { ...environmentFor(sandbox.ready.url, id), ...options.env };
  return startCli([...line.split(" "), "--json"], { ...options, env });
}

async function openTerminal(id: number, line: string, env: Record<string, string> = {}): Promise<TerminalRun> {
  const terminal = await runInTerminal(line.split(" "), { env: { ...environmentFor(sandbox.ready.url, id), ...env } });
  terminals.push(terminal);
  return terminal;
}

/** The newest purchase once it has a page, read as another program would. */
function purchaseWithPage(id: number, from = sandbox) {
  return waitFor(
    async () => {
      const { body } = await from.request("GET", `/organizations/${id}/purchases`, { token: tokenOf(id) });
      const [newest] = (body as { items: Bought["purchase"][] }).items;
      return newest?.nextAction ? { ...newest, url: newest.nextAction.url } : undefined;
    },
    10_000,
    "a purchase with a payment page",
  );
}

async function chargesOf(id: number, from = sandbox): Promise<number[]> {
  const own = new Set((await from.purchases(id)).map((purchase) => purchase.id));
  const captures = (await from.captures()).filter(({ purchaseId }) => own.has(purchaseId));
  expect(captures.filter(({ refunded }) => refunded > 0)).toEqual([]);
  return captures.map(({ amount }) => amount);
}

async function expectBoughtOnce(id: number): Promise<void> {
  expect(await chargesOf(id)).toEqual([CHARGE]);
  expect(await sandbox.purchased(id)).toBe(30);
}

async function expectNothingBought(id: number, from = sandbox): Promise<void> {
  expect(await chargesOf(id, from)).toEqual([]);
  expect(await from.purchased(id)).toBe(25);
}

async function journalOf(home: string): Promise<string[]> {
  const names = await readdir(join(home, "config", "journal")).catch(() => []);
  return names.filter((name) => name.endsWith(".json"));
}

describe("a purchase that requires approval", () => {
  test("is waited for, and succeeds when approved", async () => {
    const id = untouched("approval");
    const running = await start(id, "buy 5 --yes --wait 60");
    const { url } = await purchaseWithPage(id);
    await expectNothingBought(id);
    expect((await actOnPage(url, "pay")).status).toBe(200);
    const run = await running.ended;
    expect(run).toMatchObject({ exitCode: 0, stderr: "" });
    expect(resultOf<Bought>(run)).toMatchObject({
      purchase: { status: "succeeded", nextAction: null },
      licenses: { purchased: 30 },
      replayed: false,
    });
    expect(await journalOf(run.home)).toEqual([]);
    await expectBoughtOnce(id);
  });

  test("exits with 6 when rejected, and charges nothing", async () => {
    const id = untouched("approval");
    const running = await start(id, "buy 5 --yes --wait 60");
    const { url } = await purchaseWithPage(id);
    await actOnPage(url, "cancel");
    const run = await running.ended;
    expect(errorOf(run)).toMatchObject({
      exitCode: 6,
      message: "The purchase was canceled before it was paid.",
      hint: expect.stringContaining("nothing was charged"),
    });
    expect(resultOf<Bought>(run)).toMatchObject({ purchase: { failure: { code: "payment_canceled" } } });
    expect(await journalOf(run.home)).toEqual([]);
    await expectNothingBought(id);
  });

  test("in CI: exits with 8 at once, shows the page in the output and the job summary, and a later job resumes it", async () => {
    const id = untouched("approval");
    const summary = join(await temporaryDirectory(), "summary.md");
    const env = {
      CI: "true",
      GITHUB_ACTIONS: "true",
      GITHUB_REPOSITORY: "acme/app",
      GITHUB_RUN_ID: "77",
      GITHUB_JOB: "licenses",
      GITHUB_STEP_SUMMARY: summary,
    };
    const first = await cli(id, "buy 5 --yes", { env });
    const { purchase } = resultOf<Bought>(first);
    const url = purchase.nextAction?.url ?? "";
    expect(errorOf(first)).toMatchObject({ exitCode: 8, hint: expect.stringContaining(url) });
    expect(await readFile(summary, "utf8")).toContain(`[Approve the payment](<${url}>)`);
    // Each job has a machine of its own.
    expect((await cli(id, "purchases resume", { env })).exitCode).toBe(8);
    const plain = await sandbox.cli(id, ["purchases", "resume"], { env });
    expect(plain).toMatchObject({ exitCode: 8, stdout: expect.stringContaining(`\n${url}\n`) });
    const again = await cli(id, "buy 5 --yes", { env });
    expect(again.exitCode).toBe(8);
    expect(resultOf<Bought>(again)).toMatchObject({ replayed: true, purchase: { id: purchase.id } });
    await actOnPage(url, "pay");
    const last = await cli(id, "buy 5 --yes", { env });
    expect(last.exitCode).toBe(0);
    expect(resultOf<Bought>(last)).toMatchObject({ replayed: true, purchase: { status: "succeeded" } });
    expect(resultOf(await cli(id, "purchases resume", { env }))).toMatchObject({ resumed: [] });
    await expectBoughtOnce(id);
  });

  test("when --wait runs out: exits with 8, stays in the journal, and resume continues it", async () => {
    const id = untouched("approval");
    const run = await cli(id, "buy 5 --yes --wait 1");
    expect(errorOf(run)).toMatchObject({
      exitCode: 8,
      message: expect.stringContaining("No license was added and nothing was charged yet."),
    });
    expect(await journalOf(run.home)).toHaveLength(1);
    expect((await cli(id, "purchases resume", { home: run.home })).exitCode).toBe(8);
    const resuming = await start(id, "purchases resume --wait 60", { home: run.home });
    await actOnPage((await purchaseWithPage(id)).url, "pay");
    const resumed = await resuming.ended;
    expect(resumed.exitCode).toBe(0);
    expect(resultOf(resumed)).toMatchObject({ resumed: [{ status: "succeeded" }], licenses: { purchased: 30 } });
    expect(await journalOf(run.home)).toEqual([]);
    await expectBoughtOnce(id);
  });

  test("on Ctrl-C: exits with 130, showing the ID, the page and the next step; the same command continues it", async () => {
    const id = untouched("approval");
    const env = environmentFor(sandbox.ready.url, id);
    const running = await startCli(["buy", "5", "--yes", "--wait", "60"], { env });
    const { id: purchaseId, url } = await purchaseWithPage(id);
    await waitFor(() => running.noted().includes(url), 10_000, "the page on stderr");
    running.kill("SIGINT");
    const { exitCode, stdout, stderr, home } = await running.ended;
    expect({ exitCode, stdout }).toEqual({ exitCode: 130, stdout: "" });
    const words = stderr.slice(stderr.lastIndexOf("The purchase"));
    for (const part of [purchaseId, url, "purchases resume", "nothing was"]) expect(words).toContain(part);
    const again = await start(id, "buy 5 --yes --wait 60", { home });
    await actOnPage(url, "pay");
    expect(resultOf<Bought>(await again.ended)).toMatchObject({ replayed: true, purchase: { id: purchaseId } });
    await expectBoughtOnce(id);
  });

  test("survives network failures while waiting", async () => {
    const id = untouched("approval");
    const env = environmentFor(proxy.url, id);
    const running = await startCli(["buy", "5", "--yes", "--wait", "60", "--timeout", "2", "--json"], { env });
    const { url } = await purchaseWithPage(id);
    const lost = () => proxy.requests.filter(({ status }) => status === null).length;
    for (const kind of ["drop", "html", "reset"] as const) {
      const before = lost();
      proxy.inject({ method: "GET", path: /purchases\/pur_/, fault: { kind, when: "before" } });
      await waitFor(() => lost() > before, 30_000, `a request that met ${kind}`);
      proxy.heal();
    }
    await actOnPage(url.replace(new URL(url).origin, sandbox.origin), "pay");
    expect(await running.ended).toMatchObject({ exitCode: 0 });
    await expectBoughtOnce(id);
  }, 90_000);

  test("in two terminals at once: both see the same outcome, and it is paid once", async () => {
    const id = untouched("approval");
    const env = environmentFor(proxy.url, id);
    const begin = (args: string, home?: string) =>
      startCli([...args.split(" "), "--wait", "60", "--json"], { env, ...(home !== undefined && { home }) });
    const first = await begin("buy 5 --yes");
    const { url } = await purchaseWithPage(id);
    const same = await begin("buy 5 --yes", first.home);
    const other = await begin("purchases resume");
    for (const asked of [
      new RegExp(`/${id}/purchases/by-key/`),
      new RegExp(`/${id}/purchases\\?status=needs_review`),
    ]) {
      const answered = () => proxy.requests.some(({ path, status }) => asked.test(path) && status === 200);
      await waitFor(answered, 10_000, "the others to have found the purchase");
    }
    await Promise.all([actOnPage(url, "pay"), actOnPage(url, "pay")]);
    const [one, two, three] = await Promise.all([first.ended, same.ended, other.ended]);
    expect([one.exitCode, two.exitCode, three.exitCode]).toEqual([0, 0, 0]);
    expect(resultOf<Bought>(two).purchase.id).toBe(resultOf<Bought>(one).purchase.id);
    await expectBoughtOnce(id);
  });

  test("does not block another command", async () => {
    const id = untouched("approval");
    const first = await start(id, "buy 5 --yes --wait 60");
    const { id: purchaseId } = await purchaseWithPage(id);
    const other = await sandbox.cli(id, ["buy", "3", "--yes", "--wait", "0"], { home: first.home });
    expect(other.exitCode).toBe(8);
    expect(other.stderr.replaceAll("\n", " ")).toContain(`${purchaseId}, is still waiting for approval`);
    expect(await sandbox.purchases(id)).toHaveLength(2);
    first.kill("SIGKILL");
    await first.ended;
  });
});

describe("when the command is killed", () => {
  test("C5, while waiting: resume continues", async () => {
    const id = untouched("approval");
    const killed = await cli(id, "buy 5 --yes --wait 60", { env: { SECUREFLAG_CRASH_AT: "C5" } });
    expect(killed).toMatchObject({ exitCode: 137, stdout: "" });
    expect(await journalOf(killed.home)).toHaveLength(1);
    const resuming = await start(id, "purchases resume --wait 60", { home: killed.home });
    await actOnPage((await purchaseWithPage(id)).url, "pay");
    expect(resultOf(await resuming.ended)).toMatchObject({ resumed: [{ status: "succeeded" }] });
    await expectBoughtOnce(id);
  });

  test("C5, and approved before the next command: the same command shows it", async () => {
    const id = untouched("approval");
    const killed = await cli(id, "buy 5 --yes --wait 60", { env: { SECUREFLAG_CRASH_AT: "C5" } });
    await actOnPage((await purchaseWithPage(id)).url, "pay");
    const again = await cli(id, "buy 5 --yes", { home: killed.home });
    expect(again.exitCode).toBe(0);
    expect(resultOf<Bought>(again)).toMatchObject({ replayed: true });
    expect(await journalOf(killed.home)).toEqual([]);
    await expectBoughtOnce(id);
  });

  test.each(["C1", "C2"])("%s: the same command ends with one purchase", async (point) => {
    const id = untouched("approval");
    const killed = await cli(id, "buy 5 --yes --wait 60", { env: { SECUREFLAG_CRASH_AT: point } });
    expect(killed.exitCode).toBe(137);
    if (point === "C2") await purchaseWithPage(id);
    const again = await start(id, "buy 5 --yes --wait 60", { home: killed.home });
    await actOnPage((await purchaseWithPage(id)).url, "pay");
    expect((await again.ended).exitCode).toBe(0);
    expect(await sandbox.purchases(id)).toHaveLength(1);
    await expectBoughtOnce(id);
  });

  test("C3, after the result was printed: the replay shows it and clears the journal", async () => {
    const id = untouched("approval");
    const running = await start(id, "buy 5 --yes --wait 60", { env: { SECUREFLAG_CRASH_AT: "C3" } });
    await actOnPage((await purchaseWithPage(id)).url, "pay");
    const killed = await running.ended;
    expect(killed.exitCode).toBe(137);
    expect(resultOf<Bought>(await cli(id, "buy 5 --yes", { home: killed.home }))).toMatchObject({ replayed: true });
    expect(await journalOf(killed.home)).toEqual([]);
    await expectBoughtOnce(id);
  });
});

test("a purchase that nobody approves expires: exits with 6 for waiting and later commands", async () => {
  const own = await startSandbox({ seed: seed(organization(1, { paymentMethod: "card_requires_approval" })) });
  try {
    const left = await own.cli(1, ["buy", "5", "--yes", "--json"]);
    expect(left.exitCode).toBe(8);
    const { url } = await purchaseWithPage(1, own);
    const env = environmentFor(own.ready.url, 1);
    const waiting = await startCli(["purchases", "resume", "--wait", "60"], { env });
    await waitFor(() => waiting.noted().includes(url), 10_000, "the page on stderr");
    expect((await own.cli(1, ["sandbox", "clock", "advance", "--by", "2"])).exitCode).toBe(0);
    const waited = await waiting.ended;
    expect(waited.exitCode).toBe(6);
    expect(waited.stderr).toContain("The purchase was not paid in time");
    const later = await own.cli(1, ["purchases", "resume", "--json"], { home: left.home });
    expect(resultOf(later)).toMatchObject({ resumed: [{ status: "failed", nextAction: null, receiptNumber: null }] });
    expect(errorOf(later)).toMatchObject({ exitCode: 6, hint: expect.stringContaining("nothing was charged") });
    expect(await journalOf(left.home)).toEqual([]);
    await expectNothingBought(1, own);
  } finally {
    await own.stop();
  }
});

describe("purchases cancel", () => {
  test("cancels a waiting purchase: exits with 0, even a second time, and its page accepts no payment", async () => {
    const id = untouched("approval");
    const run = await cli(id, "buy 5 --yes");
    const { purchase } = resultOf<Bought>(run);
    for (const home of [run.home, await temporaryDirectory()]) {
      const canceled = await cli(id, `purchases cancel ${purchase.id} --yes`, { home });
      expect(canceled).toMatchObject({ exitCode: 0, stderr: "" });
      expect(resultOf<Bought>(canceled)).toMatchObject({ purchase: { failure: { code: "payment_canceled" } } });
    }
    // The command that bought was not told: it still finds its purchase.
    expect(await journalOf(run.home)).toHaveLength(1);
    await actOnPage(purchase.nextAction?.url ?? "", "pay");
    await expectNothingBought(id);
  });

  test("exits with 9 for a paid purchase", async () => {
    const id = untouched("approval");
    const { purchase } = resultOf<Bought>(await cli(id, "buy 5 --yes"));
    await actOnPage(purchase.nextAction?.url ?? "", "pay");
    const run = await cli(id, `purchases cancel ${purchase.id} --yes`);
    expect(errorOf(run)).toMatchObject({ exitCode: 9, code: "not_cancelable" });
    expect(run.stdout).toBe("");
    await expectBoughtOnce(id);
  });
});

describe("a declined card", () => {
  test("exits with 6 and a plain message; the same card is declined again; another card on the page pays", async () => {
    const id = untouched("declined");
    const run = await cli(id, "buy 5 --yes");
    const { purchase } = resultOf<Bought>(run);
    expect(errorOf(run)).toMatchObject({ exitCode: 6, message: "The bank declined the card." });
    expect(purchase).toMatchObject({ status: "failed", nextAction: { type: "pay" } });
    const again = await cli(id, `purchases pay ${purchase.id} --yes`);
    expect(errorOf(again)).toMatchObject({
      exitCode: 6,
      hint: expect.stringContaining(purchase.nextAction?.url ?? ""),
    });
    expect(resultOf<Bought>(again)).toMatchObject({ purchase: { id: purchase.id, status: "failed" } });
    await expectNothingBought(id);
    const waiting = await start(id, `purchases pay ${purchase.id} --yes --wait 60`);
    await actOnPage(purchase.nextAction?.url ?? "", "pay", "card_insufficient_funds");
    await actOnPage(purchase.nextAction?.url ?? "", "pay", "card_ok");
    const paid = await waiting.ended;
    expect(paid.exitCode).toBe(0);
    expect(resultOf<Bought>(paid)).toMatchObject({ purchase: { id: purchase.id, status: "succeeded" } });
    await expectBoughtOnce(id);
  });

  test("a new purchase closes the declined one: paying it exits with 9", async () => {
    const id = untouched("declined");
    const { purchase } = resultOf<Bought>(await cli(id, "buy 5 --yes"));
    expect((await cli(id, "buy 5 --yes")).exitCode).toBe(6);
    const run = await cli(id, `purchases pay ${purchase.id} --yes`);
    expect(errorOf(run)).toMatchObject({ exitCode: 9, code: "not_payable" });
    await expectNothingBought(id);
  });

  test("a lost response to pay never causes a second attempt", async () => {
    const id = untouched("declined");
    const { purchase } = resultOf<Bought>(await cli(id, "buy 5 --yes"));
    proxy.inject({ method: "POST", path: /payment$/, fault: { kind: "drop", when: "after" } });
    const env = environmentFor(proxy.url, id);
    const run = await runCli(["purchases", "pay", purchase.id, "--yes", "--json"], { env });
    expect(errorOf(run)).toMatchObject({ exitCode: 10, code: "outcome_unknown" });
    expect(resultOf<Bought>(run)).toMatchObject({ purchase: { id: purchase.id } });
    expect(proxy.requests.filter(({ path }) => path.endsWith(`${purchase.id}/payment`))).toHaveLength(1);
    await expectNothingBought(id);
  });

  test("offers another card in a terminal, and opens the page", async () => {
    const id = untouched("declined");
    const { path, opened } = await fakeBrowser();
    const terminal = await openTerminal(id, "buy 5", { PATH: path });
    await terminal.waitForText("now? (y/N)");
    terminal.type(`y${KEYS.enter}`);
    await terminal.waitForText("Try another card in the browser? (y/N)");
    expect(terminal.screen()).toContain("The bank declined the card.");
    terminal.type(`y${KEYS.enter}`);
    const { url } = await purchaseWithPage(id);
    await waitFor(async () => (await opened()) === `1 ${url}\n`, 10_000, "the page in the browser");
    await actOnPage(url, "pay", "card_ok");
    expect(await terminal.exitCode()).toBe(0);
    expect(terminal.screen()).toContain("✓ Bought 5 licenses");
    await expectBoughtOnce(id);
  });
});

describe("in a terminal", () => {
  test("the page is shown and opened once, a spinner is drawn, and Ctrl-C prints the final message", async () => {
    const id = untouched("approval");
    const { path, opened } = await fakeBrowser();
    const terminal = await openTerminal(id, "buy 5 --yes", { PATH: path });
    const { id: purchaseId, url } = await purchaseWithPage(id);
    await terminal.waitForText(/[⠁-⣿]/);
    expect(terminal.screen()).toContain(url);
    await waitFor(async () => (await opened()) === `1 ${url}\n`, 10_000, "the page in the browser");
    terminal.type(KEYS.controlC);
    expect(await terminal.exitCode()).toBe(130);
    expect(terminal.screen()).toContain(`The purchase ${purchaseId}`);
    expect(await opened()).toBe(`1 ${url}\n`);
  });

  test("cancel asks for confirmation, No by default", async () => {
    const id = untouched("approval");
    const { purchase } = resultOf<Bought>(await cli(id, "buy 5 --yes"));
    const terminal = await openTerminal(id, `purchases cancel ${purchase.id}`);
    await terminal.waitForText("(y/N)");
    terminal.type(KEYS.enter);
    expect(await terminal.exitCode()).toBe(3);
    expect((await sandbox.purchases(id))[0]).toMatchObject({ status: "requires_approval" });
  });
});

test("an organization without a payment method adds one while paying, and keeps it", async () => {
  const id = WITHOUT_METHOD;
  const first = await cli(id, "buy 5 --yes");
  expect(errorOf(first)).toMatchObject({
    exitCode: 8,
    message: expect.stringContaining("add a card on the payment page"),
  });
  const running = await start(id, "buy 5 --yes --wait 60", { home: first.home });
  const { url } = await purchaseWithPage(id);
  await actOnPage(url, "pay", "card_ok");
  expect((await running.ended).exitCode).toBe(0);
  await expectBoughtOnce(id);
  expect(resultOf(await cli(id, "status"))).toMatchObject({ paymentMethod: { type: "card" } });
});

/** A `xdg-open` that writes down how it was called: how many arguments, and which. */
async function fakeBrowser(): Promise<{ path: string; opened(): Promise<string> }> {
  const folder = await temporaryDirectory();
  const program = join(folder, "xdg-open");
  const log = join(folder, "opened");
  await writeFile(program, `#!/bin/sh\necho "$#" "$@" >> ${log}\n`);
  await chmod(program, 0o755);
  return { path: `${folder}:/usr/bin:/bin`, opened: () => readFile(log, "utf8").catch(() => "") };
}
