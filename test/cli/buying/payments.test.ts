import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runProgram } from "../../../src/cli/main.ts";
import type { PurchaseAnswer } from "../../../src/contract/billing.ts";
import {
  API_URL,
  entry,
  failedPurchase,
  me,
  ORIGIN,
  openPurchase,
  payablePurchase,
  purchase,
  quote,
  subscription,
} from "../support/builders.ts";
import { type FakeWorld, fakeContext } from "../support/fakeContext.ts";
import { fakeJournal } from "../support/fakeJournal.ts";
import { KEY, PRICED, refusal } from "../support/playBuy.ts";
import { type ExpectedCall, scriptedClient } from "../support/script.ts";

const ENV = { SECUREFLAG_API_TOKEN: "sfl_secret_x_ci", SECUREFLAG_API_URL: API_URL, SECUREFLAG_ORGANIZATION: "4201" };

const WAITING = { ...openPurchase("requires_approval"), idempotencyKey: KEY };

const CANCELED = failedPurchase({ failure: { code: "payment_canceled", message: "x" } });

const TERMINAL: FakeWorld = { isTerminal: true };

const bought = (answer: PurchaseAnswer): ExpectedCall[] => [
  ...PRICED,
  { call: "createPurchase", gives: { purchase: { ...answer, idempotencyKey: KEY }, replayed: false } },
];

const look = (gives: PurchaseAnswer): ExpectedCall => ({ call: "purchase", gives });

/** What the question before paying shows beside the purchase. */
const SHOWN: ExpectedCall[] = [
  { call: "subscription", gives: subscription() },
  { call: "me", gives: me() },
];

async function play(line: string, script: readonly ExpectedCall[], world: FakeWorld = {}) {
  const scripted = scriptedClient(script);
  const context = fakeContext({ env: ENV, ...world, client: scripted.client });
  const code = await runProgram(line.split(" "), context);
  scripted.assertDone();
  return { code, context, ...context.written };
}

describe("buy in a terminal, with a purchase that requires approval", () => {
  const approved = [...bought(WAITING), look(purchase({ idempotencyKey: KEY }))];

  it("shows and opens the page, waits, and prints the result", async () => {
    const { code, stdout, stderr, context } = await play("buy 5 --yes", approved, TERMINAL);
    expect(code).toBe(0);
    expect(context.opened).toEqual([`${ORIGIN}/pay/pur_1`]);
    expect(stderr.replaceAll("\n", " ")).toContain(
      `Approve the payment by 2026-11-23 10:00 UTC at ${ORIGIN}/pay/pur_1`,
    );
    expect(stdout).toContain("✓ Bought 5 licenses (25 → 30) for £244.10\nReceipt 4201-000001\n");
    expect(context.reached).toEqual(["C5", "C3"]);
  });

  it.each([
    ["--no-open", "buy 5 --yes --no-open", TERMINAL],
    ["--no-input", "buy 5 --yes --no-input --wait 9", TERMINAL],
    ["CI", "buy 5 --yes --wait 9", { ...TERMINAL, env: { ...ENV, CI: "true" } }],
    ["no terminal", "buy 5 --yes --wait 9", {}],
  ])("opens nothing with %s, and still waits", async (_what, line, world) => {
    const { code, context, stderr } = await play(line, approved, world);
    expect({ code, opened: context.opened }).toEqual({ code: 0, opened: [] });
    expect(stderr).toContain("/pay/pur_1");
  });

  it.each(["https://evil.example/pay", "http://127.0.0.1:9/pay/pur_1", "javascript:alert(1)"])(
    "never opens %s, and says so",
    async (url) => {
      const nextAction = { type: "approve_payment", url, expiresAt: "2026-11-23T10:00:01Z" };
      const script = [...bought({ ...WAITING, nextAction }), look(purchase({ idempotencyKey: KEY }))];
      const { context, stderr } = await play("buy 5 --yes", script, TERMINAL);
      expect(context.opened).toEqual([]);
      expect(stderr.replaceAll("\n", " ")).toContain(`Not opened, as it is not a page of ${ORIGIN}.`);
    },
  );

  it("names ID, page and next step when interrupted", async () => {
    const scripted = scriptedClient([...bought(WAITING), { call: "purchase", gives: new Promise(() => {}) }]);
    const journal = fakeJournal();
    const context = fakeContext({ env: ENV, client: scripted.client, journal });
    const running = runProgram(["buy", "5", "--yes", "--wait", "300"], context);
    await expect.poll(() => scripted.calls).toContain("purchase");
    context.send("SIGINT");
    expect(await running).toBe(130);
    const { stdout, stderr } = context.written;
    expect(stdout).toBe("");
    for (const part of ["pur_1 is waiting", `${ORIGIN}/pay/pur_1`, "purchases resume", "nothing was charged yet"]) {
      expect(stderr.replaceAll("\n", " ")).toContain(part);
    }
    expect(journal.kept).toHaveLength(1);
  });
});

