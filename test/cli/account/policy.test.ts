import { describe, expect, it } from "vitest";
import { runProgram } from "../../../src/cli/main.ts";
import { ClientError } from "../../../src/client/errors.ts";
import type { PendingChange, PolicyState } from "../../../src/contract/policy.ts";
import { API_URL, subscription } from "../support/builders.ts";
import { type FakeWorld, fakeContext } from "../support/fakeContext.ts";
import { type ExpectedCall, scriptedClient } from "../support/script.ts";

const TOKEN = { SECUREFLAG_API_TOKEN: "sfl_secret_x", SECUREFLAG_API_URL: API_URL, SECUREFLAG_ORGANIZATION: "4201" };

const gbp = (amount: number) => ({ amount, currency: "GBP" });

const LOOSER: PendingChange = {
  id: "chg_17",
  kind: "policy",
  policy: { approvalAbove: null, budget: { amount: gbp(9_000_00), period: "year" } },
  user: null,
  requestedBy: "ada\u001b[2J@northwind.example",
  requestedAt: "2026-11-22T10:00:00Z",
  takesEffectAt: null,
};

const userChange = (kind: PendingChange["kind"], id: string, role: number | null): PendingChange => ({
  ...LOOSER,
  id,
  kind,
  policy: null,
  user: { email: "bob@northwind.example", idUser: 7, role },
  takesEffectAt: "2026-11-23T10:00:00Z",
});

const POLICY: PolicyState = {
  approvalAbove: gbp(500_00),
  budget: { amount: gbp(2_000_00), period: "month", spent: gbp(244_10), left: gbp(1_755_90) },
  pending: [LOOSER],
};

const EMPTY: PolicyState = { approvalAbove: null, budget: null, pending: [] };

const reads = (gives: PolicyState): ExpectedCall => ({ call: "policy", with: [4201], gives });

const readsSubscription: ExpectedCall = { call: "subscription", with: [4201], gives: subscription() };

/** A person's sign-in, instead of the token. */
const SIGNED_IN: FakeWorld = {
  env: { SECUREFLAG_API_URL: API_URL, SECUREFLAG_ORGANIZATION: "4201" },
  credential: {
    apiUrl: API_URL,
    email: "ada@northwind.example",
    accessToken: "access_1",
    accessExpiresAt: Date.parse("2100-01-01T00:00:00Z"),
    refreshToken: "refresh_1",
    scopes: [],
  },
};

async function play(args: readonly string[], script: readonly ExpectedCall[], world: FakeWorld = { env: TOKEN }) {
  const scripted = scriptedClient(script);
  const context = fakeContext({ ...world, client: scripted.client });
  const code = await runProgram(["organizations", "policy", ...args], context);
  scripted.assertDone();
  const { stdout, stderr } = context.written;
  const oneLine = (text: string) => text.replaceAll(/ +/g, " ");
  return { code, stdout: oneLine(stdout), stderr: stderr.replaceAll(/\s+/g, " ") };
}

it("shows the policy and what waits, cleaned in text and whole as JSON", async () => {
  const pending = [
    LOOSER,
    userChange("user_add", "chg_18", 0),
    userChange("user_update", "chg_19", 7),
    userChange("user_remove", "chg_20", null),
  ];
  const { code, stdout } = await play([], [reads({ ...POLICY, pending })]);
  expect(code).toBe(0);
  expect(stdout.trimEnd().split("\n")).toEqual([
    "Approval needed above £500.00",
    "Budget £2,000.00 a month, £1,755.90 left",
    "",
    "Waiting:",
    "chg_17: set the approval threshold to none and set the budget to £9,000.00 a year (requested by ada[2J@northwind.example, needs another administrator)",
    "chg_18: add bob@northwind.example as organization administrator (requested by ada[2J@northwind.example, takes effect at 2026-11-23 10:00 UTC)",
    "chg_19: make bob@northwind.example user (requested by ada[2J@northwind.example, takes effect at 2026-11-23 10:00 UTC)",
    "chg_20: remove the administrator bob@northwind.example (requested by ada[2J@northwind.example, takes effect at 2026-11-23 10:00 UTC)",
  ]);
  expect((await play([], [reads(EMPTY)])).stdout).toBe("Approval not needed\nBudget none\n");
  expect(JSON.parse((await play(["--json"], [reads(POLICY)])).stdout)).toEqual(POLICY);
});

