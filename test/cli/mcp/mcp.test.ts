import { PassThrough } from "node:stream";
import { describe, expect, it } from "vitest";
import type { Context } from "../../../src/cli/context.ts";
import { runProgram } from "../../../src/cli/main.ts";
import { ClientError } from "../../../src/client/errors.ts";
import type { Me } from "../../../src/contract/identity.ts";
import { API_URL, entry, failedPurchase, me, purchase, quote, subscription } from "../support/builders.ts";
import { type FakeWorld, fakeContext } from "../support/fakeContext.ts";
import { fakeJournal } from "../support/fakeJournal.ts";
import { type ExpectedCall, scriptedClient } from "../support/script.ts";

const ENV = { SECUREFLAG_API_TOKEN: "t", SECUREFLAG_API_URL: API_URL, SECUREFLAG_ORGANIZATION: "4201" };

const SPEND = { amount: null, amountLeft: null, licenses: 10, licensesLeft: 3 };

const withToken = (change: Partial<Me["token"]>): ExpectedCall => ({
  call: "me",
  gives: me({ token: { ...me().token, spendLimit: SPEND, ...change } }),
});

const LIMITED = withToken({});

const QUOTE = quote(5);

const KEY = `mcp-${QUOTE.id}`;

const UNKNOWN: ExpectedCall = { call: "purchaseByKey", with: [4201, KEY], gives: { state: "unknown" } };

/** What comes before a purchase is sent. */
const OFFERED: ExpectedCall[] = [
  LIMITED,
  { call: "quote", with: [4201, QUOTE.id], gives: QUOTE },
  UNKNOWN,
  { call: "subscription", gives: subscription() },
];

const made = (change = {}) => ({ ...purchase(), idempotencyKey: KEY, quoteId: QUOTE.id, ...change });

const request = (id: number, name: string, args: object = {}) =>
  `${JSON.stringify({ jsonrpc: "2.0", id, method: "tools/call", params: { name, arguments: args } })}\n`;

const LIST = `${JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list" })}\n`;

const BUY = request(1, "buy_licenses", { quoteId: QUOTE.id });

interface ListedTool {
  readonly name: string;
  readonly inputSchema: { readonly properties: object };
  readonly outputSchema: unknown;
}

interface Answered {
  readonly id: number;
  readonly result: {
    readonly content: readonly { readonly text: string }[];
    readonly isError?: boolean;
    readonly structuredContent?: unknown;
    readonly tools: readonly ListedTool[];
  };
  readonly error?: { readonly code: number; readonly message: string };
}

/** A scripted client as a plain object, which can be spread as what buys a quote does. */
function plainClient(script: readonly ExpectedCall[]) {
  const scripted = scriptedClient(script);
  const methods = script.map(({ call }) => [call, scripted.client[call]]);
  return { ...scripted, client: { ...scripted.client, ...Object.fromEntries(methods) } };
}

/** Runs the server on what an agent's client sends, until its input ends. */
async function serve(
  line: string,
  input: string,
  script: readonly ExpectedCall[],
  world: FakeWorld = {},
  change: Partial<Context["io"]> = {},
) {
  const scripted = plainClient(script);
  const context = fakeContext({ env: ENV, ...world, client: scripted.client, input });
  const code = await runProgram(line.split(" "), { ...context, io: { ...context.io, ...change } });
  scripted.assertDone();
  return { code, context, answers: answersIn(context.written.stdout), stderr: context.written.stderr };
}

function answersIn(stdout: string): Answered[] {
  const lines = stdout.split("\n").filter(Boolean);
  return lines.map((line) => JSON.parse(line)).sort((one, other) => one.id - other.id);
}

const wordsOf = ({ result }: Answered): string[] => result.content.map(({ text }) => text);

const failureOf = (answer: Answered | undefined) => {
  if (answer?.result?.isError !== true) throw new TypeError(`no failure: ${JSON.stringify(answer)}`);
  return JSON.parse(wordsOf(answer)[0] ?? "").error;
};

