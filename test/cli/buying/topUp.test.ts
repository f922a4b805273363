import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { runProgram } from "../../../src/cli/main.ts";
import { ClientError } from "../../../src/client/errors.ts";
import { API_URL, failedPurchase, me, openPurchase, purchase, quote, subscription } from "../support/builders.ts";
import { type FakeWorld, fakeContext } from "../support/fakeContext.ts";
import { type ExpectedCall, scriptedClient } from "../support/script.ts";

const ENV = { SECUREFLAG_API_TOKEN: "sfl_secret", SECUREFLAG_API_URL: API_URL, SECUREFLAG_ORGANIZATION: "4201" };

const KEY = `cli_${"07".repeat(16)}`;

const ME: ExpectedCall = { call: "me", gives: me() };

const PRICED: ExpectedCall[] = [
  { call: "subscription", gives: subscription() },
  { call: "createQuote", with: [5], gives: quote(5) },
];

const ends = (answer = purchase()): ExpectedCall => ({
  call: "createPurchase",
  gives: { purchase: { ...answer, idempotencyKey: KEY }, replayed: false, requestId: null },
});

const REACHED: ExpectedCall = {
  call: "subscription",
  gives: subscription({ licenses: { purchased: 30, used: 22, available: 8 } }),
};

const directory = mkdtempSync(join(tmpdir(), "top-up-"));

afterAll(() => rmSync(directory, { recursive: true }));

async function play(line: string, script: readonly ExpectedCall[], world: FakeWorld = {}) {
  const scripted = scriptedClient(script);
  const context = fakeContext({ ...world, env: { ...ENV, ...world.env }, client: scripted.client });
  const code = await runProgram(line.split(" "), context);
  scripted.assertDone();
  return { code, ...context.written, questions: context.questions };
}

let files = 0;

/** A job's two files, and what was written to them. */
function job() {
  files += 1;
  const [summary, output] = [join(directory, `summary-${files}`), join(directory, `output-${files}`)];
  return {
    env: { GITHUB_STEP_SUMMARY: summary, GITHUB_OUTPUT: output },
    summary: () => readFileSync(summary, "utf8"),
    outputs: () =>
      Object.fromEntries(
        [...readFileSync(output, "utf8").matchAll(/^([\w-]+)<<(\S+)\n(.*)\n\2$/gm)].map((m) => [m[1], m[3]]),
      ),
  };
}

