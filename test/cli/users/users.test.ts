import stringWidth from "string-width";
import { describe, expect, it } from "vitest";
import { runProgram } from "../../../src/cli/main.ts";
import { ClientError, type ClientErrorCode } from "../../../src/client/errors.ts";
import type { Subscription } from "../../../src/contract/billing.ts";
import type { User } from "../../../src/contract/users.ts";
import {
  entry,
  failedPurchase,
  me,
  ORGANIZATION,
  openPurchase,
  purchase,
  quote,
  subscription,
  UNPAID,
  user,
} from "../support/builders.ts";
import { type FakeWorld, fakeContext } from "../support/fakeContext.ts";
import { fakeJournal } from "../support/fakeJournal.ts";
import { ENV, play, useCsvFiles } from "../support/playUsers.ts";
import { type ExpectedCall, scriptedClient } from "../support/script.ts";

const KEY = `cli_${"07".repeat(16)}`;

const csvFile = useCsvFiles();

const page = (...users: User[]): ExpectedCall => ({ call: "usersPage", gives: users });

const refused = (missing: number, needed = missing): ExpectedCall => ({
  call: "addUser",
  fails: new ClientError("no_license_available", "Too few.", { problem: { code: "", detail: "", missing, needed } }),
});

const fails = (call: ExpectedCall["call"], code: ClientErrorCode): ExpectedCall => ({
  call,
  fails: new ClientError(code, `refused: ${code}`),
});

/** A person who is signed in, not an API token. */
const SESSION: ExpectedCall = { call: "me", gives: me({ token: { ...me().token, name: null } }) };

const FULL = { purchased: 25, used: 25, available: 0 };

const AFTER = { purchased: 26, used: 26, available: 0 };

const full = (change: Partial<Subscription> = {}) => subscription({ licenses: FULL, ...change });

const READ: ExpectedCall = { call: "subscription", gives: full() };

const PRICED: ExpectedCall[] = [READ, { call: "createQuote", with: [ORGANIZATION, 1], gives: quote(1, {}, full()) }];

const { organizationLicenses: _counts, ...one } = purchase({
  licenses: 1,
  total: quote(1).total,
  idempotencyKey: KEY,
});

const sold = (change: Partial<ReturnType<typeof purchase>> = {}): ExpectedCall => ({
  call: "createPurchase",
  with: [KEY, { quoteId: "quo_1" }],
  gives: {
    purchase: { ...one, organizationLicenses: { purchased: 26, used: 25, available: 1 }, ...change },
    replayed: false,
    requestId: null,
  },
});

const BOUGHT = [...PRICED, sold()];

const ADDED: ExpectedCall = {
  call: "addUser",
  with: [ORGANIZATION, { email: "ada@northwind.example", firstName: "Ada", lastName: "Lovelace" }],
  gives: { user: user(), organizationLicenses: AFTER },
};

const ADD = "users add --email ada@northwind.example --first-name Ada --last-name Lovelace";

describe("users list", () => {
  const seen: User[] = [
    user({ idUser: 1, firstName: "山田太郎", lastName: "", status: "ACTIVE", team: { idTeam: 4, name: "=Red" } }),
    {
      ...user({ idUser: 2, role: 3, adminNoTraining: true, firstName: "Evil\u001b[2J\u202e", lastName: "One\r\nTwo" }),
      email: `${"long".repeat(20)}@example.test`,
      status: "SUSPENDED",
    },
    {
      ...user({ idUser: 3 }),
      email: null,
      firstName: null,
      lastName: null,
      role: null,
      status: null,
      username: null,
      defaultOrganization: null,
      adminNoTraining: null,
    },
  ];

  it("prints an aligned table within 60 columns, without control characters", async () => {
    const terminal = { isStdoutTerminal: true, columns: 60, env: { NO_COLOR: "1" } };
    const { code, stdout } = await play("users list", [page(...seen), page()], terminal);
    expect(code).toBe(0);
    const lines = stdout.trimEnd().split("\n");
    expect(Math.max(...lines.map((line) => stringWidth(line)))).toBeLessThanOrEqual(60);
    expect(stdout).not.toMatch(/[\u001b\u202e\r]/);
    expect(stdout).toContain("EvilOne Two".slice(0, 4));
    const roleColumn = stringWidth((lines[0] ?? "").split("Role")[0] ?? "");
    const [before = ""] = (lines.find((line) => line.includes("山田太郎")) ?? "").split("user");
    expect(stringWidth(before)).toBe(roleColumn);
    expect(stdout).toContain("team manager,");
    expect(stdout).toContain("number 3");
  });

  it("prints the public fields as JSON, with null for missing ones", async () => {
    const { stdout } = await play("users list --all --json", [page(...seen), page()]);
    expect(JSON.parse(stdout)).toEqual(seen);
    expect((await play("users list --json", [page()])).stdout).toBe("[]\n");
  });

  it("prints CSV with organization and team names, safe for spreadsheets", async () => {
    const { stdout } = await play("users list --csv", [page(...seen.slice(0, 1)), page()]);
    expect(stdout).toBe(
      "idUser,email,username,firstName,lastName,role,status,adminNoTraining,joinedDateTime,licenseStart,licenseEnd," +
        "defaultOrganization,team,stripeCustomerId,stripeSubscriptionId,stripeSubscriptionAutorenewal,uuid,lastLogin\n" +
        "1,ada@northwind.example,ada@northwind.example,山田太郎,,7,ACTIVE,false,,,,Northwind Labs,'=Red,,,false," +
        "00000000-0000-4000-8000-000000000007,\n",
    );
    expect((await play("users list --csv", [page()])).stdout.split("\n")).toHaveLength(2);
  });

  it("prints the first 100 and notes that there are more", async () => {
    const pages = Array.from({ length: 6 }, (_, number) =>
      page(...Array.from({ length: 20 }, (_, index) => user({ idUser: number * 20 + index }))),
    );
    const { stdout, stderr } = await play("users list --csv", pages);
    expect(stdout.trimEnd().split("\n")).toHaveLength(101);
    expect(stderr).toContain("There are more than 100 users. Pass --limit <n> or --all to see more.");
  });

  it("prints as many as --limit says, and reads no further", async () => {
    const pages = [0, 20].map((from) =>
      page(...Array.from({ length: 20 }, (_, index) => user({ idUser: from + index }))),
    );
    const some = await play("users list --csv --limit 3", pages.slice(0, 1));
    expect([some.code, some.stdout.trimEnd().split("\n").length]).toEqual([0, 4]);
    expect(some.stderr).toContain("There are more than 3 users. Pass --limit <n> or --all to see more.");
    const all = await play("users list --csv --limit 40", [...pages, page()]);
    expect([all.stdout.trimEnd().split("\n").length, all.stderr]).toEqual([41, ""]);
    for (const flags of ["--limit 0", "--limit x", "--limit 5 --all"]) {
      expect((await play(`users list ${flags}`, [])).code).toBe(2);
    }
  });
});

