import { describe, expect, it } from "vitest";
import { runProgram } from "../../../src/cli/main.ts";
import { ClientError } from "../../../src/client/errors.ts";
import type { ApiToken } from "../../../src/contract/identity.ts";
import { API_URL, ORGANIZATION, subscription } from "../support/builders.ts";
import { type FakeWorld, fakeContext } from "../support/fakeContext.ts";
import { type ExpectedCall, scriptedClient } from "../support/script.ts";

const env = { SECUREFLAG_API_URL: API_URL, SECUREFLAG_API_TOKEN: "t", SECUREFLAG_ORGANIZATION: String(ORGANIZATION) };

const SECRET = `sfl_${"a".repeat(49)}`;

const gbp = (amount: number) => ({ amount, currency: "GBP" });

function token(change: Partial<ApiToken> = {}): ApiToken {
  return {
    id: "tok_1",
    name: "ci",
    scopes: ["billing:read", "billing:purchase"],
    createdAt: "2026-11-22T10:00:00Z",
    expiresAt: "2027-02-20T10:00:00Z",
    expiresIn: 7_776_000,
    last4: "aaaa",
    spendLimit: null,
    createdBy: { email: "admin@northwind.example" },
    ...change,
  };
}

async function play(args: readonly string[], script: readonly ExpectedCall[], world: FakeWorld = {}) {
  const scripted = scriptedClient(script);
  const context = fakeContext({ env, ...world, client: scripted.client });
  const code = await runProgram(args, context);
  scripted.assertDone();
  return { code, context, ...context.written };
}

const lines = (text: string) => text.trimEnd().split("\n");

describe("tokens list --csv", () => {
  it("has a row a token, safe for spreadsheets, and excludes --json", async () => {
    const limited = token({
      id: "tok_2",
      name: "=cmd",
      spendLimit: { amount: gbp(50_000), amountLeft: gbp(50_000), licenses: 10, licensesLeft: 10 },
    });
    const listed: ExpectedCall = { call: "tokens", gives: [token(), limited] };
    const { code, stdout } = await play(["tokens", "list", "--csv"], [listed]);
    expect(code).toBe(0);
    expect(lines(stdout)).toEqual([
      "id,name,scopes,createdAt,expiresAt,last4,createdBy,currency,monthlyAmount,monthlyLicenses",
      "tok_1,ci,billing:read billing:purchase,2026-11-22T10:00:00Z,2027-02-20T10:00:00Z,aaaa,admin@northwind.example,,,",
      "tok_2,'=cmd,billing:read billing:purchase,2026-11-22T10:00:00Z,2027-02-20T10:00:00Z,aaaa,admin@northwind.example,GBP,500.00,10",
    ]);
    expect((await play(["tokens", "list", "--csv", "--json"], [])).code).toBe(2);
  });
});

describe("tokens create", () => {
  const args = ["tokens", "create", "--name", "ci", "--scopes", "billing:read,billing:purchase"];
  const created = { ...token(), token: SECRET };

  it("prints the new token alone on its line, in full, and the flat object with --json", async () => {
    const request = {
      name: "ci",
      scopes: ["billing:read", "billing:purchase"],
      expiresInDays: 90,
      spendLimit: null,
    };
    const call: ExpectedCall = { call: "createToken", with: [ORGANIZATION, request], gives: created };
    const { code, stdout } = await play(args, [call], { isStdoutTerminal: true, columns: 60 });
    expect(code).toBe(0);
    expect(lines(stdout)[0]).toBe(SECRET);
    expect(stdout).toContain("shown once");
    expect(lines(stdout).filter((line) => line.length > 60)).toEqual([]);
    expect(JSON.parse((await play([...args, "--json"], [call])).stdout)).toEqual(created);
  });

  it.each([
    ["500/month", "GBP", 50_000],
    ["500.00/month", "GBP", 50_000],
    ["500", "GBP", 50_000],
    ["0.07", "GBP", 7],
    ["90071992547409.91", "GBP", 9_007_199_254_740_991],
    ["500", "JPY", 500],
    ["1.25", "KWD", 1250],
  ])("--max-spend %s in %s is exactly %d minor units", async (text, currency, amount) => {
    const plan = { ...subscription().plan, unitPrice: { amount: 15_000, currency } };
    const script: ExpectedCall[] = [
      { call: "subscription", with: [ORGANIZATION], gives: subscription({ plan }) },
      {
        call: "createToken",
        with: [expect.objectContaining({ spendLimit: { amount: { amount, currency }, licenses: 10 } })],
        gives: created,
      },
    ];
    const limits = ["--max-spend", text, "--max-licenses", "10/month", "--expires", "30d"];
    expect((await play([...args, ...limits], script)).code).toBe(0);
  });

  it("rejects an amount with too many decimals", async () => {
    const { code, stderr } = await play(
      [...args, "--max-spend", "1.005/month"],
      [{ call: "subscription", gives: subscription() }],
    );
    expect(code).toBe(2);
    expect(stderr).toContain("--max-spend");
  });

  it("names the token to revoke if the result cannot be printed, but not its secret", async () => {
    const { code, stderr } = await play(args, [{ call: "createToken", gives: created }], { isStdoutFull: true });
    expect(code).toBe(1);
    expect(stderr).toContain("tokens revoke tok_1");
    expect(stderr).not.toContain(SECRET);
  });
});