describe("the text for a purchase that did not succeed", () => {
  const WIDE: FakeWorld = { env: { ...ENV, NO_COLOR: "1" }, isTerminal: true, isStdoutTerminal: true, columns: 100 };

  const still = { call: "purchase", gives: WAITING } as const;

  const times = (text: string, part: string) => text.split(part).length - 1;

  it.each([
    ["waits, in a terminal", "buy 5 --yes --wait 1", [...bought(WAITING), still], WIDE, "purchases resume"],
    ["waits, with --wait 0", "buy 5 --yes --wait 0", bought(WAITING), WIDE, "purchases resume"],
    ["waits, off a terminal", "buy 5 --yes", bought(WAITING), {}, "purchases resume"],
    ["was declined, off a terminal", "buy 5 --yes", bought(payablePurchase()), {}, "purchases pay pur_1"],
    [
      "was declined again",
      "purchases pay pur_1 --yes --wait 0",
      [look(payablePurchase()), { call: "payPurchase", gives: payablePurchase() } as const],
      WIDE,
      "purchases pay pur_1",
    ],
  ] as [string, string, ExpectedCall[], FakeWorld, string][])(
    "shows page, deadline and next step once if it %s",
    async (...row) => {
      const [, line, script, world, next] = row;
      const { code, stdout, stderr } = await play(line, script, world);
      expect([6, 8]).toContain(code);
      const all = `${stderr}${stdout}`.replaceAll(/\s+/g, " ");
      for (const fact of ["/pay/pur_1", "2026-11-23 10:00 UTC", next])
        expect([fact, times(all, fact)]).toEqual([fact, 1]);
      for (const fact of ["declined the card", "requires approval."]) expect(times(all, fact)).toBeLessThanOrEqual(1);
      const error = stderr.slice(stderr.indexOf("Error: ")).trimEnd().split("\n");
      expect(error.length).toBeLessThanOrEqual(3);
      expect(error.join(" ")).toContain(next);
    },
  );

  it("keeps page and deadline in the --json error document", async () => {
    const { stderr } = await play("buy 5 --yes --json", bought(WAITING));
    expect(JSON.parse(stderr).error.hint).toBe(
      `Open ${ORIGIN}/pay/pur_1 to pay by 2026-11-23 10:00 UTC, then run \`secureflag-licenses purchases resume\`.`,
    );
  });

  it("keeps them in the error if the result cannot be printed", async () => {
    const { code, stderr } = await play("buy 5 --yes", bought(WAITING), { isStdoutFull: true });
    expect([code, stderr]).toEqual([8, expect.stringContaining(`Open ${ORIGIN}/pay/pur_1 to pay`)]);
  });
});

