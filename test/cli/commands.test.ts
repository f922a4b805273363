import { describe, expect, it } from "vitest";
import { runProgram } from "../../src/cli/main.ts";
import { ClientError } from "../../src/client/errors.ts";
import {
  API_URL,
  entry,
  failedPurchase,
  me,
  openPurchase,
  purchase,
  quote,
  receipt,
  subscription,
} from "./support/builders.ts";
import { type FakeWorld, fakeContext } from "./support/fakeContext.ts";
import { fakeJournal } from "./support/fakeJournal.ts";
import { type ExpectedCall, scriptedClient } from "./support/script.ts";

const TOKEN = { SECUREFLAG_API_TOKEN: "sfl_secret_x_ci", SECUREFLAG_API_URL: API_URL, SECUREFLAG_ORGANIZATION: "4201" };

const KEY = `cli_${"07".repeat(16)}`;

const ME: ExpectedCall = { call: "me", gives: me() };

const PRICED: ExpectedCall[] = [
  { call: "subscription", gives: subscription() },
  { call: "createQuote", gives: quote(5) },
];

async function play(line: string, script: readonly ExpectedCall[], world: FakeWorld = {}) {
  const scripted = scriptedClient(script);
  const context = fakeContext({ env: TOKEN, ...world, client: scripted.client });
  const code = await runProgram(line.split(" "), context);
  scripted.assertDone();
  return { code, context, ...context.written };
}