describe("top-up", () => {
  const json = "top-up --available 8 --yes --json";

  it("prints the target, the shortfall, the licenses bought and the purchase", async () => {
    const { code, stdout, stderr } = await play(json, [...PRICED, ends()]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const { organizationLicenses, ...bought } = purchase({ idempotencyKey: KEY });
    expect(JSON.parse(stdout)).toEqual({
      target: { available: 8 },
      shortfall: 5,
      bought: 5,
      purchase: bought,
      licenses: organizationLicenses,
      quote: { ...quote(5), verified: true },
      replayed: false,
      dryRun: false,
    });
  });

  it.each([
    ["--yes", true],
    ["--yes --max-licenses 5", false],
    ["--yes --max-total 300", false],
    ["--yes --quiet", false],
    ["--yes --json", false],
  ])("with %s warns that no limit is set: %s", async (flags, warns) => {
    const who = /quiet|json/.test(flags) ? [] : [ME];
    const { code, stderr } = await play(`top-up --available 8 ${flags}`, [...who, ...PRICED, ends()]);
    expect([code, stderr.includes("Warning: No limit is set. Pass --max-licenses <n>")]).toEqual([0, warns]);
  });

  it("reports what is missing and buys nothing with a key that bought fewer before", async () => {
    const before: ExpectedCall = {
      call: "purchaseByKey",
      with: ["mine"],
      gives: { state: "known", purchase: purchase({ idempotencyKey: "mine" }) },
    };
    const line = "top-up --yes --idempotency-key mine --json";
    const short = await play(`${line} --available 10`, [before, REACHED]);
    expect({ code: short.code, stdout: short.stdout }).toEqual({ code: 2, stdout: "" });
    expect(JSON.parse(short.stderr).error).toMatchObject({
      code: "idempotency_key_reused",
      message: "The key bought 5 licenses before, as pur_1; 2 licenses are missing to 10 licenses available.",
    });
    const reached = await play(`${line} --available 8`, [before, REACHED]);
    expect(reached.code).toBe(0);
    expect(JSON.parse(reached.stdout)).toMatchObject({ bought: 5, replayed: true });
  });

  it("prints that nothing was missing", async () => {
    const { code, stdout } = await play("top-up --purchased 30 --yes --json", [REACHED]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      target: { purchased: 30 },
      shortfall: 0,
      bought: 0,
      purchase: null,
      licenses: { purchased: 30, used: 22, available: 8 },
      quote: null,
      replayed: false,
      dryRun: false,
    });
  });

  it.each([
    [6, failedPurchase()],
    [8, openPurchase("requires_approval")],
  ])(
    "exits with %i after a purchase that did not succeed, and reports that none was bought",
    async (expected, answer) => {
      const { code, stdout } = await play(json, [...PRICED, ends(answer)]);
      expect(code).toBe(expected);
      expect(JSON.parse(stdout)).toMatchObject({ shortfall: 5, bought: 0, purchase: { status: answer.status } });
    },
  );

  it("shows who buys what, why, and for how much", async () => {
    const { stdout, stderr } = await play("top-up --available 8 --yes", [ME, ...PRICED, ends()]);
    const log = `${stderr}${stdout}`.replaceAll(/\s+/g, " ");
    for (const part of [
      "organization 4201 at http://127.0.0.1:4010 to 8 licenses available, as admin@northwind.example, token ci.",
      "Missing 5 licenses: 3 available, 25 purchased, 0 in progress",
      "Licenses 25 → 30",
      "£244.10 (£203.42 + £40.68 tax)",
      "5 licenses × £150.00 a year × 99 of 365 days",
      "✓ Bought 5 licenses (25 → 30) for £244.10 Receipt 4201-000001",
      "Details: `secureflag-licenses purchases show 4201-000001`",
    ])
      expect(log).toContain(part);
  });

  it("says that nothing was missing, and what is in progress", async () => {
    expect((await play("top-up --available 8 --yes -q", [REACHED])).stdout).toContain(
      "Nothing to buy: the target is 8 licenses available.",
    );
    const pending: ExpectedCall = {
      call: "subscription",
      gives: subscription({ pending: { purchases: 1, licenses: 5 } }),
    };
    expect((await play("top-up --available 8 --yes -q", [pending])).stdout.replaceAll(/\s+/g, " ")).toContain(
      "the target is 8 licenses available, including 5 licenses of purchases in progress.",
    );
  });

  it("prompts with the target, and buys nothing on No", async () => {
    const world = { isTerminal: true, answers: [false] };
    const { code, questions, stderr } = await play("top-up --available 8", [ME, ...PRICED, ME], world);
    expect(code).toBe(3);
    expect(questions).toEqual(["Buy 5 licenses for £244.10 now?"]);
    expect(stderr).toContain("Target");
  });

  it("needs --yes if it cannot prompt, before anything is sent", async () => {
    const { code, stderr } = await play("top-up --available 8", []);
    expect(code).toBe(2);
    expect(stderr).toContain("--yes");
  });

  it("shows what would be bought in the same JSON in a dry run", async () => {
    const { code, stdout } = await play("top-up --available 8 --dry-run --json", [...PRICED, ME]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ shortfall: 5, bought: 0, purchase: null, dryRun: true, quote: {} });
  });
});

describe("top-up --plan", () => {
  it("is a dry run that does not ask what the token may do, and keeps the guards", async () => {
    const { code, stdout } = await play("top-up --available 8 --plan --json", PRICED);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ shortfall: 5, bought: 0, purchase: null, dryRun: true, quote: {} });
    expect((await play("top-up --available 8 --plan --max-total 1 --json", PRICED)).code).toBe(7);
  });
});