describe("users add", () => {
  it("asks in a terminal for what is missing, again after what is not valid", async () => {
    const world = { isTerminal: true, answers: ["ada", "ada@northwind.example", "", "Ada"] };
    const { code, questions, stderr } = await play("users add --last-name Lovelace", [ADDED], world);
    expect({ code, questions }).toEqual({ code: 0, questions: ["Email", "Email", "First name", "First name"] });
    expect(stderr).toContain("It is not an email address.\n");
    expect(stderr).toContain("It is empty.\n");
  });

  it.each([
    ["--yes", { isTerminal: true }],
    ["--no-input", { isTerminal: true }],
    ["--json", {}],
  ])("asks nothing with %s and %j", async (flag, world) => {
    expect(await play(`users add ${flag}`, [], world)).toMatchObject({ code: 2, questions: [] });
  });

  it("prints the user and the license counts, and buys nothing", async () => {
    const { code, stdout, stderr } = await play(`${ADD} --json`, [ADDED]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(JSON.parse(stdout)).toEqual({ user: user(), purchase: null, licenses: AFTER, dryRun: false });
    const human = await play(ADD, [ADDED]);
    expect(human.stdout).toBe(
      "Added ada@northwind.example (Ada Lovelace, user).\nLicenses now    26 purchased, 26 used, 0 available\n",
    );
  });

  it.each([
    [["--role", "administrator", "--no-training"], { role: 0, adminNoTraining: true }],
    [["--role", "Manager"], { role: 3 }],
    [["--role", "user"], { role: 7 }],
    [["--role", "creator"], { role: 5 }],
    [["--role", "threatcanvas-reviewer"], { role: 6 }],
  ])("sends %j as %j", async (flags, fields) => {
    const sent = [expect.objectContaining({ email: "ada@northwind.example", ...fields })];
    const call: ExpectedCall = { ...ADDED, with: sent };
    expect((await play([...ADD.split(" "), ...flags], [call])).code).toBe(0);
  });

  it("exits with 2 and points to the list if the user exists", async () => {
    const { code, stderr } = await play(ADD, [fails("addUser", "invalid_request")]);
    const hint = "No users were added. See `secureflag-licenses users list --all`.";
    expect([code, stderr]).toEqual([2, `Error: refused: invalid_request.\n${hint}\n`]);
  });

  it("exits with 10 if the response was lost", async () => {
    expect(await play(`${ADD} --json`, [fails("addUser", "outcome_unknown")])).toMatchObject({ code: 10, stdout: "" });
  });

  it("says that the user was added if the result cannot be printed", async () => {
    const { code, told } = await play(ADD, [ADDED], { isStdoutFull: true });
    expect([code, told]).toEqual([
      1,
      expect.stringContaining("The users were added, but the result could not be printed"),
    ]);
    expect(told).toContain("users list --all");
  });

  it("says that the user may have been added if interrupted", async () => {
    const world: FakeWorld = {};
    const scripted = scriptedClient([]);
    const context = fakeContext({ ...world, env: ENV, client: scripted.client });
    const client = { ...scripted.client, addUser: () => new Promise(() => context.send("SIGINT")) };
    const code = await runProgram(ADD.split(" "), { ...context, createClient: async () => client as never });
    expect([code, context.written.stderr]).toEqual([130, expect.stringContaining("The users may have been added")]);
  });
});

describe("with missing licenses", () => {
  it("exits with 9, and prints the number and the price, without --buy-missing, and buys nothing", async () => {
    for (const flags of ["", " --yes", " --max-total 1"]) {
      const { code, stdout, told } = await play(`${ADD}${flags}`, [refused(1), ...PRICED]);
      expect([code, stdout]).toEqual([9, ""]);
      expect(told).toContain("1 license is missing, and costs £48.82 (£40.68 + £8.14 tax) now. No users were added.");
      expect(told).toContain("--buy-missing");
    }
  });

  it("exits with 9 and the reason if the price is unknown", async () => {
    const script = [refused(2), fails("subscription", "insufficient_scope")];
    const { code, told } = await play(ADD, script);
    expect(code).toBe(9);
    expect(told).toContain("2 licenses are missing, and the price is not known: refused: insufficient_scope.");
  });

  it("passes on a rejection without a number", async () => {
    const { code, told } = await play(`${ADD} --buy-missing`, [fails("addUser", "no_license_available")]);
    expect([code, told]).toEqual([9, expect.stringContaining("refused: no_license_available.")]);
  });

  it("buys exactly the missing licenses with --buy-missing, then adds", async () => {
    const { code, stdout, stderr, context } = await play(`${ADD} --buy-missing --json`, [refused(1), ...BOUGHT, ADDED]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(JSON.parse(stdout)).toEqual({ user: user(), purchase: one, licenses: AFTER, dryRun: false });
    expect(context.reached).toContain("C3");
  });

  it("shows people the price beforehand, and the purchase and the user afterwards", async () => {
    const { stdout, told } = await play(`${ADD} --buy-missing`, [refused(1), ...BOUGHT, ADDED]);
    expect(told).toContain("1 license is missing.");
    expect(told).toContain("Target 1 license available");
    expect(told).toContain("Due now £48.82 (£40.68 + £8.14 tax)");
    expect(stdout).toMatch(
      /^✓ Bought 1 license for £48\.82\nReceipt [\s\S]*\n\nAdded ada@northwind.example \(Ada Lovelace, user\)\.\n/,
    );
    expect(stdout.match(/Licenses now/g)).toHaveLength(1);
  });

  it.each([
    ["--max-total 48.81", "max_total_exceeded", PRICED],
    ["--max-licenses 0", "max_licenses_exceeded", [READ]],
    ["--if-purchased 24", "if_purchased_not_met", PRICED],
  ])("%s exits with 7 and prints nothing", async (guard, code, script) => {
    const run = await play(`${ADD} --buy-missing --json ${guard}`, [refused(1), ...script]);
    expect([run.code, run.stdout, JSON.parse(run.stderr).error.code]).toEqual([7, "", code]);
  });

  it("sends PO number and note with the purchase", async () => {
    const made = sold({ purchaseOrder: "PO-7", note: "new team" });
    const call = { ...made, with: [{ quoteId: "quo_1", purchaseOrder: "PO-7", note: "new team" }] };
    const line = [...ADD.split(" "), "--buy-missing", "--po", "PO-7", "--note", "new team", "--json"];
    expect((await play(line, [refused(1), ...PRICED, call, ADDED])).code).toBe(0);
  });

  it.each([
    [6, failedPurchase({ ...one, status: "failed", failure: { code: "card_declined", message: "" } })],
    [
      8,
      openPurchase("requires_approval", {
        ...purchase({ licenses: 1 }),
        idempotencyKey: KEY,
        status: "requires_approval",
      }),
    ],
  ])("prints a purchase that exits with %i, and adds no users", async (expected, made) => {
    const script = [refused(1), ...PRICED, sold({ ...made, organizationLicenses: FULL })];
    const { code, stdout } = await play(`${ADD} --buy-missing --json`, script);
    expect(code).toBe(expected);
    const { organizationLicenses: _, ...printed } = made;
    expect(JSON.parse(stdout)).toMatchObject({ user: null, purchase: { status: printed.status }, licenses: FULL });
    expect((await play(`${ADD} --buy-missing`, script)).stdout).toMatch(/^Purchase /);
  });

  it.each([
    [10, fails("addUser", "outcome_unknown"), "outcome_unknown"],
    [2, fails("addUser", "invalid_request"), "invalid_request"],
  ])("prints the purchase even if adding then exits with %i", async (expected, add, code) => {
    const run = await play(`${ADD} --buy-missing --json`, [refused(1), ...BOUGHT, add]);
    expect(run.code).toBe(expected);
    expect(JSON.parse(run.stdout)).toMatchObject({ user: null, purchase: { id: "pur_1" }, licenses: { available: 1 } });
    expect(JSON.parse(run.stderr)).toMatchObject({ error: { code } });
  });

  describe("taken by others after the purchase", () => {
    const found: ExpectedCall = {
      call: "purchaseByKey",
      gives: { state: "known", purchase: { ...one, organizationLicenses: FULL } },
    };
    // Buying finds its own purchase, and that more is missing now.
    const again = [refused(1), found, READ];
    const second = { ...one, id: "pur_2", receiptNumber: "4201-000002" };
    const robbed = [refused(1), ...BOUGHT, ...again];

    it("buys again and prints every purchase", async () => {
      const script = [...robbed, ...PRICED, sold({ id: "pur_2", receiptNumber: "4201-000002" }), ADDED];
      const { code, stdout, stderr, context } = await play(`${ADD} --buy-missing --json`, script);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(JSON.parse(stdout)).toEqual({
        user: user(),
        purchase: second,
        licenses: AFTER,
        dryRun: false,
        earlierPurchases: [one],
      });
      expect(await (await context.journal()).entries("", 0)).toEqual([]);
      const human = await play(`${ADD} --buy-missing`, script);
      expect(human.stdout).toMatch(/4201-000001[\s\S]*4201-000002[\s\S]*\nAdded ada@northwind.example/);
    });

    it.each([
      ["--max-licenses 1", [READ]],
      ["--max-total 97.63", PRICED],
      ["--if-purchased 25", [...PRICED]],
    ])("%s applies to the total: exits with 7 and prints what was bought", async (guard, script) => {
      const others = full({ licenses: { purchased: 27, used: 27, available: 0 } });
      const moved: ExpectedCall[] = [
        { call: "subscription", gives: others },
        { call: "createQuote", gives: quote(1, {}, others) },
      ];
      const last = guard.startsWith("--if") ? moved : script;
      const run = await play(`${ADD} --buy-missing --json ${guard}`, [...robbed, ...last]);
      expect(run.code).toBe(7);
      expect(JSON.parse(run.stdout)).toMatchObject({ user: null, purchase: { id: "pur_1" } });
      const { error } = JSON.parse(run.stderr);
      expect(error.message).toMatch(/^Others took the licenses that were bought\. .*No users were added\.$/);
      expect(error.hint).not.toContain("bought nothing");
    });

    it("continues within the guards", async () => {
      const now = full({ licenses: { purchased: 26, used: 26, available: 0 } });
      const script: ExpectedCall[] = [
        ...robbed,
        { call: "subscription", gives: now },
        { call: "createQuote", gives: quote(1, {}, now) },
        sold({ id: "pur_2" }),
        ADDED,
      ];
      const guards = "--max-licenses 2 --max-total 97.64 --if-purchased 25";
      expect((await play(`${ADD} --buy-missing --json ${guards}`, script)).code).toBe(0);
    });

    it("buys at most three times, then exits with 9 and the purchases", async () => {
      const script = [
        ...robbed,
        ...PRICED,
        sold({ id: "pur_2" }),
        ...again,
        ...PRICED,
        sold({ id: "pur_3" }),
        refused(1),
      ];
      const { code, stdout } = await play(`${ADD} --buy-missing --json`, script);
      expect(code).toBe(9);
      expect(JSON.parse(stdout)).toMatchObject({
        purchase: { id: "pur_3" },
        earlierPurchases: [{ id: "pur_1" }, { id: "pur_2" }],
      });
    });
  });

  it("waits for licenses that others are buying", async () => {
    const pending: ExpectedCall = { call: "subscription", gives: full({ pending: { purchases: 1, licenses: 1 } }) };
    const { code, stdout, context } = await play(`${ADD} --buy-missing --json`, [
      refused(1),
      pending,
      refused(1),
      pending,
      ADDED,
    ]);
    expect([code, JSON.parse(stdout).purchase]).toEqual([0, null]);
    expect(context.clock.monotonic()).toBeGreaterThan(600);
  });

  it("exits with 9 if licenses never arrive or are always taken", async () => {
    const pending: ExpectedCall = { call: "subscription", gives: full({ pending: { purchases: 1, licenses: 1 } }) };
    const script = [...Array.from({ length: 5 }, () => [refused(1), pending]).flat(), refused(1)];
    const { code, stdout, told } = await play(`${ADD} --buy-missing`, script);
    expect([code, stdout]).toEqual([9, ""]);
    expect(told).toContain("1 license is missing: others took them, or");
    expect(told.match(/1 license is missing\./g)).toHaveLength(1);
  });

  it("retries while others change the subscription", async () => {
    const changed = [...PRICED, fails("createPurchase", "subscription_changed")];
    const script = [refused(1), ...Array(4).fill(changed).flat(), ...PRICED, refused(1), ...BOUGHT, ADDED];
    const { code } = await play(`${ADD} --buy-missing --json`, script);
    expect(code).toBe(0);
  });

  it("buys only on the version on which licenses were missing, as a twin may have added the same users since", async () => {
    const version = full().version;
    const on = (subscriptionVersion: number): ExpectedCall => {
      const problem = { code: "", detail: "", needed: 1, missing: 1, subscriptionVersion };
      return { call: "addUser", fails: new ClientError("no_license_available", "Too few.", { problem }) };
    };
    const there = fails("addUser", "invalid_request");
    expect((await play(`${ADD} --buy-missing --json`, [on(version - 1), READ, there])).code).toBe(2);
    const twice = [on(version - 1), READ, on(version), ...BOUGHT, ADDED];
    expect((await play(`${ADD} --buy-missing --json`, twice)).code).toBe(0);
  });

  it("adds an administrator without training without a license", async () => {
    const line = `${ADD} --role administrator --no-training --buy-missing --json`;
    const sent = expect.objectContaining({ role: 0, adminNoTraining: true });
    expect((await play(line, [{ ...ADDED, with: [sent] }])).code).toBe(0);
  });
});

describe("the prompt to buy", () => {
  const ME: ExpectedCall = { call: "me", gives: me() };

  it("is the same as for buy, with or without --buy-missing; Yes buys and adds", async () => {
    for (const flag of ["", " --buy-missing"]) {
      const script = [refused(1), ...PRICED, ME, sold(), ADDED];
      const { code, questions, told } = await play(`${ADD}${flag}`, script, { isTerminal: true, answers: [true] });
      expect([code, questions]).toEqual([0, ["Buy 1 license for £48.82 now?"]]);
      expect(told).toContain("Licenses 25 → 26");
    }
  });

  it("exits with 3 on No, buys nothing and adds no users", async () => {
    const { code, stdout, told } = await play(ADD, [refused(1), ...PRICED, ME], { isTerminal: true, answers: [false] });
    expect([code, stdout]).toEqual([3, ""]);
    expect(told).toContain("Canceled. Nothing was bought. No users were added.");
  });

  it.each(["--no-input", "--yes"])("does not appear with %s", async (flag) => {
    const { code, questions } = await play(`${ADD} ${flag}`, [refused(1), ...PRICED], { isTerminal: true });
    expect([code, questions]).toEqual([9, []]);
    const buys = await play(`${ADD} ${flag} --buy-missing`, [refused(1), ...BOUGHT, ADDED], { isTerminal: true });
    expect([buys.code, buys.questions]).toEqual([0, []]);
  });
});

describe("running again after a kill", () => {
  const killed = entry({ target: { available: 1 }, licenses: 1 });
  const before = { ...one, id: "pur_0", idempotencyKey: killed.idempotencyKey };
  const known: ExpectedCall = {
    call: "purchaseByKey",
    with: [killed.idempotencyKey],
    gives: { state: "known", purchase: { ...before, organizationLicenses: AFTER } },
  };

  it("prints what the killed command bought, and removes its journal entry", async () => {
    const journal = fakeJournal([killed]);
    const { code, stdout } = await play(`${ADD} --buy-missing --json`, [ADDED, known], { journal });
    expect([code, JSON.parse(stdout).purchase]).toEqual([0, before]);
    expect(journal.kept).toEqual([]);
  });

  it.each([
    ["another target", { target: { available: 2 } }, []],
    ["another note", { note: "other" }, []],
    ["a key that never arrived", {}, [{ call: "purchaseByKey", gives: { state: "unknown" } } as ExpectedCall]],
    ["a backend without an answer", {}, [fails("purchaseByKey", "unreachable")]],
  ])("leaves %s alone", async (_, change, script) => {
    const journal = fakeJournal([{ ...killed, ...change }]);
    const { code, stdout } = await play(`${ADD} --buy-missing --json`, [ADDED, ...script], { journal });
    expect([code, JSON.parse(stdout).purchase, journal.kept.length]).toEqual([0, null, 1]);
  });

  it("leaves a running command alone", async () => {
    const journal = fakeJournal([killed]);
    journal.ownerRunsFor = 1;
    expect((await play(`${ADD} --buy-missing`, [ADDED], { journal })).code).toBe(0);
    expect(journal.kept).toHaveLength(1);
  });

  it("buys again only if more is missing than the killed command bought", async () => {
    const journal = fakeJournal([killed]);
    const script = [refused(1), known, READ, ...PRICED];
    const { code, told } = await play(`${ADD} --buy-missing`, [...script, sold(), ADDED], { journal });
    expect(code).toBe(0);
    expect(told).toContain("An earlier run of this command made the purchase pur_0. More licenses are missing now.");
  });
});

describe("users import", () => {
  const HEAD = "email,firstName,lastName,role,adminNoTraining\n";
  const three = () => csvFile(`${HEAD}a@x.example,A,A,,\nb@x.example,B,B,manager,true\nc@x.example,C,C,creator,\n`);
  const sent = [
    { email: "a@x.example", firstName: "A", lastName: "A" },
    { email: "b@x.example", firstName: "B", lastName: "B", role: 3, adminNoTraining: true },
    { email: "c@x.example", firstName: "C", lastName: "C", role: 5 },
  ];
  const imported = (existing: number[] = []): ExpectedCall => ({
    call: "importUsers",
    with: [ORGANIZATION, sent],
    gives: { existing, organizationLicenses: AFTER },
  });
  const lacking = (missing: number, needed: number): ExpectedCall => ({
    ...refused(missing, needed),
    call: "importUsers",
  });

  it("adds all users in one request, and names existing ones", async () => {
    const { code, stdout } = await play(`users import ${three()} --json`, [imported([1])]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      added: ["a@x.example", "c@x.example"],
      existing: ["b@x.example"],
      purchase: null,
      licenses: AFTER,
      dryRun: false,
    });
    expect((await play(`users import ${three()}`, [imported([1])])).stdout).toBe(
      "Added 2 users.\n1 user already existed and was left alone:\n  b@x.example\n" +
        "Licenses now    26 purchased, 26 used, 0 available\n",
    );
  });

  it("names at most 20 existing users", async () => {
    const rows = Array.from({ length: 23 }, (_, index) => `u${index}@x.example,U,U,,`).join("\n");
    const gives = { existing: [...Array(23).keys()], organizationLicenses: AFTER };
    const { stdout } = await play(`users import ${csvFile(HEAD + rows)}`, [{ call: "importUsers", gives }]);
    expect(stdout).toContain("Added no users.");
    expect(stdout).toContain("  u19@x.example\n  and 3 more\n");
  });

  it("reads stdin for -", async () => {
    const input = "email,firstName,lastName\na@x.example,A,A\n";
    const gives = { existing: [], organizationLicenses: AFTER };
    const call: ExpectedCall = { call: "importUsers", with: [sent.slice(0, 1)], gives };
    expect((await play("users import -", [call], { input })).code).toBe(0);
  });

  it("reports every problem with its line before anything is sent", async () => {
    const path = csvFile("email,firstName,lastName\nx,A,A\n\nb@x.example,,B\n");
    const { code, stdout, stderr } = await play(`users import ${path} -q`, []);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toBe(
      'line 2: email "x" is not an email address\nline 4: firstName is empty\n' +
        "Error: The file has 2 problems. Nothing was changed.\nCorrect the file and run the command again. Nothing was sent.\n",
    );
    const json = await play(`users import ${path} --json`, []);
    expect(JSON.parse(json.stderr).error).toMatchObject({
      code: "users_file_invalid",
      problems: [
        { line: 2, message: 'email "x" is not an email address' },
        { line: 4, message: "firstName is empty" },
      ],
    });
  });

  it("reports at most 100 problems, and how many there are", async () => {
    const path = csvFile(
      `email,firstName,lastName\n${Array.from({ length: 1_234 }, (_, index) => `x${index},A,A`).join("\n")}`,
    );
    const { stderr } = await play(`users import ${path}`, []);
    expect(stderr).toContain('line 101: email "x99" is not an email address\nand 1,134 more\nError: ');
    const { error } = JSON.parse((await play(`users import ${path} --json`, [])).stderr);
    expect(error.problems).toHaveLength(100);
    expect(error.message).toContain("The file has 1,234 problems.");
  });

  it("reports the backend's problems by line", async () => {
    const errors = [{ path: "users[1].role", message: "0 is not a role that you may give" }];
    const error = new ClientError("invalid_request", "No.", { problem: { code: "", detail: "", errors } });
    const { code, stderr } = await play(`users import ${three()}`, [{ call: "importUsers", fails: error }]);
    expect([code, stderr.split("\n")[0]]).toEqual([2, "line 3: role 0 is not a role that you may give"]);
  });

  it.each([[[{ path: "users", message: "are too many" }]], [[{ path: "users[9].role", message: "is wrong" }]], [[]]])(
    "passes on problems that concern no line of the file: %j",
    async (errors) => {
      const error = new ClientError("invalid_request", "No.", { problem: { code: "", detail: "", errors } });
      const { code, stderr } = await play(`users import ${three()}`, [{ call: "importUsers", fails: error }]);
      expect([code, stderr]).toEqual([2, expect.stringMatching(/^Error: No\.\n/)]);
    },
  );

  it("buys the missing licenses of the new users only", async () => {
    const two = full({ licenses: { purchased: 25, used: 24, available: 1 } });
    const script: ExpectedCall[] = [
      lacking(1, 2),
      { call: "subscription", gives: two },
      { call: "createQuote", with: [ORGANIZATION, 1], gives: quote(1, {}, two) },
      sold(),
      imported(),
    ];
    const { code, stdout } = await play(`users import ${three()} --buy-missing --json`, script);
    expect([code, JSON.parse(stdout)]).toMatchObject([0, { added: { length: 3 }, purchase: { licenses: 1 } }]);
    const said = await play(`users import ${three()}`, [
      lacking(2, 2),
      READ,
      { call: "createQuote", with: [ORGANIZATION, 2], gives: quote(2, {}, full()) },
    ]);
    expect([said.code, said.told]).toEqual([9, expect.stringContaining("2 licenses are missing, and cost £97.64 (")]);
  });

  it("prints a failed purchase and adds no users", async () => {
    const made = failedPurchase({ ...one, status: "failed", failure: { code: "card_declined", message: "" } });
    const script = [lacking(1, 2), ...PRICED, sold({ ...made, organizationLicenses: FULL })];
    const first = script[1] as ExpectedCall;
    const two = full({ licenses: { purchased: 25, used: 24, available: 1 } });
    const { code, stdout } = await play(`users import ${three()} --buy-missing --json`, [
      script[0] as ExpectedCall,
      { ...first, gives: two },
      ...script.slice(2),
    ]);
    expect([code, JSON.parse(stdout)]).toMatchObject([6, { added: [], existing: [], purchase: { status: "failed" } }]);
  });

  it("only reads in a dry run: new users, licenses and price", async () => {
    const gone = user({ idUser: 3, email: "b@x.example", status: "REMOVED" });
    const there = [page(user({ idUser: 2, email: "A@X.example" }), gone), page()];
    const enough: ExpectedCall = { call: "subscription", gives: subscription() };
    const { code, stdout } = await play(`users import ${three()} --dry-run --json`, [...there, enough]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      added: ["b@x.example", "c@x.example"],
      existing: ["a@x.example"],
      purchase: null,
      licenses: subscription().licenses,
      dryRun: true,
    });
    const missing = await play(`users import ${three()} --dry-run`, [...there, READ, ...PRICED]);
    expect([missing.code, missing.told]).toEqual([
      9,
      expect.stringContaining("1 license is missing, and costs £48.82"),
    ]);
    const ME: ExpectedCall = { call: "me", gives: me() };
    const buys = await play(`users import ${three()} --dry-run --buy-missing --json`, [...there, READ, ...PRICED, ME]);
    expect([buys.code, JSON.parse(buys.stdout)]).toMatchObject([
      0,
      { purchase: null, quote: { licenses: 1 }, dryRun: true },
    ]);
  });
});