describe("reading", () => {
  it("status prints the subscription itself", async () => {
    const { code, stdout, stderr } = await play("status --json", [
      { call: "subscription", with: [4201], gives: subscription() },
    ]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(JSON.parse(stdout)).toEqual(subscription());
    expect(stdout.trimEnd()).not.toContain("\n");
  });

  it("status fails below a number of available licenses and prints nothing", async () => {
    const reading: ExpectedCall = { call: "subscription", gives: subscription() };
    expect(await play("status --fail-if-available-below 4", [reading])).toMatchObject({ code: 7, stdout: "" });
    expect(await play("status --fail-if-available-below 3", [reading])).toMatchObject({ code: 0 });
  });

  it.each([
    ["past_due", "Pay before 2027-03-15, or the subscription is suspended"],
    ["suspended", "Suspended since 2027-03-15, until the renewal is paid"],
  ] as const)("status fails if it is to, and the renewal is unpaid: %s", async (state, deadline) => {
    const unpaid = {
      purchaseId: "pur_9",
      total: { amount: 450_000, currency: "GBP" },
      deadline: "2027-03-15",
      missed: null,
    };
    const reading: ExpectedCall = { call: "subscription", gives: subscription({ state, unpaid }) };
    const { code, stdout, stderr } = await play("status --fail-if-past-due --json", [reading]);
    expect([code, stdout]).toEqual([7, ""]);
    expect(JSON.parse(stderr).error).toMatchObject({
      code: "past_due",
      message: `The last renewal is unpaid: £4,500.00 with tax, renewal pur_9. ${deadline}.`,
      hint: "Pay it with `secureflag-licenses purchases pay pur_9`.",
    });
    const invoiced: ExpectedCall = { call: "subscription", gives: subscription({ state, unpaid: null }) };
    expect((await play("status --fail-if-past-due", [invoiced])).stderr).toContain("Pay it from the email");
    const active: ExpectedCall = { call: "subscription", gives: subscription() };
    expect((await play("status --fail-if-past-due", [active])).code).toBe(0);
  });

  it("quote prints what it verified", async () => {
    const { code, stdout } = await play("quote 5 --json", PRICED);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({ ...quote(5), verified: true });
  });

  it("quote --compare prices every number from one read of the subscription", async () => {
    const later = subscription({ version: 2 });
    const quoted = (count: number, seen = subscription()): ExpectedCall[] => [
      { call: "subscription", gives: seen },
      { call: "createQuote", with: [count], gives: quote(count, {}, seen) },
    ];
    const { code, stdout } = await play("quote --compare 1,5,5 --json", [
      ...quoted(1),
      ...quoted(5, later),
      ...quoted(1, later),
      ...quoted(5, later),
    ]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual([1, 5].map((count) => ({ ...quote(count, {}, later), verified: true })));
  });

  it("quote --when shows what they cost later", async () => {
    const { code, stdout } = await play("quote 5 --when --json", PRICED);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      quote: { id: "quo_1" },
      prices: [{ date: "2026-11-22" }, {}, {}, {}],
      renewal: {},
    });
  });

  it("purchases list reads pages up to its limit and says that there are more", async () => {
    const items = Array.from({ length: 100 }, (_, index) => purchase({ id: `pur_${index}` }));
    const { stdout, stderr } = await play("purchases list --limit 150 --status succeeded --json", [
      { call: "purchases", with: [{ limit: 100, status: "succeeded" }], gives: { items, next: "c1" } },
      {
        call: "purchases",
        with: [{ limit: 50, after: "c1", status: "succeeded" }],
        gives: { items: items.slice(0, 50), next: "c2" },
      },
    ]);
    expect(JSON.parse(stdout)).toHaveLength(150);
    expect(stderr).toContain("Showing the newest 150. Pass --limit <n> or --all");
  });

  it("purchases list --all reads to the end, and an empty list is []", async () => {
    const page = (next: string | null): ExpectedCall => ({ call: "purchases", gives: { items: [purchase()], next } });
    expect(
      JSON.parse((await play("purchases list --all --json", [page("a"), page("b"), page(null)])).stdout),
    ).toHaveLength(3);
    const empty: ExpectedCall = { call: "purchases", with: [{ limit: 100 }], gives: { items: [], next: null } };
    expect(await play("purchases list --json", [empty])).toMatchObject({ code: 0, stdout: "[]\n", stderr: "" });
  });

  it("purchases list shows dates in the billing time zone", async () => {
    const here = subscription({ organization: { id: 4201, name: "N", timeZone: "Pacific/Auckland" } });
    const { stdout } = await play("purchases list", [
      { call: "purchases", gives: { items: [purchase({ createdAt: "2026-11-22T12:00:00Z" })], next: null } },
      { call: "subscription", gives: here },
    ]);
    expect(stdout).toContain("2026-11-23");
  });

  it.each(["ed76f451", "pur_ed76f451", "ed76f45190a1b2c3d4e5f607"])(
    "purchases show accepts %s as the start of an ID",
    async (name) => {
      const asked = name.startsWith("pur_") ? name : `pur_${name}`;
      const script: ExpectedCall[] = [{ call: "purchase", with: [asked], gives: purchase() }];
      expect((await play(`purchases show ${name} --json`, script)).code).toBe(0);
    },
  );

  it("purchases show omits the organization's counts", async () => {
    const { organizationLicenses, ...shown } = purchase();
    const { stdout } = await play("purchases show pur_1 --json", [
      { call: "purchase", with: ["pur_1"], gives: purchase() },
    ]);
    expect(JSON.parse(stdout)).toEqual(shown);
    expect(organizationLicenses.purchased).toBe(30);
  });

  it("purchases show and list have a refund only if money was returned", async () => {
    const refund = { amount: purchase().total, creditNoteNumber: "CN-1", refundedAt: "2026-11-23T10:00:01Z" };
    for (const [given, shown] of [
      [null, undefined],
      [refund, refund],
    ]) {
      const found = failedPurchase({ refund: given ?? null });
      const one = await play("purchases show pur_1 --json", [{ call: "purchase", gives: found }]);
      expect(JSON.parse(one.stdout).refund).toEqual(shown);
      const page: ExpectedCall = { call: "purchases", gives: { items: [found], next: null } };
      expect(JSON.parse((await play("purchases list --json", [page])).stdout)[0].refund).toEqual(shown);
    }
  });

  it("purchases receipt prints the receipt", async () => {
    const { stdout } = await play("purchases receipt pur_1 --json", [{ call: "receipt", gives: receipt() }]);
    expect(JSON.parse(stdout)).toEqual(receipt());
  });

  it("a rejection is shown with its request ID", async () => {
    const fails = new ClientError("forbidden", "Not \u001b[31myou", { status: 403, requestId: "req_1" });
    const { code, stdout, stderr } = await play("status --json", [{ call: "subscription", fails }]);
    expect({ code, stdout }).toEqual({ code: 5, stdout: "" });
    expect(JSON.parse(stderr)).toMatchObject({
      error: { code: "forbidden", message: "Not [31myou.", exitCode: 5, requestId: "req_1" },
    });
  });

  it("a result that cannot be printed is a failure without a stack", async () => {
    const reading: ExpectedCall = { call: "subscription", gives: subscription() };
    for (const [line, script] of [
      ["status", [reading]],
      ["--help", []],
    ] as const) {
      const { code, stderr } = await play(line, script, { isStdoutFull: true });
      expect({ line, code, stderr }).toMatchObject({
        code: 1,
        stderr: expect.stringContaining("could not be written"),
      });
      expect(stderr).not.toContain("    at ");
    }
  });

  it("the location of a defect is shown only with --verbose", async () => {
    const broken: ExpectedCall = { call: "subscription", fails: new TypeError("x is undefined") };
    expect((await play("status", [broken])).stderr).not.toContain("    at ");
    const loud = await play("status -v", [broken]);
    expect(loud).toMatchObject({ code: 1, stderr: expect.stringContaining("    at ") });
  });
});

