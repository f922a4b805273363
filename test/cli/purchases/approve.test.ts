import { describe, expect, it } from "vitest";
import { renderJobSummary } from "../../../src/cli/buying/jobSummary.ts";
import { runProgram } from "../../../src/cli/main.ts";
import type { PurchaseAnswer } from "../../../src/contract/billing.ts";
import {
  API_URL,
  awaitingPurchase,
  DIGEST,
  failedPurchase,
  me,
  openPurchase,
  payablePurchase,
  purchase,
  quote,
  subscription,
} from "../support/builders.ts";
import { type FakeWorld, fakeContext } from "../support/fakeContext.ts";
import { KEY, PRICED, refusal } from "../support/playBuy.ts";
import { type ExpectedCall, scriptedClient } from "../support/script.ts";

const ENV = { SECUREFLAG_API_TOKEN: "sfl_secret_x_ci", SECUREFLAG_API_URL: API_URL, SECUREFLAG_ORGANIZATION: "4201" };

const TERMINAL: FakeWorld = { isTerminal: true };

const SESSION = me({ token: { ...me().token, name: null } });

const APPROVED = { digest: DIGEST, approvedBy: "bob@northwind.example", approvedAt: "2026-11-22T13:00:00Z" };

const BOUGHT = purchase({ approval: APPROVED });

const REJECTED = failedPurchase({ failure: { code: "rejected", message: "Too many." } });

const look = (gives: PurchaseAnswer): ExpectedCall => ({ call: "purchase", gives });

const approving = (gives: PurchaseAnswer): ExpectedCall => ({
  call: "approvePurchase",
  with: [4201, "pur_1", DIGEST],
  gives,
});

const rejecting = (gives: PurchaseAnswer): ExpectedCall => ({
  call: "rejectPurchase",
  with: [4201, "pur_1", "duplicate"],
  gives,
});

const REJECT = "purchases reject pur_1 --reason duplicate";

const INVITATION = "It waits for another administrator to run `secureflag-licenses purchases approve pur_1`";

async function play(line: string, script: readonly ExpectedCall[], world: FakeWorld = {}) {
  const scripted = scriptedClient(script);
  const context = fakeContext({ env: ENV, ...world, client: scripted.client });
  const code = await runProgram(line.split(" "), context);
  scripted.assertDone();
  const { stdout, stderr } = context.written;
  return { code, context, stdout, stderr, said: stderr.replaceAll("\n", " ") };
}