it("users import --dry-run rejects an administrator with an API token", async () => {
  const file = csvFile("email,firstName,lastName,role\na@b.example,A,B,user\nc@d.example,C,D,administrator\n");
  const { code, told } = await play(`users import ${file} --dry-run`, [page(), { call: "me", gives: me() }]);
  expect([code, told]).toEqual([5, expect.stringContaining("API tokens cannot add or remove administrators")]);
});

describe("users add --dry-run", () => {
  const line = `${ADD} --dry-run`;

  it("shows the user without the fields of an existing one", async () => {
    const enough: ExpectedCall = { call: "subscription", gives: subscription() };
    const { code, stdout } = await play(`${line} --json`, [page(), enough]);
    expect(code).toBe(0);
    const planned = { ...user(), idUser: null, username: null, uuid: null, defaultOrganization: null };
    const licenses = subscription().licenses;
    expect(JSON.parse(stdout)).toEqual({ user: planned, purchase: null, licenses, dryRun: true });
    expect((await play(line, [page(), enough])).stdout).toContain("Dry run: would add ada@northwind.example");
  });

  it("exits like the real command: 2 for an existing user, 9 without licenses, 7 by a guard", async () => {
    const there = await play(line, [page(user({ email: "ADA@northwind.example" })), page()]);
    expect([there.code, there.told]).toEqual([2, expect.stringContaining("is already a user of this organization")]);
    expect((await play(line, [page(), READ, ...PRICED])).code).toBe(9);
    const guarded = await play(`${line} --buy-missing --max-total 48.81`, [page(), READ, ...PRICED]);
    expect(guarded.code).toBe(7);
  });

  it.each(["suspended", "ended"] as const)("fails if the subscription is %s and licenses are needed", async (state) => {
    const stopped: ExpectedCall = { call: "subscription", gives: subscription({ state }) };
    const { code, told } = await play(line, [page(), stopped]);
    expect([code, told]).toEqual([7, expect.stringContaining("Users cannot take licenses: the subscription ")]);
    expect((await play(`${line} --role statistics --no-training`, [page(), stopped])).code).toBe(0);
  });

  it("names the unpaid renewal of a suspended subscription", async () => {
    const stopped = { call: "subscription", gives: subscription({ state: "suspended", unpaid: UNPAID }) } as const;
    const { code, told } = await play(line, [page(), stopped]);
    expect(code).toBe(7);
    expect(told).toContain(
      "Users cannot take licenses: renewal pur_9 (£4,500.00 with tax) is unpaid, and the subscription has been suspended since 2027-03-15.",
    );
    expect(told).toContain("Pay the renewal with `secureflag-licenses purchases pay pur_9`.");
  });

  it("does not prompt in a terminal", async () => {
    const { code, questions } = await play(line, [page(), READ, ...PRICED], { isTerminal: true });
    expect([code, questions]).toEqual([9, []]);
  });

  it("works with a token that cannot read the counts", async () => {
    const { code, stdout } = await play(`${line} --json`, [page(), fails("subscription", "insufficient_scope")]);
    expect([code, JSON.parse(stdout).licenses]).toEqual([0, null]);
  });

  it("needs no license for an administrator without training", async () => {
    const script = [page(), SESSION, READ];
    expect((await play(`${line} --role administrator --no-training --json`, script)).code).toBe(0);
  });

  it("rejects an administrator with an API token, as the backend would", async () => {
    const { code, told } = await play(`${line} --role administrator`, [page(), { call: "me", gives: me() }]);
    expect([code, told]).toEqual([5, expect.stringContaining("API tokens cannot add or remove administrators")]);
    expect(told).toContain("Unset SECUREFLAG_API_TOKEN");
    const missing = new ClientError("not_found", "no", { status: 404 });
    const untold: ExpectedCall = { call: "me", fails: missing };
    expect((await play(`${line} --role administrator --no-training`, [page(), untold, READ])).code).toBe(0);
  });
});