describe("tokens list", () => {
  it("shows scopes and limits, without control characters", async () => {
    const spendLimit = { amount: gbp(50_000), amountLeft: gbp(12_345), licenses: 10, licensesLeft: 3 };
    const tokens = [token({ spendLimit }), token({ id: "tok_2", name: "a\u001b[31m", expiresAt: null, last4: null })];
    const script: ExpectedCall[] = [{ call: "tokens", with: [ORGANIZATION], gives: tokens }];
    const { code, stdout } = await play(["tokens", "list"], script);
    expect(code).toBe(0);
    for (const text of ["tok_1", "£500.00 a month, £123.45 left", "10 licenses a month, 3 left", "never", "aaaa"]) {
      expect(stdout).toContain(text);
    }
    expect(stdout).not.toContain("\u001b");
    expect(lines(stdout).map((line) => line.split("\t").length)).toEqual([7, 7]);
    expect(JSON.parse((await play(["tokens", "list", "--json"], script)).stdout)).toEqual(tokens);
  });

  it("shows whether a token may buy, and its limit, within 80 columns", async () => {
    const spendLimit = { amount: gbp(50_000), amountLeft: gbp(12_345), licenses: 10, licensesLeft: 3 };
    const all = ["billing:read", "billing:purchase", "users:read", "users:write"];
    const tokens = [
      token({ name: "nightly top-up of the team", spendLimit }),
      token({ scopes: all }),
      token({ scopes: ["users:read", "users:write"], spendLimit: { ...spendLimit, amount: null, amountLeft: null } }),
      token({ scopes: ["users:write", "other"] }),
    ];
    const script: ExpectedCall[] = [{ call: "tokens", gives: tokens }];
    const { stdout } = await play(["tokens", "list", "--no-color"], script, { isStdoutTerminal: true, columns: 80 });
    const [table = "", total] = stdout.split("\n\n");
    const cells = lines(table).map((line) => line.split(/ {2,}/).slice(1, 3));
    expect(cells).toEqual([
      ["Scopes", "Monthly limit"],
      ["buy, billing", "£500.00, 10 licenses"],
      ["all", "none"],
      ["users, users:write", "10 licenses"],
      ["users:write, other", "none"],
    ]);
    expect(total).toBe("Total: 4 API tokens.\n");
  });

  it("prints [] with --json if there are none", async () => {
    expect((await play(["tokens", "list", "--json"], [{ call: "tokens", gives: [] }])).stdout).toBe("[]\n");
  });
});