describe("set", () => {
  it.each<[string[], object]>([
    [["--approval-above", "500"], { approvalAbove: gbp(500_00) }],
    [["--approval-above", "none"], { approvalAbove: null }],
    [["--budget", "2000.50/month"], { budget: { amount: gbp(2_000_50), period: "month" } }],
    [["--budget", "20000/year"], { budget: { amount: gbp(20_000_00), period: "year" } }],
    [["--approval-above", "0", "--budget", "none"], { approvalAbove: gbp(0), budget: null }],
  ])("%j sends %j", async (args, body) => {
    const set: ExpectedCall = { call: "setPolicy", with: [4201, body], gives: EMPTY };
    const { code, stdout, stderr } = await play(["set", ...args], [readsSubscription, set]);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "Approval not needed\nBudget none\n", stderr: "" });
  });

  it("ends well if the change waits, and says for whom", async () => {
    const set: ExpectedCall = { call: "setPolicy", gives: POLICY };
    const text = await play(["set", "--budget", "9000/year"], [readsSubscription, set]);
    expect(text.code).toBe(0);
    expect(text.stderr).toContain(
      "Another administrator must approve the change: `secureflag-licenses organizations policy approve chg_17`.",
    );
    const json = await play(["set", "--budget", "9000/year", "--json"], [readsSubscription, set]);
    expect(JSON.parse(json.stdout)).toEqual({ ...POLICY, dryRun: false });
    const due = { ...POLICY, pending: [{ ...LOOSER, takesEffectAt: "2026-11-23T10:00:00Z" }] };
    const later = await play(["set", "--budget", "none"], [readsSubscription, { call: "setPolicy", gives: due }]);
    expect(later.stderr).toContain("The change takes effect at 2026-11-23 10:00 UTC.");
  });

  it("shows in a dry run what would wait", async () => {
    const line = ["set", "--budget", "none", "--dry-run"];
    const script = [readsSubscription, reads({ ...POLICY, pending: [] })];
    const { code, stdout } = await play(line, script, SIGNED_IN);
    expect(code).toBe(0);
    expect(stdout).toContain("Dry run: nothing was set.");
    expect(stdout).toContain(
      "set the budget to none (would wait for another administrator, or 24 hours if there is only one)",
    );
    const json = await play([...line, "--json"], script, SIGNED_IN);
    expect(JSON.parse(json.stdout)).toMatchObject({ dryRun: true, budget: POLICY.budget, pending: [{ id: null }] });
  });

  it("refuses a dry run with an API token, which cannot set it either", async () => {
    const ended = await play(["set", "--budget", "none", "--dry-run"], [readsSubscription]);
    expect(ended).toMatchObject({ code: 5, stdout: "" });
    expect(ended.stderr).toContain("API tokens cannot change the policy");
  });

  it.each([
    ["nothing to set", ["set"]],
    ["an amount with a sign", ["set", "--approval-above", "£5"]],
    ["a budget without a period", ["set", "--budget", "500"]],
    ["a budget of a week", ["set", "--budget", "500/week"]],
    ["an unknown word", ["list"]],
    ["a one-time code that is none", ["set", "--budget", "none", "--totp", "abc"]],
  ])("refuses %s before any request", async (_, args) => {
    expect(await play(args, [])).toMatchObject({ code: 2, stdout: "" });
  });

  it("refuses more decimals than the currency has", async () => {
    for (const args of [
      ["--budget", "1.005/month"],
      ["--approval-above", "1.005"],
    ]) {
      const { code, stderr } = await play(["set", ...args], [readsSubscription]);
      expect(code).toBe(2);
      expect(stderr).toContain(`${args[0]}: "1.005" is not an amount in GBP`);
    }
  });

  it.each([
    ["needs_two_administrators", 409, 7, "users update <email> --role administrator"],
    ["mfa_not_enrolled", 403, 5, "Set up an authenticator app"],
    ["mfa_required", 401, 4, "--totp <code>"],
    ["forbidden", 403, 5, "sign in with `secureflag-licenses login`"],
    ["billing_not_offered", 404, 1, "Ask its operator"],
  ] as const)("explains %s", async (code, status, exitCode, hint) => {
    const fails = new ClientError(code, "No", { status });
    const ended = await play(["set", "--budget", "none"], [readsSubscription, { call: "setPolicy", fails }]);
    expect(ended).toMatchObject({ code: exitCode, stdout: "", stderr: expect.stringContaining(hint) });
  });
});