describe("users remove", () => {
  const ada = user({ idUser: 52, email: "Ada@Northwind.example", firstName: "Ada\u001b[2J", role: 3 });
  const found = [page(user({ idUser: 1, email: "other@x.example" })), page(ada), page()];
  const answer = { organizationLicenses: AFTER, pending: null };
  const removed: ExpectedCall = { call: "removeUser", with: [ORGANIZATION, 52], gives: answer };
  const line = "users remove ada@northwind.example";

  it("finds the user by email in any spelling, and removes it by ID", async () => {
    const { code, stdout } = await play(`${line} --yes --json`, [...found, removed]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      email: "Ada@Northwind.example",
      idUser: 52,
      removed: true,
      licenses: AFTER,
      dryRun: false,
    });
    expect((await play(`${line} --yes`, [...found, removed])).stdout).toBe(
      "Removed Ada@Northwind.example.\nLicenses now    26 purchased, 26 used, 0 available\n",
    );
  });

  it("says that the user was removed if the result cannot be printed", async () => {
    const { code, told } = await play(`${line} --yes`, [...found, removed], { isStdoutFull: true });
    expect([code, told]).toEqual([1, expect.stringContaining("was removed, but the result could not be printed")]);
  });

  it("asks for confirmation, No by default", async () => {
    const who: ExpectedCall = { call: "me", gives: me() };
    const yes = await play(line, [...found, who, removed], { isTerminal: true, answers: [true] });
    expect([yes.code, yes.questions]).toEqual([0, ["Remove Ada@Northwind.example (Ada[2J Lovelace, team manager)?"]]);
    const no = await play(line, [...found, who], { isTerminal: true, answers: [false] });
    expect([no.code, no.told]).toEqual([3, expect.stringContaining("Canceled. Nothing was changed.")]);
  });

  it("rejects oneself, and administrators with an API token, before the prompt", async () => {
    const oneself = me({ user: { email: "ADA@northwind.example", role: 0, roleName: "administrator" } });
    const self = await play(line, [...found, { call: "me", gives: oneself }], { isTerminal: true });
    expect([self.code, self.questions, self.told]).toEqual([
      2,
      [],
      expect.stringContaining("You cannot remove yourself"),
    ]);
    const boss = [page({ ...ada, role: 0 }), page(), { call: "me", gives: me() } as const];
    const byToken = await play(line, boss, { isTerminal: true });
    expect([byToken.code, byToken.questions]).toEqual([5, []]);
  });

  it("requires --yes in a script, before anything is sent", async () => {
    const { code, told } = await play(line, []);
    expect([code, told]).toEqual([2, expect.stringContaining("--yes")]);
  });

  it("removes nothing if no user or several match", async () => {
    const nobody = await play(`${line} --yes`, [page()]);
    expect([nobody.code, nobody.told]).toEqual([2, expect.stringContaining("User not found:")]);
    const two = await play(`${line} --yes`, [
      page(ada, { ...ada, idUser: 60, email: "ada@northwind.example" }),
      page(),
    ]);
    expect([two.code, two.told]).toEqual([2, expect.stringContaining("52 and 60")]);
  });

  it("reports a lost response", async () => {
    const lost: ExpectedCall = { ...removed, gives: null };
    const { stdout } = await play(`${line} --yes`, [...found, lost]);
    expect(stdout.replaceAll(/\s+/g, " ")).toContain("someone else may have removed them.");
    const json = await play(`${line} --yes --json`, [...found, lost]);
    expect(JSON.parse(json.stdout)).toMatchObject({ removed: true, licenses: null });
  });

  it("removes nothing and does not prompt in a dry run", async () => {
    const read: ExpectedCall = { call: "subscription", gives: subscription() };
    const { code, stdout } = await play(`${line} --dry-run --json`, [...found, read, { call: "me", gives: me() }]);
    expect([code, JSON.parse(stdout)]).toMatchObject([0, { idUser: 52, removed: false, dryRun: true }]);
    const oneself = me({ user: { email: "ADA@northwind.example", role: 0, roleName: "administrator" } });
    const self = await play(`${line} --dry-run`, [...found, read, { call: "me", gives: oneself }]);
    expect([self.code, self.told]).toEqual([2, expect.stringContaining("You cannot remove yourself")]);
    expect((await play(`${line} --dry-run`, [page()])).code).toBe(2);
  });

  it("rejects administrators with an API token in a dry run", async () => {
    const read: ExpectedCall = { call: "subscription", gives: subscription() };
    const boss = [page({ ...ada, role: 0 }), page(), read];
    const { code, told } = await play(`${line} --dry-run`, [...boss, { call: "me", gives: me() }]);
    expect([code, told]).toEqual([5, expect.stringContaining("API tokens cannot add or remove administrators")]);
    expect((await play(`${line} --dry-run`, [...boss, SESSION])).code).toBe(0);
  });
});