describe("the organization", () => {
  const env = { SECUREFLAG_API_TOKEN: "t", SECUREFLAG_API_URL: API_URL };

  it("is the only one listed by /me", async () => {
    const script: ExpectedCall[] = [
      { call: "me", gives: me() },
      { call: "subscription", with: [4201], gives: subscription() },
    ];
    expect(await play("status", script, { env })).toMatchObject({ code: 0 });
  });

  it("must be given if there are several", async () => {
    const organizations = [
      { id: 1, name: "One", role: 0 },
      { id: 2, name: "Two", role: 0 },
    ];
    const { code, stderr } = await play("status", [{ call: "me", gives: me({ organizations }) }], { env });
    expect(code).toBe(2);
    expect(stderr).toContain("1 (One), 2 (Two)");
  });

  it("comes from flag, then environment, then profile, and from a profile only with its own backend", async () => {
    const profile = { apiUrl: API_URL, organizationId: 3, email: null };
    const reads = (id: number): ExpectedCall[] => [{ call: "subscription", with: [id], gives: subscription() }];
    const profiles = { default: profile };
    await play("status --org 1", reads(1), { env: { ...env, SECUREFLAG_ORGANIZATION: "2" }, profiles });
    await play("status", reads(2), { env: { ...env, SECUREFLAG_ORGANIZATION: "2" }, profiles });
    await play("status", reads(3), { env, profiles });
    const elsewhere = { default: { ...profile, apiUrl: "https://other.example/v2" } };
    const asked = await play("status", [{ call: "me", gives: me() }, ...reads(4201)], { env, profiles: elsewhere });
    expect(asked.code).toBe(0);
  });
});

describe("whoami", () => {
  it("shows which settings apply", async () => {
    const { stdout } = await play("whoami --json", [{ call: "me", gives: me() }]);
    expect(JSON.parse(stdout)).toEqual({
      user: me().user,
      organization: { id: 4201, name: "Northwind Labs" },
      apiUrl: API_URL,
      apiUrlSource: "environment",
      profile: null,
      livemode: null,
      mode: null,
      token: { source: "environment", ...me().token },
    });
    expect(stdout).not.toContain("sfl_secret");
  });

  it("says so if the backend does not report the user", async () => {
    const untold: ExpectedCall = { call: "me", fails: new ClientError("unexpected_answer", "no", { status: 404 }) };
    expect(await play("whoami", [untold])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("does not report who is signed in"),
    });
  });

  it("names a profile that does not exist", async () => {
    expect(await play("whoami --profile nosuch", [])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("nosuch"),
    });
  });
});

