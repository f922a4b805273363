import { describe, expect, it } from "vitest";
import { runProgram } from "../../../src/cli/main.ts";
import { ClientError } from "../../../src/client/errors.ts";
import { API_URL, me, purchase, quote, subscription } from "../support/builders.ts";
import { type FakeWorld, fakeContext } from "../support/fakeContext.ts";
import { type ExpectedCall, scriptedClient } from "../support/script.ts";

const EMAIL = "admin@northwind.example";

const SIGNED_OUT = { SECUREFLAG_API_URL: API_URL, NO_COLOR: "1" };

const TOKEN = { ...SIGNED_OUT, SECUREFLAG_API_TOKEN: "t", SECUREFLAG_ORGANIZATION: "4201" };

const KEY = `cli_${"07".repeat(16)}`;

const ME: ExpectedCall = { call: "me", gives: me() };

const priced = (count: number): ExpectedCall[] => [
  { call: "subscription", gives: subscription() },
  { call: "createQuote", with: [count], gives: quote(count) },
];

const SOLD: ExpectedCall = {
  call: "createPurchase",
  gives: { purchase: purchase({ idempotencyKey: KEY }), replayed: false },
};

const SIGNED_IN: ExpectedCall = {
  call: "login",
  with: [{ email: EMAIL, password: "pass word" }],
  gives: {
    status: "signed_in",
    accessToken: "access_1",
    refreshToken: "refresh_1",
    tokenType: "Bearer",
    expiresIn: 900,
    scopes: ["billing:read", "billing:purchase"],
  },
};

async function play(line: string, script: readonly ExpectedCall[], world: FakeWorld = {}) {
  const scripted = scriptedClient(script);
  const context = fakeContext({ env: TOKEN, isTerminal: true, ...world, client: scripted.client });
  const code = await runProgram(line.split(" "), context);
  scripted.assertDone();
  return { code, context, ...context.written };
}

const HOW_MANY = "How many licenses do you want to buy?";

describe("buy alone in a terminal", () => {
  it("shows the subscription and the price, asks how many, confirms and buys", async () => {
    const { code, context, stderr, stdout } = await play("buy", [...priced(1), ...priced(5), ME, SOLD], {
      answers: ["5", true],
    });
    expect({ code, questions: context.questions }).toEqual({
      code: 0,
      questions: [HOW_MANY, "Buy 5 licenses for £244.10 now?"],
    });
    expect(stderr).toContain("25 purchased, 22 used, 3 available");
    expect(stderr).toContain("£48.82 (£40.68 + £8.14 tax) a license until 2027-03-01");
    expect(stdout).toContain("Bought 5 licenses");
  });

  it.each(["0", "-1", "five", "5.5", "10001", ""])("asks again after %j", async (wrong) => {
    const { code, context, stderr } = await play("buy", [...priced(1), ...priced(5), ME, SOLD], {
      answers: [wrong, "5", true],
    });
    expect(code).toBe(0);
    expect(context.questions.slice(0, 2)).toEqual([HOW_MANY, HOW_MANY]);
    expect(stderr).toContain("It must be a whole number, 1 to 10000.");
  });

  it("asks within --max-licenses", async () => {
    const line = "buy --max-licenses 5";
    const { stderr } = await play(line, [...priced(1), ...priced(5), ME, SOLD], { answers: ["6", "5", true] });
    expect(stderr).toContain("It must be a whole number, 1 to 5.");
  });

  it("buys nothing on No", async () => {
    const { code, stderr } = await play("buy", [...priced(1), ...priced(5), ME], { answers: ["5", false] });
    expect({ code, said: stderr.includes("Canceled. Nothing was bought.") }).toEqual({ code: 3, said: true });
  });

  it.each([
    ["--max-total 10", 7, ["5"]],
    ["--dry-run", 0, ["5"]],
  ])("keeps to %s", async (flags, expected, answers) => {
    const more = flags === "--dry-run" ? [ME] : [];
    const { code, context } = await play(`buy ${flags}`, [...priced(1), ...priced(5), ...more], { answers });
    expect(code, context.written.stderr).toBe(expected);
    expect(context.questions).toEqual([HOW_MANY]);
  });

  it("prints one JSON document, and asks on stderr", async () => {
    const { code, stdout } = await play("buy --json", [...priced(1), ...priced(5), ME, SOLD], {
      answers: ["5", true],
    });
    expect(code).toBe(0);
    expect(JSON.parse(stdout).purchase.id).toBe("pur_1");
  });

  it.each([
    ["buy --yes", {}],
    ["buy --no-input", {}],
    ["buy", { env: { ...TOKEN, CI: "true" } }],
    ["buy", { isTerminal: false }],
  ] as [string, FakeWorld][])("%s with %j: asks nothing, sends nothing", async (line, world) => {
    const { code, context, stderr } = await play(line, [], world);
    expect({ code, questions: context.questions }).toEqual({ code: 2, questions: [] });
    expect(stderr).toContain("Missing argument: <licenses>.");
  });
});