describe("approve", () => {
  const approves = (id: string): ExpectedCall => ({ call: "approvePolicyChange", with: [4201, id], gives: EMPTY });

  it("approves the only change that waits, or the one that is named", async () => {
    const { code, stdout } = await play(["approve"], [reads(POLICY), approves("chg_17")]);
    expect(code).toBe(0);
    expect(stdout).toContain("Approved chg_17: set the approval threshold to none");
    expect(stdout).toContain("Budget none\n");
    const several = { ...POLICY, pending: [LOOSER, userChange("user_add", "chg_18", 0)] };
    const named = await play(["approve", "chg_18", "--json"], [reads(several), approves("chg_18")]);
    expect(JSON.parse(named.stdout)).toEqual({ approved: several.pending[1], ...EMPTY, dryRun: false });
  });

  it("lists the changes if several wait", async () => {
    const several = { ...POLICY, pending: [LOOSER, userChange("user_add", "chg_18", 0)] };
    const { code, stderr } = await play(["approve"], [reads(several)]);
    expect(code).toBe(2);
    expect(stderr).toContain("chg_18: add bob@northwind.example as organization administrator");
  });

  it("finds no change that does not wait", async () => {
    expect((await play(["approve", "chg_9"], [reads(POLICY)])).stderr).toContain("Change not found: chg_9");
    expect(await play(["approve"], [reads(EMPTY)])).toMatchObject({ code: 2, stdout: "" });
  });

  it("approves nothing in a dry run", async () => {
    const { code, stdout } = await play(["approve", "--dry-run", "--json"], [reads(POLICY)]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({ approved: LOOSER, ...POLICY, dryRun: true });
  });

  it("shows the change and asks in a terminal, where another one may have been seen", async () => {
    const person = { ...SIGNED_IN, isTerminal: true };
    const no = await play(["approve"], [reads(POLICY)], { ...person, answers: [false] });
    expect([no.code, no.stdout]).toEqual([3, ""]);
    expect(no.stderr).toContain("chg_17: set the approval threshold to none");
    expect((await play(["approve"], [reads(POLICY), approves("chg_17")], { ...person, answers: [true] })).code).toBe(0);
    expect((await play(["approve", "--yes"], [reads(POLICY), approves("chg_17")], person)).code).toBe(0);
  });

  it("rejects a change", async () => {
    const rejects: ExpectedCall = { call: "rejectPolicyChange", with: [4201, "chg_17"], gives: EMPTY };
    const { code, stdout } = await play(["reject"], [reads(POLICY), rejects]);
    expect([code, stdout]).toEqual([0, expect.stringContaining("Rejected chg_17: set the approval threshold to none")]);
    const dry = await play(["reject", "chg_17", "--dry-run", "--json"], [reads(POLICY)]);
    expect(JSON.parse(dry.stdout)).toEqual({ rejected: LOOSER, ...POLICY, dryRun: true });
  });

  it("says who can approve it instead", async () => {
    const fails = new ClientError("forbidden", "You cannot approve a change that you requested", { status: 403 });
    const script: ExpectedCall[] = [reads(POLICY), { call: "approvePolicyChange", fails }];
    const person = await play(["approve"], script, SIGNED_IN);
    expect(person).toMatchObject({ code: 5, stderr: expect.stringContaining("who was one before") });
    const token = await play(["approve"], script);
    expect(token).toMatchObject({ code: 5, stderr: expect.stringContaining("Unset SECUREFLAG_API_TOKEN") });
  });
});