describe("the tools", () => {
  it("are listed with the shapes of what they take and give", async () => {
    const { code, answers, stderr } = await serve("mcp", LIST, []);
    expect([code, stderr]).toEqual([0, ""]);
    const { tools = [] } = answers[0]?.result ?? {};
    const shapes = tools.map(({ name, inputSchema }) => [name, Object.keys(inputSchema.properties)]);
    expect(Object.fromEntries(shapes)).toEqual({
      get_subscription: [],
      quote_licenses: ["licenses"],
      list_purchases: ["limit", "status", "kind", "from", "to"],
      get_purchase: ["purchaseId"],
      get_report: ["from", "to", "by"],
      list_idle_users: ["days", "limit"],
    });
    const isClosed = ({ inputSchema }: { inputSchema: object }) => Reflect.get(inputSchema, "additionalProperties");
    expect(new Set(tools.map(isClosed))).toEqual(new Set([false]));
    expect(tools[0]?.outputSchema).toMatchObject({ type: "object", properties: { licenses: { type: "object" } } });
  });

  it("buy only with --allow-buy, and say that they do", async () => {
    const { answers } = await serve("mcp --allow-buy", LIST, [LIMITED]);
    const tool = answers[0]?.result.tools.at(-1);
    expect(tool).toMatchObject({
      name: "buy_licenses",
      inputSchema: { properties: { quoteId: { type: "string" } }, required: ["quoteId"], additionalProperties: false },
      annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true },
    });
    expect(Object.keys(tool?.inputSchema.properties ?? {})).toEqual(["quoteId"]);
    const { answers: refused } = await serve("mcp", BUY, []);
    expect(refused).toMatchObject([
      { id: 1, error: { code: -32602, message: expect.stringContaining("Unknown tool") } },
    ]);
  });

  it("are about the organization of the start, whatever is stored meanwhile", async () => {
    const profiles = { default: { apiUrl: API_URL, organizationId: 4201, email: null } };
    const env = { SECUREFLAG_API_TOKEN: "t" };
    const scripted = scriptedClient([
      { call: "purchase", with: [4201, "pur_1", undefined], gives: purchase() },
      { call: "purchase", with: [4201, "pur_1", undefined], gives: purchase() },
    ]);
    const input = new PassThrough();
    const fake = fakeContext({ env, profiles, client: scripted.client });
    const context: Context = { ...fake, io: { ...fake.io, openInput: () => input } };
    const running = runProgram(["mcp"], context);
    input.write(request(1, "get_purchase", { purchaseId: "pur_1" }));
    await expect.poll(() => answersIn(fake.written.stdout)).toHaveLength(1);
    fake.profiles.default = { apiUrl: "https://other.example", organizationId: 1, email: null };
    input.end(request(2, "get_purchase", { purchaseId: "pur_1" }));
    expect(await running).toBe(0);
    scripted.assertDone();
  });
});

it("says on a terminal what it waits for, and asks nothing", async () => {
  const { code, stderr, context } = await serve("mcp", "", [], { isTerminal: true });
  expect([code, stderr, context.questions]).toEqual([
    0,
    "Waiting for an MCP client on stdin. Press Ctrl-C to stop.\n",
    [],
  ]);
});

describe("a call that fails", () => {
  it("says why, and the server goes on: the token is revoked meanwhile", async () => {
    const { code, answers, stderr } = await serve(
      "mcp",
      request(1, "get_subscription") + request(2, "get_subscription"),
      [
        { call: "subscription", gives: subscription() },
        { call: "subscription", fails: new ClientError("unauthenticated", "The token was revoked") },
      ],
    );
    expect([code, stderr]).toEqual([0, ""]);
    expect(answers[0]?.result).toMatchObject({ structuredContent: { version: subscription().version } });
    expect(failureOf(answers[1])).toMatchObject({
      code: "unauthenticated",
      message: "The token was revoked",
      exitCode: 4,
      requestId: null,
    });
  });

  it("shows where a defect is with --verbose only, on stderr", async () => {
    const broken: ExpectedCall[] = [{ call: "subscription", fails: new TypeError("broken \u001b[31m") }];
    const quietly = await serve("mcp", request(1, "get_subscription"), broken);
    expect(failureOf(quietly.answers[0])).toMatchObject({ code: "defect", message: "broken [31m" });
    expect(quietly.stderr).toBe("");
    const loudly = await serve("mcp --verbose", request(1, "get_subscription"), broken);
    expect(loudly.stderr).toContain("TypeError: broken [31m");
    expect(loudly.answers).toHaveLength(1);
  });
});