describe("buy", () => {
  const sold: ExpectedCall = {
    call: "createPurchase",
    gives: { purchase: purchase({ idempotencyKey: KEY }), replayed: false },
  };
  const terminal = (answer: boolean): FakeWorld => ({ isTerminal: true, answers: [answer] });

  it("prints the result, then removes the entry", async () => {
    const journal = fakeJournal();
    const { code, stdout, stderr, context } = await play("buy 5 --yes --json", [...PRICED, sold], { journal });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(Object.keys(JSON.parse(stdout))).toEqual(["purchase", "licenses", "quote", "replayed", "dryRun"]);
    expect(journal.log).toEqual([`record ${KEY}`, `remove ${KEY}`]);
    expect(context.reached).toEqual(["C3"]);
  });

  it("prints a declined purchase on stdout and the error on stderr", async () => {
    const declined = failedPurchase({ idempotencyKey: KEY });
    const script: ExpectedCall[] = [
      ...PRICED,
      { call: "createPurchase", gives: { purchase: declined, replayed: false } },
    ];
    const { code, stdout, stderr } = await play("buy 5 --yes --json", script);
    expect(code).toBe(6);
    expect(JSON.parse(stdout)).toMatchObject({ purchase: { status: "failed" } });
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: "payment_declined", exitCode: 6 } });
  });

  it("prints a purchase that waits for approval, with its URL", async () => {
    const open = openPurchase("requires_approval");
    const script: ExpectedCall[] = [...PRICED, { call: "createPurchase", gives: { purchase: open, replayed: false } }];
    const { code, stdout } = await play("buy 5 --yes", script);
    expect(code).toBe(8);
    expect(stdout).toContain("/pay/pur_1");
  });

  it("asks for confirmation, and buys on Yes", async () => {
    const { code, context, stderr } = await play("buy 5", [...PRICED, ME, sold], terminal(true));
    expect(code).toBe(0);
    expect(context.questions).toEqual(["Buy 5 licenses for £244.10 now?"]);
    expect(stderr).toContain("admin@northwind.example, token ci");
  });

  it("asks for confirmation even if the backend does not report the user", async () => {
    const untold: ExpectedCall = { call: "me", fails: new ClientError("not_found", "no", { status: 404 }) };
    const { code, stderr } = await play("buy 5", [...PRICED, untold, sold], terminal(true));
    expect(code).toBe(0);
    expect(stderr).toContain("the token in SECUREFLAG_API_TOKEN");
  });

  it("keeps the journal and exits with 10 if the result cannot be printed", async () => {
    const journal = fakeJournal();
    const { code, stderr } = await play("buy 5 --yes --json", [...PRICED, sold], { journal, isStdoutFull: true });
    expect(code).toBe(10);
    expect(JSON.parse(stderr)).toMatchObject({
      error: {
        code: "result_not_printed",
        message: "The purchase pur_1 was made, but the output could not be written.",
      },
    });
    expect(journal.log).toEqual([`record ${KEY}`]);
  });

  it("names the request that was declined", async () => {
    const declined = { purchase: failedPurchase({ idempotencyKey: KEY }), replayed: false, requestId: "req_1" };
    const { stderr } = await play("buy 5 --yes --json", [...PRICED, { call: "createPurchase", gives: declined }]);
    expect(JSON.parse(stderr)).toMatchObject({ error: { requestId: "req_1" } });
  });

  it("accepts No", async () => {
    expect(await play("buy 5", [...PRICED, ME], terminal(false))).toMatchObject({ code: 3, stdout: "" });
    const { stderr } = await play("buy 5 --json", [...PRICED, ME], terminal(false));
    expect(stderr).toContain('"declined_by_person"');
  });

  it.each([{ CI: "true" }, { CI: "1" }])("never asks if %o is set", async (ci) => {
    expect(await play("buy 5", [], { isTerminal: true, env: { ...TOKEN, ...ci } })).toMatchObject({ code: 2 });
  });

  it.each([{ CI: "false" }, { CI: "0" }, { CI: "" }])("asks if %o is set", async (ci) => {
    const world = { ...terminal(false), env: { ...TOKEN, ...ci } };
    expect(await play("buy 5", [...PRICED, ME], world)).toMatchObject({ code: 3 });
  });

  it("never asks with --no-input", async () => {
    expect(await play("buy 5 --no-input", [], { isTerminal: true })).toMatchObject({ code: 2 });
  });

  it("asks whether to buy again what an earlier command bought", async () => {
    const journal = fakeJournal([entry()]);
    const old = purchase({ idempotencyKey: "key_old" });
    const script: ExpectedCall[] = [{ call: "purchaseByKey", gives: { state: "known", purchase: old } }];
    const { code, context } = await play("buy 5", script, { ...terminal(false), journal });
    expect(code).toBe(0);
    expect(context.questions).toEqual(["Buy another 5 licenses?"]);
    expect(journal.kept).toEqual([]);
  });

  it("prints its final message when interrupted while a payment settles", async () => {
    const scripted = scriptedClient([
      ...PRICED,
      { call: "createPurchase", gives: { purchase: openPurchase("processing"), replayed: false } },
      { call: "purchase", gives: new Promise(() => {}) },
    ]);
    const context = fakeContext({ env: TOKEN, client: scripted.client });
    const running = runProgram(["buy", "5", "--yes"], context);
    await expect.poll(() => scripted.calls).toContain("purchase");
    context.send("SIGINT");
    expect(await running).toBe(130);
    expect(context.written).toEqual({
      stdout: "",
      stderr: expect.stringMatching(/pur_1 continues without this command.*purchases resume/s),
    });
  });

  it("exits silently when interrupted before anything was sent", async () => {
    const scripted = scriptedClient([{ call: "subscription", gives: new Promise(() => {}) }]);
    const context = fakeContext({ env: TOKEN, client: scripted.client });
    const running = runProgram(["buy", "5", "--yes"], context);
    await expect.poll(() => scripted.calls).toContain("subscription");
    context.send("SIGINT");
    expect(await running).toBe(130);
    expect(context.written).toEqual({ stdout: "", stderr: "" });
  });
});