describe("purchases approve", () => {
  it("approves what it read, and prints the purchase as pay does", async () => {
    const script = [look(awaitingPurchase()), approving(BOUGHT)];
    const { code, stdout, stderr } = await play("purchases approve pur_1 --yes --json", script);
    expect([code, stderr]).toEqual([0, ""]);
    expect(JSON.parse(stdout)).toMatchObject({
      purchase: { status: "succeeded", approval: APPROVED },
      licenses: { purchased: 30 },
      quote: null,
      dryRun: false,
    });
    const text = await play("purchases approve pur_1 --yes", script);
    expect(text.stdout).toContain("✓ Approved and bought 5 licenses (25 → 30) for £244.10");
  });

  it.each([
    [true, 0, [approving(BOUGHT)]],
    [false, 3, []],
  ])("asks after showing what, for how much and who bought it: %s", async (answer, expected, rest) => {
    const waiting = awaitingPurchase({ purchaseOrder: "PO-7", note: "for the new team" });
    const script: ExpectedCall[] = [
      look(waiting),
      { call: "subscription", gives: subscription() },
      { call: "me", gives: SESSION },
      ...rest.map((call) => ({ ...call, gives: { ...BOUGHT, purchaseOrder: "PO-7", note: "for the new team" } })),
    ];
    const { code, context, said } = await play("purchases approve pur_1", script, { ...TERMINAL, answers: [answer] });
    expect([code, context.questions, context.opened]).toEqual([
      expected,
      ["Approve 5 licenses for £244.10? The payment begins at once."],
      [],
    ]);
    for (const part of ["admin@northwind.example", "£244.10", "5 licenses", "PO-7", "for the new team"]) {
      expect(said).toContain(part);
    }
  });

  it("does not ask with an API token, which approves nothing", async () => {
    const script: ExpectedCall[] = [
      look(awaitingPurchase()),
      { call: "subscription", gives: subscription() },
      { call: "me", gives: me() },
    ];
    const { code, context, said } = await play("purchases approve pur_1", script, TERMINAL);
    expect([code, context.questions]).toEqual([5, []]);
    expect(said).toContain("API tokens cannot approve or reject purchases");
  });

  it("needs --yes if it cannot prompt, and sends nothing without it", async () => {
    for (const line of ["purchases approve pur_1", REJECT]) {
      const { code, said } = await play(line, []);
      expect([code, said.includes("--yes")]).toEqual([2, true]);
    }
  });

  it("approves again without a question, and shows what became of it", async () => {
    const { code, stdout } = await play("purchases approve pur_1", [look(BOUGHT), approving(BOUGHT)], TERMINAL);
    expect([code, stdout.includes("Approved and bought 5 licenses for £244.10")]).toEqual([0, true]);
  });

  it.each([
    ["would approve and charge this", awaitingPurchase()],
    ["already approved", BOUGHT],
  ])("changes nothing in a dry run: %s", async (words, found) => {
    const { code, stdout } = await play("purchases approve pur_1 --dry-run", [look(found)]);
    expect([code, stdout.includes(`Dry run: ${words}.`)]).toEqual([0, true]);
  });

  it.each([
    ["is declined", payablePurchase({ approval: APPROVED }), 6],
    ["needs the payer", openPurchase("requires_approval", { approval: APPROVED }), 8],
    ["is of another amount", { ...BOUGHT, total: { amount: 24_411, currency: "GBP" } }, 10],
  ])("ends with the purchase if its payment %s", async (_, answer, expected) => {
    const { code, stdout } = await play("purchases approve pur_1 --yes --json", [
      look(awaitingPurchase()),
      approving(answer),
    ]);
    expect([code, JSON.parse(stdout).purchase.id]).toEqual([expected, "pur_1"]);
  });

  it("waits at the page for the payer with --wait", async () => {
    const payer = openPurchase("requires_approval", { approval: APPROVED });
    const script = [look(awaitingPurchase()), approving(payer), look(BOUGHT)];
    const { code, said } = await play("purchases approve pur_1 --yes --wait 60", script);
    expect([code, said.includes("/pay/pur_1")]).toEqual([0, true]);
  });

  it.each(["forbidden", "mfa_not_enrolled", "mfa_required", "not_approvable"] as const)(
    "prints nothing if refused with %s",
    async (code) => {
      const script: ExpectedCall[] = [look(awaitingPurchase()), { call: "approvePurchase", fails: refusal(code) }];
      expect((await play("purchases approve pur_1 --yes --json", script)).stdout).toBe("");
    },
  );

  it.each([
    ["waits for its payer", openPurchase("requires_approval")],
    ["is paid", purchase()],
    ["has failed", failedPurchase()],
  ])("has nothing to approve if the purchase %s", async (_, found) => {
    const { code, said } = await play("purchases approve pur_1 --yes", [look(found)]);
    expect([code, said.includes("Nothing to approve: the purchase pur_1")]).toEqual([9, true]);
  });
});

describe("purchases reject", () => {
  it("sends the reason and succeeds", async () => {
    const { code, stdout } = await play(`${REJECT} --yes`, [look(awaitingPurchase()), rejecting(REJECTED)]);
    expect([code, stdout.includes("Rejected the purchase of 5 licenses for £244.10. Nothing was charged.")]).toEqual([
      0,
      true,
    ]);
  });

  it("asks, No by default, and shows the purchase", async () => {
    const script: ExpectedCall[] = [look(awaitingPurchase()), { call: "me", gives: SESSION }];
    const { code, context, said } = await play(REJECT, script, { ...TERMINAL, answers: [false] });
    expect([code, context.questions]).toEqual([3, ["Reject this purchase of 5 licenses?"]]);
    expect(said).toContain("£244.10");
  });

  it("rejects again without a question, and nothing in a dry run", async () => {
    expect((await play(REJECT, [look(REJECTED), rejecting(REJECTED)], TERMINAL)).code).toBe(0);
    const dry = await play(`${REJECT} --dry-run`, [look(awaitingPurchase())]);
    expect([dry.code, dry.stdout.includes("Dry run: would reject this.")]).toEqual([0, true]);
    expect((await play(`${REJECT} --dry-run`, [look(REJECTED)])).stdout).toContain("already rejected");
  });

  it("needs a reason, and a purchase that waits", async () => {
    expect((await play("purchases reject pur_1 --yes", [])).code).toBe(2);
    for (const found of [BOUGHT, openPurchase("requires_approval")]) {
      const { code, said } = await play(`${REJECT} --yes`, [look(found)]);
      expect([code, said.includes("Nothing to reject")]).toEqual([9, true]);
    }
  });
});