describe("a purchase", () => {
  it("is sent once, under a key of its quote", async () => {
    const journal = fakeJournal();
    const sent: ExpectedCall = {
      call: "createPurchase",
      with: [4201, KEY, { quoteId: QUOTE.id }],
      gives: { purchase: made(), replayed: false, requestId: null },
    };
    const { code, answers } = await serve("mcp --allow-buy", BUY, [LIMITED, ...OFFERED, sent], { journal });
    expect(code).toBe(0);
    expect(answers[0]?.result).toMatchObject({ structuredContent: { purchase: { id: made().id } }, isError: false });
    expect(wordsOf(answers[0] as Answered)[0]).toBe(`Bought 5 licenses for £244.10, as ${made().id}.`);
    expect(journal.log).toEqual([`record ${KEY}`, `release ${KEY}`, `remove ${KEY}`]);
  });

  it.each([
    ["a sign-in", withToken({ name: null })],
    ["a token without a limit", withToken({ spendLimit: null })],
    ["a token with an empty limit", withToken({ spendLimit: { ...SPEND, licenses: null, licensesLeft: null } })],
    [
      "a backend that does not say",
      { call: "me", fails: Object.assign(new ClientError("not_found", "No"), { status: 404 }) },
    ],
  ] satisfies [string, ExpectedCall][])("needs a token with a limit, not %s", async (_what, who) => {
    const { code, stderr, context } = await serve("mcp --allow-buy --json", LIST, [who]);
    expect([code, context.written.stdout]).toEqual([5, ""]);
    expect(JSON.parse(stderr).error).toMatchObject({ code: "spending_limit_required", exitCode: 5 });
    // And whenever it buys: another sign-in may have been stored.
    const { answers } = await serve("mcp --allow-buy", BUY, [LIMITED, who]);
    expect(failureOf(answers[0]).code).toBe("spending_limit_required");
  });

  it("needs the scope", async () => {
    const { code, stderr } = await serve("mcp --allow-buy", LIST, [withToken({ scopes: ["billing:read"] })]);
    expect([code, stderr]).toEqual([5, expect.stringContaining("billing:purchase")]);
  });

  it("whose outcome is unknown stays in the journal, and may be asked for again", async () => {
    const journal = fakeJournal();
    const lost = new ClientError("outcome_unknown", "The answer was lost");
    const { answers } = await serve(
      "mcp --allow-buy",
      BUY,
      [
        LIMITED,
        ...OFFERED,
        { call: "createPurchase", fails: lost },
        { call: "purchaseByKey", fails: new ClientError("unreachable", "Connection refused") },
      ],
      { journal },
    );
    expect(failureOf(answers[0])).toMatchObject({ code: "outcome_unknown", exitCode: 10 });
    expect(wordsOf(answers[0] as Answered)[1]).toBe(
      "Calling buy_licenses again with this quoteId is safe: a quote is bought once.",
    );
    // Another command need not wait for the server to end.
    expect(journal.log).toEqual([`record ${KEY}`, `release ${KEY}`]);
  });

  it("stays in the journal if nobody reads the answer", async () => {
    const journal = fakeJournal();
    const sent: ExpectedCall = {
      call: "createPurchase",
      gives: { purchase: made(), replayed: false, requestId: null },
    };
    const script = [LIMITED, ...OFFERED, sent];
    const { code } = await serve("mcp --allow-buy", BUY, script, { journal }, { print: async () => false });
    expect([code, journal.log]).toEqual([0, [`record ${KEY}`, `release ${KEY}`]]);
  });

  it("that has not begun is not made after a signal; one that has is finished", async () => {
    let release = () => {};
    const held = new Promise<void>((done) => {
      release = done;
    });
    const script: ExpectedCall[] = [
      LIMITED,
      ...OFFERED,
      {
        call: "createPurchase",
        gives: held.then(() => ({ purchase: made(), replayed: false, requestId: null })),
      },
    ];
    const scripted = plainClient(script);
    const input = new PassThrough();
    const fake = fakeContext({ env: ENV, client: scripted.client });
    const running = runProgram(["mcp", "--allow-buy"], { ...fake, io: { ...fake.io, openInput: () => input } });
    input.write(BUY + request(2, "buy_licenses", { quoteId: "quo_2" }));
    await expect.poll(() => scripted.calls.at(-1)).toBe("createPurchase");
    fake.send("SIGTERM");
    release();
    expect(await running).toBe(0);
    const answers = answersIn(fake.written.stdout);
    expect(answers[0]?.result).toMatchObject({ structuredContent: { purchase: { status: "succeeded" } } });
    expect(failureOf(answers[1])).toMatchObject({
      code: "interrupted",
      message: expect.stringContaining("Not started"),
    });
    scripted.assertDone();
  });

  it("that is stale is not replaced by another one", async () => {
    const refusal = new ClientError("quote_expired", "The quote has expired");
    const { answers } = await serve("mcp --allow-buy", BUY, [
      LIMITED,
      ...OFFERED,
      { call: "createPurchase", fails: refusal },
      { call: "subscription", gives: subscription() },
    ]);
    expect(failureOf(answers[0])).toMatchObject({
      code: "quote_expired",
      hint: "Nothing was bought. Get a new quote with quote_licenses.",
    });
    expect(wordsOf(answers[0] as Answered)).toHaveLength(1);
  });

  it("that another server has made since is shown, though the quote is stale now", async () => {
    const changed: ExpectedCall = {
      call: "subscription",
      gives: { ...subscription(), version: subscription().version + 1 },
    };
    const { answers } = await serve("mcp --allow-buy", BUY, [
      LIMITED,
      ...OFFERED.slice(0, 3),
      changed,
      changed,
      changed,
      { call: "purchaseByKey", gives: { state: "known", purchase: made() } },
    ]);
    expect(wordsOf(answers[0] as Answered)[0]).toContain("This quote was bought before");
  });

  it("names what an earlier command left open, in cleaned words", async () => {
    const earlier = failedPurchase({
      idempotencyKey: entry().idempotencyKey,
      failure: { code: "x", message: "Buy 500!\u001b[2J" },
    });
    const { answers } = await serve(
      "mcp --allow-buy",
      BUY,
      [
        LIMITED,
        ...OFFERED.slice(0, 2),
        { call: "purchaseByKey", gives: { state: "known", purchase: earlier } },
        ...OFFERED.slice(2),
        { call: "createPurchase", gives: { purchase: made(), replayed: false, requestId: null } },
      ],
      { journal: fakeJournal([entry()]) },
    );
    expect(wordsOf(answers[0] as Answered)[1]).toMatch(
      /^An earlier purchase of \d+ licenses?, pur_\w+, failed: Buy 500!\[2J$/,
    );
  });
});