describe("licenses reduce", () => {
  const scheduled = subscription({ reduction: { licenses: 23, date: "2027-03-01" } });

  it.each([
    ["licenses reduce 23", subscription(), "reduceLicenses", scheduled, "The reduction was scheduled"],
    ["licenses reduce --cancel", scheduled, "cancelReduction", subscription(), "The reduction was canceled"],
  ] as const)("%s says that it was done if the result cannot be printed", async (line, before, call, gives, done) => {
    const reading: ExpectedCall = { call: "subscription", gives: before };
    const full = { isStdoutFull: true };
    const { code, stderr } = await play(`${line} --yes`, [reading, { call, gives }], full);
    const told = stderr.replaceAll(/\s+/g, " ");
    expect([code, told]).toEqual([1, expect.stringContaining(`${done}, but the result could not be printed`)]);
    expect(told).toContain("See `secureflag-licenses status`");
    const rehearsed = await play(`${line} --dry-run`, [reading], full);
    expect([rehearsed.code, rehearsed.stderr]).toEqual([
      1,
      expect.stringMatching(/^Error: The output could not be written\.\n/),
    ]);
  });
});

describe("sandbox clock", () => {
  const moved = { now: "2026-12-01T00:00:00Z", renewals: [] };

  it.each([
    ["--by 3", { days: 3 }],
    ["--by 3d", { days: 3 }],
    ["--to 2026-12-01", { to: "2026-12-01" }],
    ["--to 2026-12-01T02:00+05:00", { to: "2026-11-30T21:00:00.000Z" }],
    ["--to 2026-11-30T24:00:00Z", { to: "2026-12-01T00:00:00.000Z" }],
    ["--to-renewal", { toRenewalOf: 4201 }],
  ])("advance %s moves the clock", async (flags, request) => {
    const { code, stdout } = await play(`sandbox clock advance ${flags} --json`, [
      { call: "advanceClock", with: [request], gives: moved },
    ]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual(moved);
  });

  it("needs no sign-in, but --to-renewal needs an organization", async () => {
    const env = { SECUREFLAG_API_URL: API_URL };
    const reading: ExpectedCall = { call: "sandboxState", gives: { now: moved.now, captures: [], next: null } };
    expect(await play("sandbox clock show", [reading], { env })).toMatchObject({ code: 0 });
    expect(await play("sandbox clock advance --to-renewal", [], { env })).toMatchObject({ code: 2 });
  });

  it("sends nothing to another machine", async () => {
    const { client } = scriptedClient([]);
    const remote = { ...client, isLoopback: false, origin: "https://api.secureflag.com", close: async () => {} };
    const context = fakeContext({ client: remote });
    expect(await runProgram(["sandbox", "clock", "show"], context)).toBe(2);
    expect(context.written.stderr).toContain("https://api.secureflag.com is not a sandbox");
  });

  it("says that the clock moved if the result cannot be printed, and not to move it again blindly", async () => {
    const script: ExpectedCall[] = [{ call: "advanceClock", gives: moved }];
    const { code, stderr } = await play("sandbox clock advance --by 30", script, { isStdoutFull: true });
    const told = stderr.replaceAll(/\s+/g, " ");
    expect([code, told]).toEqual([1, expect.stringContaining("clock was moved, but the result could not be printed")]);
    expect(told).toContain("sandbox clock show");
    expect(told).not.toContain("safe");
  });

  it("says if the backend is not a sandbox, and never moves back", async () => {
    const missing = new ClientError("unexpected_answer", "no", { status: 404 });
    expect(await play("sandbox clock show", [{ call: "sandboxState", fails: missing }])).toMatchObject({ code: 2 });
    const nobody = new ClientError("not_found", "There is no organization 77", { status: 404 });
    const elsewhere: ExpectedCall[] = [{ call: "advanceClock", fails: nobody }];
    const told = await play("sandbox clock advance --to-renewal", [
      ...elsewhere,
      { call: "sandboxState", fails: missing },
    ]);
    expect(told.stderr.replaceAll(/\s+/g, " ")).toContain("is a backend, but not a sandbox");
    const state = { now: moved.now, captures: [], next: null };
    const there = await play("sandbox clock advance --to-renewal", [
      ...elsewhere,
      { call: "sandboxState", gives: state },
    ]);
    expect(there).toMatchObject({ code: 2, stderr: expect.stringContaining("There is no organization 77") });
    const silent: ExpectedCall = { call: "sandboxState", fails: new ClientError("unreachable", "no answer") };
    expect(await play("sandbox clock advance --to-renewal", [...elsewhere, silent])).toMatchObject({ code: 10 });
    const back = new ClientError("clock_moves_forward_only", "no", { status: 409 });
    const script: ExpectedCall[] = [{ call: "advanceClock", fails: back }];
    expect(await play("sandbox clock advance --to 2020-01-01", script)).toMatchObject({ code: 2 });
  });
});