describe("a guard that would stop a purchase", () => {
  const few = [PRICED[0], { call: "createQuote", gives: quote(5) }] as ExpectedCall[];

  it.each([
    ["buy 5 --max-total 1", few, "max_total_exceeded"],
    ["buy 5 --if-purchased 99", few, "if_purchased_not_met"],
    ["buy 5 --max-licenses 3", [], "max_licenses_exceeded"],
    ["top-up --available 500 --max-licenses 3", [PRICED[0]], "max_licenses_exceeded"],
    ["top-up --available 8 --max-total 1", few, "max_total_exceeded"],
  ] as [string, ExpectedCall[], string][])("is checked before a missing --yes: %s", async (line, script, code) => {
    const run = await play(`${line} --json`, script);
    expect([run.code, run.stdout, JSON.parse(run.stderr).error.code]).toEqual([7, "", code]);
    const asked = await play(`${line} --no-input --json`, script, TERMINAL);
    expect([asked.code, asked.context.questions]).toEqual([7, []]);
  });

  it.each([
    ["buy 5 --max-total 300", [...few, { call: "me", gives: me() }]],
    ["buy 5 --max-licenses 5", []],
    ["buy 5 --if-purchased 25", [{ call: "subscription", fails: refusal("unavailable") }]],
    ["top-up --available 8 --max-licenses 5", [...few, { call: "me", gives: me() }]],
    ["top-up --available 8", []],
    ["buy 5", []],
  ] as [string, ExpectedCall[]][])(
    "needs --yes if it allows the purchase, which is not sent: %s",
    async (line, script) => {
      const { code, stdout, stderr, context } = await play(line, script);
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
      expect(stderr).toBe(
        "Error: Cannot prompt for confirmation: not a terminal.\nPass --yes to buy without a prompt.\n",
      );
      expect(context.reached).toEqual([]);
    },
  );

  it.each([
    ["licenses reduce 22 --if-purchased 99", [PRICED[0]], 7],
    ["licenses reduce 40 --if-purchased 25", [PRICED[0]], 2],
    ["licenses reduce 22 --if-purchased 25", [PRICED[0]], 2],
    ["licenses reduce 40", [], 2],
  ] as [string, ExpectedCall[], number][])("changes nothing: %s", async (line, script, exitCode) => {
    const { code, stderr } = await play(line, script);
    expect(code).toBe(exitCode);
    expect(stderr).toContain(line.includes("22 --if-purchased 25") || !line.includes("if") ? "Pass --yes" : "Error: ");
  });
});

describe("buy in a terminal, with a declined card", () => {
  const declined = bought(payablePurchase());
  const asking: ExpectedCall[] = [...PRICED, { call: "me", gives: me() }, ...declined.slice(-1)];

  it("offers another card, opens the page and waits", async () => {
    const script = [...asking, look(purchase({ idempotencyKey: KEY }))];
    const { code, context, stderr } = await play("buy 5", script, { ...TERMINAL, answers: [true, true] });
    expect(code).toBe(0);
    expect(context.questions[1]).toBe("Try another card in the browser?");
    expect(context.opened).toEqual([`${ORIGIN}/pay/pur_1`]);
    expect(stderr.replaceAll("\n", " ")).toContain("The bank declined the card. No license was added");
  });

  it("accepts No", async () => {
    const { code, context, stdout } = await play("buy 5", asking, { ...TERMINAL, answers: [true, false] });
    expect({ code, opened: context.opened }).toEqual({ code: 6, opened: [] });
    expect(stdout).toContain("Pay with another card by 2026-11-23 10:00 UTC at:");
  });

  it("never offers it with --yes", async () => {
    const { code, context } = await play("buy 5 --yes", declined, TERMINAL);
    expect({ code, questions: context.questions }).toEqual({ code: 6, questions: [] });
  });
});