describe("a purchase that waits for another administrator", () => {
  const WAITING = awaitingPurchase({ idempotencyKey: KEY });
  const accepted: ExpectedCall[] = [
    ...PRICED,
    { call: "createPurchase", gives: { purchase: WAITING, replayed: false } },
  ];

  it("ends buy with exit 8, and says who has to do what", async () => {
    const { code, stdout, said, context } = await play("buy 5 --yes", accepted);
    expect([code, context.opened]).toEqual([8, []]);
    expect(stdout.replaceAll("\n", " ")).toContain(`${INVITATION} by 2026-11-25 10:00 UTC.`);
    expect(said).toContain("The purchase requires the approval of another administrator.");
    const json = await play("buy 5 --yes --json", accepted);
    expect(JSON.parse(json.stdout).purchase.nextAction).toEqual(WAITING.nextAction);
    expect(JSON.parse(json.stderr).error).toMatchObject({ code: "approval_required", exitCode: 8 });
    expect(JSON.parse(json.stderr).error.hint).toContain(INVITATION);
  });

  it("is polled for --wait seconds, told once, and no page is opened", async () => {
    const script = [...accepted, look(WAITING), look({ ...BOUGHT, idempotencyKey: KEY })];
    const { code, said, context } = await play("buy 5 --yes --wait 60", script, TERMINAL);
    expect([code, context.opened]).toEqual([0, []]);
    expect(said.split(INVITATION)).toHaveLength(2);
  });

  it("names the command to run when interrupted", async () => {
    const scripted = scriptedClient([...accepted, { call: "purchase", gives: new Promise(() => {}) }]);
    const context = fakeContext({ env: ENV, client: scripted.client });
    const running = runProgram(["buy", "5", "--yes", "--wait", "300"], context);
    await expect.poll(() => scripted.calls).toContain("purchase");
    context.send("SIGINT");
    expect(await running).toBe(130);
    const said = context.written.stderr.replaceAll("\n", " ");
    expect(said).toContain("pur_1 is waiting for approval. No license was added and nothing was charged yet.");
    expect(said).toContain(INVITATION);
  });

  it("is shown with the command, and once approved with who did it", async () => {
    const { stdout } = await play("purchases show pur_1", [look(WAITING)]);
    expect(stdout.replaceAll("\n", " ")).toContain(INVITATION);
    expect((await play("purchases show pur_1", [look(BOUGHT)])).stdout).toContain(
      "2026-11-22 13:00 UTC by bob@northwind.example",
    );
  });

  it("is not paid, and can be canceled", async () => {
    const { code, said } = await play("purchases pay pur_1 --yes", [look(WAITING)]);
    expect([code, said.includes(INVITATION)]).toEqual([9, true]);
    const canceled = failedPurchase({ failure: { code: "payment_canceled", message: "x" } });
    const canceling: ExpectedCall = { call: "cancelPurchase", with: [4201, "pur_1"], gives: canceled };
    expect((await play("purchases cancel pur_1 --yes", [canceling])).code).toBe(0);
  });

  it.each([
    ["rejected", "Too many.", "An administrator rejected the purchase: Too many."],
    ["approval_expired", "x", "No administrator approved the purchase in time, and it expired."],
  ])("says why it ended: %s", async (code, message, words) => {
    const ended = failedPurchase({ idempotencyKey: KEY, failure: { code, message } });
    const { said, code: exit } = await play("buy 5 --yes --wait 60", [...accepted, look(ended)]);
    expect([exit, said.includes(words)]).toEqual([6, true]);
    const shown = await play("purchases show pur_1", [look(ended)]);
    expect(shown.stdout).toContain(code === "rejected" ? "rejected" : "expired");
  });

  it("is listed with its deadline", async () => {
    const script: ExpectedCall[] = [
      { call: "purchases", gives: { items: [WAITING], next: null } },
      { call: "subscription", gives: subscription() },
    ];
    expect((await play("purchases list", script)).stdout).toContain("approve by 2026-11-25 10:00 UTC");
  });

  it("is in the job summary with the command", () => {
    const summary = renderJobSummary(WAITING, false);
    expect(summary).toContain(INVITATION);
    expect(summary).toContain("Can be approved until: 2026-11-25 10:00 UTC");
  });

  it("is what top-up counts as in progress", async () => {
    const pending = { purchases: 1, licenses: 5 };
    const script: ExpectedCall[] = [{ call: "subscription", gives: subscription({ pending }) }];
    const { code, stdout } = await play("top-up --available 8 --yes --json", script);
    expect([code, JSON.parse(stdout).shortfall, quote(5).licenses]).toEqual([0, 0, 5]);
  });
});