describe("a step of GitHub Actions", () => {
  it("gets outputs and a summary of what was bought", async () => {
    const { env, outputs, summary } = job();
    await play("top-up --available 8 --yes", [ME, ...PRICED, ends()], { env });
    expect(outputs()).toEqual({
      status: "succeeded",
      bought: "5",
      purchased: "30",
      available: "8",
      total: "244.10 GBP",
      "purchase-id": "pur_1",
      "approval-url": "",
    });
    expect(summary()).toContain("### License top-up: bought 5 licenses: 25 → 30");
    for (const part of ["- Target: 8 licenses available", "- Missing: 5 licenses", "`pur_1`", "£244.10"])
      expect(summary()).toContain(part);
  });

  it("gets them with --json as well, and if nothing was bought", async () => {
    const { env, outputs, summary } = job();
    await play("top-up --available 8 --yes --json", [REACHED], { env });
    expect(outputs()).toEqual({
      status: "nothing_missing",
      bought: "0",
      purchased: "30",
      available: "8",
      total: "",
      "purchase-id": "",
      "approval-url": "",
    });
    expect(summary()).toContain("### License top-up: nothing to buy");
  });

  it("gets the failed purchase, and where to pay one that requires approval", async () => {
    const { env, outputs, summary } = job();
    await play("top-up --available 8 --yes", [ME, ...PRICED, ends(openPurchase("requires_approval"))], { env });
    expect(outputs()).toMatchObject({
      status: "requires_approval",
      bought: "0",
      "purchase-id": "pur_1",
      "approval-url": "http://127.0.0.1:4010/pay/pur_1",
    });
    expect(summary()).toContain("[Approve the payment](<http://127.0.0.1:4010/pay/pur_1>)");
  });

  it("gets no address to approve at that is not the backend's", async () => {
    const { env, outputs } = job();
    const open = openPurchase("requires_approval");
    const answer = { ...open, nextAction: { ...open.nextAction, url: "https://evil.example/pay" } } as typeof open;
    await play("top-up --available 8 --yes", [ME, ...PRICED, ends(answer)], { env });
    expect(outputs()).toMatchObject({ status: "requires_approval", "approval-url": "" });
  });

  it("gets the renewal with a plan", async () => {
    const { env, outputs, summary } = job();
    await play("top-up --available 8 --yes --dry-run", [ME, ...PRICED, ME], { env });
    expect(outputs()).toMatchObject({ status: "planned", bought: "0", "purchase-id": "" });
    expect(summary()).toMatch(/^- Renews at: £5,400\.00 .* on /m);
  });

  it.each<[string, ExpectedCall, string]>([
    ["a refused request", { call: "subscription", fails: new ClientError("forbidden", "No") }, "stopped"],
    ["no answer to a request", { call: "subscription", fails: new ClientError("outcome_unknown", "No") }, "unknown"],
  ])("gets whether something may have been bought after %s", async (_, call, status) => {
    const { env, outputs } = job();
    await play("top-up --available 8 --yes", [ME, call], { env });
    expect(outputs()).toEqual({ status });
  });

  it("shows which guard stopped it", async () => {
    const { env, summary } = job();
    const { code } = await play("top-up --available 8 --yes --max-total 244.09", [ME, ...PRICED], { env });
    expect(code).toBe(7);
    expect(summary()).toContain("### License top-up stopped");
    expect(summary()).toContain("`The total with tax is £244.10, and --max-total allows £244.09`");
    expect(summary()).toContain("- Exit code: 7");
  });

  it("gets no outputs for a dry run, and loses nothing if its files cannot be written", async () => {
    const env = { GITHUB_STEP_SUMMARY: join(directory, "missing/s"), GITHUB_OUTPUT: join(directory, "missing/o") };
    const { code, stderr } = await play("top-up --available 8 --yes", [ME, ...PRICED, ends()], { env });
    expect(code).toBe(0);
    expect(stderr).toContain("Failed to write GITHUB_OUTPUT");
    expect(stderr).toContain("Failed to write GITHUB_STEP_SUMMARY");
  });
});