describe("purchases pay", () => {
  it("prints what buy prints", async () => {
    const { code, stdout, context } = await play("purchases pay pur_1 --yes --json", [
      { call: "purchase", with: [4201, "pur_1"], gives: payablePurchase() },
      { call: "payPurchase", with: [4201, "pur_1"], gives: purchase() },
    ]);
    expect(code).toBe(0);
    expect(Object.keys(JSON.parse(stdout))).toEqual(["purchase", "licenses", "quote", "replayed", "dryRun"]);
    expect(context.reached).toEqual([]);
  });

  it("needs --yes if it cannot prompt, and sends nothing without it", async () => {
    const { code, stderr } = await play("purchases pay pur_1", []);
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: "Error: Cannot prompt for confirmation: not a terminal.\nPass --yes to pay without a prompt.\n",
    });
  });

  it.each([true, false])("shows the amount and the payment method, and asks: %s", async (answer) => {
    const paying: ExpectedCall = { call: "payPurchase", gives: purchase() };
    const script: ExpectedCall[] = [look(payablePurchase()), ...SHOWN, ...(answer ? [paying] : [])];
    const { code, context, stderr } = await play("purchases pay pur_1", script, { ...TERMINAL, answers: [answer] });
    expect({ code, questions: context.questions }).toEqual({
      code: answer ? 0 : 3,
      questions: ["Pay £244.10 for 5 licenses now?"],
    });
    for (const part of [
      "£244.10 (£203.42 + £40.68 tax)",
      "Visa ending in 4242",
      "Northwind Labs",
      "The bank declined",
    ]) {
      expect(stderr).toContain(part);
    }
    expect(stderr.endsWith("Canceled. Nothing was changed.\n")).toBe(!answer);
    expect(stderr).not.toContain("Error:");
  });

  it("shows an already paid purchase without asking", async () => {
    const { code, context, stdout } = await play("purchases pay pur_1", [look(purchase())], TERMINAL);
    expect({ code, questions: context.questions }).toEqual({ code: 0, questions: [] });
    expect(stdout).toMatch(
      /^✓ Already paid: 5 licenses for £244\.10\. Nothing was charged\.\nReceipt 4201-000001\nDetails/,
    );
    const renewal = purchase({ kind: "renewal", licenses: 25 });
    expect((await play("purchases pay pur_1 --yes", [look(renewal)])).stdout).toMatch(
      /^✓ Already paid: renewal of 25 licenses for £\S+\. Nothing was charged\.\n/,
    );
  });

  it("reports the current number of licenses if its own were added", async () => {
    const paying = (gives: PurchaseAnswer): ExpectedCall[] => [look(payablePurchase()), { call: "payPurchase", gives }];
    const { stdout } = await play("purchases pay pur_1 --yes", paying(purchase()));
    expect(stdout).toContain("✓ Bought 5 licenses (25 → 30) for £244.10\n");
    const more = purchase({ organizationLicenses: { purchased: 40, used: 22, available: 18 } });
    expect((await play("purchases pay pur_1 --yes", paying(more))).stdout).toContain(
      "✓ Bought 5 licenses for £244.10\n",
    );
  });

  it("rejects what can no longer be paid before asking", async () => {
    const { code, context } = await play("purchases pay pur_1", [look(failedPurchase())], TERMINAL);
    expect({ code, questions: context.questions }).toEqual({ code: 9, questions: [] });
  });

  it("exits with 10 if the amount differs from the one shown, with the purchase on stdout", async () => {
    const charged = { ...purchase(), total: { amount: 244_100, currency: "GBP" } };
    const script: ExpectedCall[] = [look(payablePurchase()), { call: "payPurchase", gives: charged }];
    const { code, stdout, stderr } = await play("purchases pay pur_1 --yes --json", script);
    expect({ code, stderr: JSON.parse(stderr) }).toMatchObject({
      code: 10,
      stderr: { error: { code: "charged_other_amount" } },
    });
    expect(JSON.parse(stdout)).toMatchObject({ purchase: { total: charged.total } });
  });

  it("exits with 6 in a script, with the purchase on stdout and the page in both", async () => {
    const script: ExpectedCall[] = [look(payablePurchase()), { call: "payPurchase", gives: payablePurchase() }];
    const { code, stdout, stderr } = await play("purchases pay pur_1 --yes --json", script);
    expect(code).toBe(6);
    expect(JSON.parse(stdout)).toMatchObject({ purchase: { nextAction: { url: `${ORIGIN}/pay/pur_1` } } });
    expect(JSON.parse(stderr)).toMatchObject({
      error: { code: "payment_declined", hint: expect.stringContaining(`${ORIGIN}/pay/pur_1`) },
    });
  });

  it("shows the reason in a terminal, opens the page, and waits for another card", async () => {
    const script = [
      look(payablePurchase()),
      { call: "payPurchase", gives: payablePurchase() } as const,
      look(payablePurchase()),
      look(purchase()),
    ];
    const { code, stderr, context } = await play("purchases pay pur_1 --yes", script, TERMINAL);
    expect(code).toBe(0);
    expect(stderr.replaceAll("\n", " ")).toMatch(/The bank declined the card\. Pay with another card by .* at http/);
    expect(context.opened).toEqual([`${ORIGIN}/pay/pur_1`]);
  });

  it("keeps the journal entry of the command that started the purchase", async () => {
    const journal = fakeJournal([entry({ idempotencyKey: "key_1" })]);
    const script: ExpectedCall[] = [look(payablePurchase()), { call: "payPurchase", gives: purchase() }];
    expect(await play("purchases pay pur_1 --yes", script, { journal })).toMatchObject({ code: 0 });
    expect(journal.kept).toHaveLength(1);
  });

  it("exits with 9 if refused, and prints nothing", async () => {
    const script: ExpectedCall[] = [look(payablePurchase()), { call: "payPurchase", fails: refusal("not_payable") }];
    expect(await play("purchases pay pur_1 --yes", script)).toMatchObject({ code: 9, stdout: "" });
  });
});