describe("tokens revoke", () => {
  it("does not prompt for an unknown token", async () => {
    const script: ExpectedCall[] = [{ call: "tokens", gives: [token()] }];
    const { code, context, stderr } = await play(["tokens", "revoke", "tok_2"], script, { isTerminal: true });
    expect([code, context.questions]).toEqual([2, []]);
    expect(stderr).toContain("API token not found: tok_2");
  });

  it("accepts the first digits of an ID, unless they are ambiguous", async () => {
    const [id, twin] = ["tok_0123456789abcdef01234561", "tok_0123456789abcdef01234562"] as const;
    const call: ExpectedCall = { call: "revokeApiToken", with: [ORGANIZATION, id] };
    const short = ["tokens", "revoke", "tok_01234567", "--yes"];
    const bare = ["tokens", "revoke", "01234567", "--yes"];
    for (const line of [short, bare]) {
      expect((await play(line, [{ call: "tokens", gives: [token({ id }), token()] }, call])).code).toBe(0);
    }
    const { code, stderr } = await play(short, [{ call: "tokens", gives: [token({ id }), token({ id: twin })] }]);
    expect([code, stderr]).toEqual([2, expect.stringContaining("Several API tokens start with tok_01234567")]);
  });

  const args = ["tokens", "revoke", "tok_1"];
  const revoked: ExpectedCall = { call: "revokeApiToken", with: [ORGANIZATION, "tok_1"] };

  it("asks for confirmation, No by default", async () => {
    const listed: ExpectedCall = { call: "tokens", with: [ORGANIZATION], gives: [token()] };
    const yes = await play([...args, "--json"], [listed, revoked], { isTerminal: true, answers: [true] });
    expect([yes.code, JSON.parse(yes.stdout)]).toEqual([0, { id: "tok_1", revoked: true }]);
    const no = await play(args, [listed], { isTerminal: true, answers: [false] });
    expect(no).toMatchObject({
      code: 3,
      stdout: "",
      stderr: expect.stringContaining("Canceled. Nothing was changed."),
    });
  });

  it("says that it was revoked if the result cannot be printed", async () => {
    const { code, stderr } = await play([...args, "--yes"], [revoked], { isStdoutFull: true });
    const told = "The token tok_1 was revoked, but the result could not be printed";
    expect([code, stderr.replaceAll("\n", " ")]).toEqual([1, expect.stringContaining(told)]);
  });

  it("requires --yes in a script, and sends nothing without it", async () => {
    expect(await play(args, [])).toMatchObject({ code: 2, stderr: expect.stringContaining("--yes") });
    expect((await play([...args, "--yes"], [revoked])).code).toBe(0);
  });
});

describe("a dry run", () => {
  const never = { id: null, createdAt: null, expiresAt: null, last4: null, createdBy: null, token: null };

  it("of tokens create shows what would be created, and creates nothing", async () => {
    const line = ["tokens", "create", "--name", "ci", "--scopes", "billing:read", "--max-licenses", "10", "--dry-run"];
    const seen: ExpectedCall = { call: "tokens", gives: [] };
    const { code, stdout } = await play([...line, "--json"], [seen]);
    expect(code).toBe(0);
    const spendLimit = { amount: null, amountLeft: null, licenses: 10, licensesLeft: 10 };
    const planned = { name: "ci", scopes: ["billing:read"], expiresIn: 90 * 86_400, spendLimit, dryRun: true };
    expect(JSON.parse(stdout)).toEqual({ ...never, ...planned });
    expect((await play(line, [seen])).stdout).toBe(
      "Dry run: would create the token ci for billing:read, for 90 days.\n",
    );
  });

  it("of tokens create is rejected for an API token", async () => {
    const refused: ExpectedCall = { call: "tokens", fails: new ClientError("forbidden", "not by an API token") };
    const line = ["tokens", "create", "--name", "ci", "--scopes", "billing:read", "--dry-run"];
    expect(await play(line, [refused])).toMatchObject({ code: 5, stdout: "" });
  });

  it("of tokens revoke finds the token, does not prompt, and revokes nothing", async () => {
    const listed: ExpectedCall = { call: "tokens", gives: [token()] };
    const line = ["tokens", "revoke", "tok_1", "--dry-run", "--json"];
    const known = await play(line, [listed]);
    expect([known.code, JSON.parse(known.stdout)]).toEqual([0, { id: "tok_1", revoked: false, dryRun: true }]);
    const unknown = await play(["tokens", "revoke", "tok_2", "--dry-run"], [listed]);
    expect(unknown).toMatchObject({ code: 2, stdout: "" });
  });
});