describe("buy alone without a sign-in", () => {
  const world = { env: SIGNED_OUT };
  const rest = [SIGNED_IN, ME, ...priced(1), ...priced(5), ME, SOLD];

  it("offers to sign in with email and password, and keeps the sign-in", async () => {
    const answers = ["2", "", EMAIL, "pass word", "5", true];
    const { code, context, stderr } = await play("buy", rest, { ...world, answers });
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(context.questions).toEqual([
      "Choose 1 to 2 (1)",
      "Email",
      "Email",
      "Password",
      HOW_MANY,
      "Buy 5 licenses for £244.10 now?",
    ]);
    expect(stderr).toContain("You are not signed in to http://127.0.0.1:4010.");
    expect(context.stored.get("default")).toMatchObject({ credential: { accessToken: "access_1" } });
    expect(context.profiles).toMatchObject({ default: { apiUrl: API_URL, organizationId: 4201 } });
  });

  it("signs in with the browser on Enter", async () => {
    const grant = {
      device_code: "d",
      user_code: "ABCD-EFGH",
      verification_uri: `${API_URL}/device`,
      expires_in: 900,
      interval: 5,
    };
    const tokens = {
      access_token: "a",
      refresh_token: "r",
      token_type: "Bearer",
      expires_in: 900,
      scope: "billing:read",
    };
    const web: ExpectedCall[] = [
      { call: "authorizeDevice", gives: grant },
      { call: "deviceTokens", gives: tokens },
    ];
    const { code, context } = await play("buy", [...web, ...rest.slice(1)], { ...world, answers: ["", "5", true] });
    expect(code, context.written.stderr).toBe(0);
    expect(context.stored.get("default")).toMatchObject({ credential: { accessToken: "a" } });
  });

  it("offers it again where the stored sign-in is refused", async () => {
    const refused = {
      call: "subscription",
      fails: new ClientError("unauthenticated", "The sign-in has expired"),
    } as const;
    const credential = {
      apiUrl: API_URL,
      email: EMAIL,
      accessToken: "old",
      accessExpiresAt: null,
      refreshToken: null,
      scopes: [],
    };
    const { code, stderr } = await play("buy", [ME, refused, ...rest], {
      ...world,
      credential,
      answers: ["2", EMAIL, "pass word", "5", true],
    });
    expect({ code, said: stderr.includes("The sign-in has expired.") }).toEqual({ code: 0, said: true });
  });

  it.each([
    ["a token that is refused", { env: TOKEN }, 4],
    ["no backend", { env: {} }, 4],
  ])("offers nothing with %s", async (_, other, expected) => {
    const refused = {
      call: "subscription",
      fails: new ClientError("unauthenticated", "The token is not valid"),
    } as const;
    const script = "SECUREFLAG_API_URL" in other.env ? [refused] : [];
    const { code, context } = await play("buy", script, other);
    expect({ code, questions: context.questions }).toEqual({ code: expected, questions: [] });
  });
});