describe("purchases cancel", () => {
  const canceling: ExpectedCall = { call: "cancelPurchase", with: [4201, "pur_1"], gives: CANCELED };

  it("says that it was done if the result cannot be printed", async () => {
    const { code, stderr } = await play("purchases cancel pur_1 --yes", [canceling], { isStdoutFull: true });
    const told = "The purchase pur_1 was canceled, but the output could not be written";
    expect([code, stderr.replaceAll("\n", " ")]).toEqual([10, expect.stringContaining(told)]);
  });

  it("needs --yes if it cannot prompt, and sends nothing without it", async () => {
    const { code, stderr } = await play("purchases cancel pur_1", []);
    expect(code).toBe(2);
    expect(stderr).toContain("--yes");
  });

  it("prints the canceled purchase as pay does, and exits with 0", async () => {
    const { code, stdout, stderr } = await play("purchases cancel pur_1 --yes --json", [canceling]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(JSON.parse(stdout)).toMatchObject({ purchase: { failure: { code: "payment_canceled" } }, replayed: false });
  });

  it("asks for confirmation, No by default", async () => {
    const world = (answer: boolean): FakeWorld => ({ ...TERMINAL, answers: [answer] });
    const { code, context, stderr } = await play(
      "purchases cancel pur_1",
      [look(WAITING), { call: "me", gives: me() }, canceling],
      world(true),
    );
    expect({ code, questions: context.questions }).toEqual({
      code: 0,
      questions: ["Cancel this purchase of 5 licenses?"],
    });
    expect(stderr).toContain("£244.10");
    expect(context.opened).toEqual([]);
    const asking: ExpectedCall[] = [look(WAITING), { call: "me", gives: me() }];
    expect(await play("purchases cancel pur_1", asking, world(false))).toMatchObject({ code: 3, stdout: "" });
  });

  it.each([
    ["purchases cancel pur_1", [look(WAITING)]],
    ["purchases pay pur_1", [look(payablePurchase()), { call: "subscription", gives: subscription() }]],
    ["licenses reduce 22", [{ call: "subscription", gives: subscription() }]],
    [
      "buy 5",
      [
        { call: "subscription", gives: subscription() },
        { call: "createQuote", gives: quote(5) },
      ],
    ],
  ] as [string, ExpectedCall[]][])("does not prompt if the token lacks permission: %s", async (line, reads) => {
    const reader = me({ token: { ...me().token, scopes: ["billing:read"] } });
    const { code, context } = await play(line, [...reads, { call: "me", gives: reader }], TERMINAL);
    expect([code, context.questions]).toEqual([5, []]);
  });

  it("does not prompt in buy if the token's limit does not allow it", async () => {
    const gbp = (amount: number) => ({ amount, currency: "GBP" });
    const spendLimit = { amount: gbp(50_000), amountLeft: gbp(24_409), licenses: null, licensesLeft: null };
    const reads: ExpectedCall[] = [
      { call: "subscription", gives: subscription() },
      { call: "createQuote", gives: quote(5) },
      { call: "me", gives: me({ token: { ...me().token, spendLimit } }) },
    ];
    const { code, context, stderr } = await play("buy 5", reads, TERMINAL);
    expect([code, context.questions]).toEqual([5, []]);
    expect(stderr).toContain("£244.09 left");
  });

  it("accepts the start of an ID or a receipt number, even with --yes", async () => {
    const whole = `pur_${"a".repeat(24)}`;
    for (const name of [whole.slice(0, 12), "4201-000001"]) {
      const script: ExpectedCall[] = [
        { call: "purchase", with: [4201, name], gives: { ...WAITING, id: whole } },
        { call: "cancelPurchase", with: [4201, whole], gives: { ...CANCELED, id: whole } },
      ];
      expect((await play(`purchases cancel ${name} --yes`, script)).code).toBe(0);
    }
  });

  it("exits with 9 if refused", async () => {
    const script: ExpectedCall[] = [{ call: "cancelPurchase", fails: refusal("not_cancelable") }];
    expect(await play("purchases cancel pur_1 --yes", script)).toMatchObject({ code: 9, stdout: "" });
  });
});

describe("the job summary", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "summary-"));
  });
  afterAll(() => rm(folder, { recursive: true }));
  const inJob = (path: string): FakeWorld => ({ env: { ...ENV, CI: "true", GITHUB_STEP_SUMMARY: path } });

  it("is appended to existing content", async () => {
    const path = join(folder, "there.md");
    await writeFile(path, "# Before\n");
    await play("buy 5 --yes --json", bought(WAITING), inJob(path));
    const paying: ExpectedCall = { call: "payPurchase", gives: payablePurchase() };
    await play("purchases pay pur_1 --yes", [look(payablePurchase()), paying], inJob(path));
    const text = await readFile(path, "utf8");
    expect(text).toMatch(/^# Before\n### A license purchase requires approval.*### A license purchase failed/s);
  });

  it("has nothing for a successful purchase, and is created private if missing", async () => {
    const path = join(folder, "new.md");
    await play("buy 5 --yes", bought(purchase()), inJob(path));
    await expect(stat(path)).rejects.toMatchObject({ code: "ENOENT" });
    await play("buy 5 --yes", bought(WAITING), inJob(path));
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  it("causes a warning and changes nothing if it cannot be written", async () => {
    const world = inJob(join(folder, "missing", "summary.md"));
    const { code, stdout, stderr } = await play("buy 5 --yes", bought(WAITING), world);
    expect(code).toBe(8);
    expect(stdout).toContain("/pay/pur_1");
    expect(stderr).toContain("Failed to write GITHUB_STEP_SUMMARY");
  });
});

describe("a dry run of pay and cancel", () => {
  const dry = async (line: string, found: PurchaseAnswer) => {
    const { code, stdout } = await play(`${line} pur_1 --dry-run --json`, [look(found)]);
    return { code, result: stdout === "" ? null : JSON.parse(stdout) };
  };

  it.each([
    ["purchases pay", payablePurchase()],
    ["purchases pay", openPurchase("requires_approval")],
    ["purchases cancel", openPurchase("requires_approval")],
  ])("%s shows the purchase, does not prompt, and changes nothing", async (line, found) => {
    const { code, result } = await dry(line, found);
    expect(code).toBe(0);
    expect(result).toMatchObject({ purchase: { id: "pur_1", status: found.status }, dryRun: true, replayed: false });
  });

  it.each([
    ["purchases pay", failedPurchase()],
    ["purchases cancel", purchase()],
    ["purchases cancel", payablePurchase()],
  ])("%s exits with 9 if it would be refused", async (line, found) => {
    expect(await dry(line, found)).toEqual({ code: 9, result: null });
  });

  it.each([
    ["purchases pay", payablePurchase(), "would try to pay this"],
    ["purchases pay", purchase(), "already paid"],
    ["purchases cancel", openPurchase("requires_approval"), "would cancel this"],
    ["purchases cancel", failedPurchase({ failure: { code: "payment_canceled", message: "x" } }), "already canceled"],
  ])("%s describes what would be done", async (line, found, words) => {
    const { code, stdout } = await play(`${line} pur_1 --dry-run`, [look(found)]);
    expect(code).toBe(0);
    expect(stdout).toMatch(new RegExp(`^Dry run: ${words}\\.\\nPurchase +pur_1`));
  });
});
