import { describe, expect, it } from "vitest";
import { instantOf } from "../../../src/cli/users/idle.ts";
import { ClientError, type ClientErrorCode } from "../../../src/client/errors.ts";
import type { PendingChange } from "../../../src/contract/policy.ts";
import type { SyncUsersAnswer, User } from "../../../src/contract/users.ts";
import { me, ORGANIZATION, quote, subscription, user } from "../support/builders.ts";
import { play as playUsers, useCsvFiles } from "../support/playUsers.ts";
import type { ExpectedCall } from "../support/script.ts";

const csvFile = useCsvFiles();

// Nothing moves on the screen.
const play: typeof playUsers = (line, script, world = {}) =>
  playUsers(line, script, { ...world, env: { TERM: "dumb", ...world.env } });

const page = (...users: User[]): ExpectedCall => ({ call: "usersPage", gives: users });

const fails = (call: ExpectedCall["call"], code: ClientErrorCode, problem = {}): ExpectedCall => ({
  call,
  fails: new ClientError(code, `refused: ${code}`, { problem: { code, detail: "", ...problem } }),
});

const READ: ExpectedCall = { call: "subscription", gives: subscription() };

const SESSION: ExpectedCall = { call: "me", gives: me({ token: { ...me().token, name: null } }) };

const COUNTS = { purchased: 25, used: 22, available: 3 };

const PENDING: PendingChange = {
  id: "chg_9",
  kind: "user_update",
  policy: null,
  user: { email: "ada@northwind.example", idUser: 7, role: 7 },
  requestedBy: "bob@northwind.example",
  requestedAt: "2026-11-22T12:00:00Z",
  takesEffectAt: null,
};

const APPROVE =
  "Another administrator must approve the change: `secureflag-licenses organizations policy approve chg_9`.";

describe("what waits for another administrator", () => {
  const ADA = user({ role: 0 });
  const oneLine = (text: string) => text.replaceAll(/\s+/g, " ");
  const answer = { organizationLicenses: COUNTS, pending: PENDING };

  it("is a role, which is not changed yet", async () => {
    const script = [page(ADA), page(), { call: "updateUser", gives: { user: ADA, ...answer } } as ExpectedCall];
    const line = "users update ada@northwind.example --role user";
    const { code, stdout } = await play(`${line} --json`, script);
    expect([code, JSON.parse(stdout)]).toEqual([
      0,
      {
        email: ADA.email,
        idUser: 7,
        from: 0,
        role: 7,
        changed: false,
        licenses: COUNTS,
        dryRun: false,
        pending: PENDING,
      },
    ]);
    const text = oneLine((await play(line, script)).stdout);
    expect(text).toContain(`Nothing was changed yet, because the organization has a policy. ${APPROVE}`);
    expect(text).not.toContain("→");
  });

  it("is a removal, alone and among others", async () => {
    const waits: ExpectedCall = { call: "removeUser", gives: answer };
    const alone = await play("users remove ada@northwind.example --yes --json", [page(ADA), page(), waits]);
    expect(JSON.parse(alone.stdout)).toMatchObject({ removed: false, licenses: COUNTS, pending: PENDING });
    const text = await play("users remove ada@northwind.example --yes", [page(ADA), page(), waits]);
    expect([text.code, oneLine(text.stdout)]).toEqual([0, expect.stringContaining(APPROVE)]);

    const bob = user({ idUser: 8, email: "bob@x.test" });
    const removed: ExpectedCall = { call: "removeUser", gives: { organizationLicenses: COUNTS, pending: null } };
    const line = "users remove ada@northwind.example bob@x.test --yes";
    const both = await play(`${line} --json`, [page(ADA, bob), page(), waits, removed]);
    expect([both.code, JSON.parse(both.stdout).results]).toEqual([
      0,
      [
        { email: ADA.email, idUser: 7, removed: false, error: null, pending: PENDING },
        { email: "bob@x.test", idUser: 8, removed: true, error: null },
      ],
    ]);
    const words = oneLine((await play(line, [page(ADA, bob), page(), waits, removed])).stdout);
    expect(words).toContain(`Not removed yet: ada@northwind.example. ${APPROVE} Removed bob@x.test.`);
  });

  it("is a user to add", async () => {
    const due = { ...PENDING, takesEffectAt: "2026-11-23T12:00:00Z" };
    const gives = { user: null, ...answer, pending: due, assignmentStrategy: "INITIAL_PLAN" };
    const line =
      "users add --email ada@northwind.example --first-name Ada --last-name Admin --role administrator --no-training";
    const { code, stdout, told } = await play(line, [{ call: "addUser", gives }]);
    expect([code, oneLine(stdout)]).toEqual([0, expect.stringContaining("takes effect at 2026-11-23 12:00 UTC")]);
    expect(told).not.toContain("Assignment strategy");
    const json = await play(`${line} --json`, [{ call: "addUser", gives }]);
    expect(JSON.parse(json.stdout)).toMatchObject({ user: null, pending: due });
  });
});

describe("users idle", () => {
  // The billing clock is 2026-11-22T12:00:00Z.
  const active = (change: Partial<User>): User => ({ ...user({ status: "ACTIVE" }), ...change });
  const listed: User[] = [
    active({ idUser: 1, joinedDateTime: "2026-08-24T12:00:00.000Z" }),
    active({ idUser: 2, joinedDateTime: "2026-08-24T12:00:00.001Z" }),
    active({ idUser: 3, joinedDateTime: "2025-01-01T00:00:00Z", lastLogin: "2026-11-01T00:00:00Z" }),
    active({ idUser: 4, joinedDateTime: "Nov 22, 2024, 4:05:06 PM", lastLogin: 1_732_291_506_000 }),
    active({ idUser: 5, status: "INVITED", joinedDateTime: null, addedDateTime: "2026-01-01T00:00:00Z" }),
    active({ idUser: 6, role: 3, adminNoTraining: true, joinedDateTime: "2025-01-01T00:00:00Z" }),
    active({ idUser: 7, status: "REMOVED", joinedDateTime: "2025-01-01T00:00:00Z" }),
    active({ idUser: 8, joinedDateTime: "soon" }),
  ];
  const SCRIPT = [page(...listed), page(), { ...READ, gives: subscription({ asOf: "2026-11-22T12:00:00.000Z" }) }];

  it.each([
    ["", [1, 4, 5]],
    [" --days 91", [4, 5]],
    [" --days 21", [1, 2, 3, 4, 5]],
  ])("with%s prints who has not signed in, exactly so many days ago included", async (flags, expected) => {
    const { code, stdout } = await play(`users idle --json${flags}`, SCRIPT);
    expect(code).toBe(0);
    expect(JSON.parse(stdout).map(({ idUser }: User) => idUser)).toEqual(expected);
  });

  it("says whose dates cannot be read, prints CSV, and fails after the list if it is to", async () => {
    const people = await play("users idle --fail-if-any", SCRIPT);
    expect(people.code).toBe(7);
    expect(people.stdout.split("\n").map((line) => line.split("\t").at(-1))).toEqual([
      "never",
      "2024-11-22",
      "never",
      "",
    ]);
    expect(people.told).toContain("Left out 1 user without a date");
    expect(people.told).toContain("3 users have been idle for 90 days");
    expect((await play("users idle --csv", SCRIPT)).stdout).toMatch(/^idUser,.*,lastLogin\n1,/);
    const none = await play("users idle --fail-if-any", [page(), READ]);
    expect(none).toMatchObject({ code: 0, stdout: "No idle users.\n" });
  });

  it("uses this machine's clock if the backend only lists users, and fails if a token may not read the backend's", async () => {
    const missing = new ClientError("not_found", "Not found", { status: 404 });
    const alone = await play("users idle --json", [page(...listed), page(), { call: "subscription", fails: missing }]);
    expect(alone.code).toBe(0);
    const refused = await play("users idle", [page(...listed), page(), fails("subscription", "insufficient_scope")]);
    expect(refused).toMatchObject({ code: 5, stdout: "" });
  });

  it.each([
    ["Nov 22, 2024, 4:05:06 PM", "2024-11-22T16:05:06Z"],
    ["Nov 22, 2024, 4:05:06\u202fPM", "2024-11-22T16:05:06Z"],
    [1_732_291_506_000, "2024-11-22T16:05:06Z"],
    [1_732_291_506, "2024-11-22T16:05:06Z"],
    ["2024-11-22T16:05:06.000+0000", "2024-11-22T16:05:06Z"],
    ["2024-11-22T16:05:06", "2024-11-22T16:05:06Z"],
    ["2024-11-22", "2024-11-22T00:00:00Z"],
    ["2024-11-22T18:05:06+02:00", "2024-11-22T16:05:06Z"],
  ])("reads the date %s", (text, expected) => {
    expect(new Date(instantOf(text) ?? 0).toISOString()).toBe(new Date(expected).toISOString());
  });

  it.each(["", null, undefined, "never"])("cannot read the date %s", (text) => expect(instantOf(text)).toBeNull());
});

describe("users list with a text", () => {
  const listed = [
    user({ idUser: 1, firstName: "Zo\u00eb", lastName: "Grey", email: "z@x.test" }),
    user({ idUser: 2, firstName: "Tim", lastName: "Lead", email: "zoe.l@x.test", username: null }),
    user({ idUser: 3, firstName: "Ada", lastName: "Lead", email: null as never, username: null }),
  ];
  it.each([
    ["ZOE", [1, 2]],
    ["grey", [1]],
    ["@x.test", [1, 2]],
    ["lead", [2, 3]],
    ["nobody", []],
  ])("%s finds names and emails", async (text, expected) => {
    const { stdout } = await play(`users list ${text} --json`, [page(...listed), page()]);
    expect(JSON.parse(stdout).map(({ idUser }: User) => idUser)).toEqual(expected);
  });
});

describe("users update", () => {
  const ADA = user({ role: 3, adminNoTraining: true });
  const LINE = "users update ada@northwind.example --role user";

  it("changes the role by number, and prints both and the counts", async () => {
    const updated = { user: user(), organizationLicenses: COUNTS, pending: null };
    const call: ExpectedCall = { call: "updateUser", with: [ORGANIZATION, 7, 7], gives: updated };
    const { code, stdout } = await play(`${LINE} --json`, [page(ADA), page(), call]);
    expect([code, JSON.parse(stdout)]).toEqual([
      0,
      { email: ADA.email, idUser: 7, from: 3, role: 7, changed: true, licenses: COUNTS, dryRun: false },
    ]);
    expect((await play(LINE, [page(ADA), page(), call])).stdout).toContain("team manager → user");
  });

  it("changes nothing in a dry run, and refuses what the backend would", async () => {
    const full = subscription({ licenses: { purchased: 25, used: 25, available: 0 } });
    expect(JSON.parse((await play(`${LINE} --dry-run --json`, [page(ADA), page(), READ])).stdout)).toMatchObject({
      changed: false,
      dryRun: true,
    });
    const short = await play(`${LINE} --dry-run`, [page(ADA), page(), { ...READ, gives: full }]);
    expect([short.code, short.stdout]).toEqual([9, ""]);
    const token = await play(`${LINE} --dry-run`, [page(user({ role: 0 })), page(), { call: "me", gives: me() }]);
    expect([token.code, token.told]).toEqual([5, expect.stringContaining("API tokens cannot change administrators")]);
    expect((await play("users update bob@x.test --role user", [page(ADA), page()])).code).toBe(2);
    expect((await play("users update ada@northwind.example", [])).code).toBe(2);
  });
});

describe("users remove of several", () => {
  const ADA = user();
  const BOB = user({ idUser: 8, email: "bob@x.test" });
  const gone = (idUser: number, used: number): ExpectedCall => ({
    call: "removeUser",
    with: [ORGANIZATION, idUser],
    gives: { organizationLicenses: { ...COUNTS, used }, pending: null },
  });

  it("goes on after a failure, and ends with the first one's code", async () => {
    const line = "users remove bob@x.test nobody@x.test BOB@x.test ada@northwind.example --yes --json";
    const script = [page(ADA, BOB), page(), fails("removeUser", "forbidden"), gone(7, 21)];
    const { code, stdout, stderr } = await play(line, script);
    expect(code).toBe(5);
    expect(JSON.parse(stdout)).toEqual({
      results: [
        { email: "bob@x.test", idUser: 8, removed: false, error: { code: "forbidden", message: "refused: forbidden" } },
        {
          email: "nobody@x.test",
          idUser: null,
          removed: false,
          error: { code: "not_found", message: "User not found: nobody@x.test" },
        },
        { email: "ada@northwind.example", idUser: 7, removed: true, error: null },
      ],
      licenses: { ...COUNTS, used: 21 },
      dryRun: false,
    });
    expect(JSON.parse(stderr).error).toMatchObject({ code: "forbidden", exitCode: 5 });
  });

  it("reads a list from stdin, also an empty one", async () => {
    const input = "\ufeffada@northwind.example\r\n\n  bob@x.test \n";
    const script = [page(ADA, BOB), page(), gone(7, 21), gone(8, 20)];
    const { code, stdout } = await play("users remove - --yes", script, { input });
    expect([code, stdout.split("\n").slice(0, 2)]).toEqual([
      0,
      ["Removed ada@northwind.example.", "Removed bob@x.test."],
    ]);
    const none = await play("users remove - --yes --json", [page(ADA), page()], { input: "\n" });
    expect([none.code, JSON.parse(none.stdout)]).toEqual([0, { results: [], licenses: null, dryRun: false }]);
    const mixed = await play("users remove - bob@x.test --yes", [], { input });
    expect(mixed.code).toBe(2);
    expect((await play("users remove -", [], { input })).code).toBe(2);
  });

  it("asks once for all, and says who cannot be removed", async () => {
    const line = "users remove ada@northwind.example bob@x.test";
    const world = { isTerminal: true, answers: [true] };
    const script = [page(ADA, BOB), page(), SESSION, gone(7, 21), gone(8, 20)];
    const yes = await play(line, script, world);
    expect([yes.code, yes.questions]).toEqual([0, ["Remove 2 users?"]]);
    expect(yes.told).toContain("bob@x.test");
    const no = await play(line, script.slice(0, 3), { isTerminal: true, answers: [false] });
    expect([no.code, no.stdout]).toEqual([3, ""]);
    const dry = await play(`${line} --dry-run --json`, [page(ADA, BOB), page(), SESSION, READ]);
    expect(JSON.parse(dry.stdout)).toMatchObject({ results: [{ removed: false }, { removed: false }], dryRun: true });
  });
});

describe("users sync", () => {
  const ROWS = "email,firstName,lastName,role\nada@x.test,Ada,L,\nbob@x.test,Bob,B,manager\n";
  const USERS = [
    { email: "ada@x.test", firstName: "Ada", lastName: "L" },
    { email: "bob@x.test", firstName: "Bob", lastName: "B", role: 3 },
  ];
  const plan = (change: Partial<SyncUsersAnswer> = {}): SyncUsersAnswer => ({
    plan: "digest",
    applied: false,
    added: [0],
    changed: [{ position: 1, idUser: 8, role: 7, adminNoTraining: false }],
    missing: { count: 1, users: [{ idUser: 9, email: "cy@x.test" }] },
    kept: [{ idUser: 1, email: "me@x.test", reason: "caller" }],
    neededLicenses: 0,
    organizationLicenses: COUNTS,
    ...change,
  });
  const planning = (change: Partial<SyncUsersAnswer> = {}, remove = true): ExpectedCall => ({
    call: "syncUsers",
    with: [ORGANIZATION, { users: USERS, remove }],
    gives: plan(change),
  });
  const applying = (change: Partial<SyncUsersAnswer> = {}, remove = true): ExpectedCall => ({
    call: "syncUsers",
    with: [ORGANIZATION, { users: USERS, remove, plan: change.plan ?? "digest" }],
    gives: plan({ applied: true, ...change }),
  });
  const sync = (flags = "") => `users sync ${csvFile(ROWS)} --remove${flags}`;

  it("shows the plan, applies it, and prints what was changed", async () => {
    const { code, stdout } = await play(sync(" --json"), [planning(), applying()]);
    expect([code, JSON.parse(stdout)]).toEqual([
      0,
      {
        added: ["ada@x.test"],
        changed: [
          {
            email: "bob@x.test",
            idUser: 8,
            from: { role: 7, adminNoTraining: false },
            to: { role: 3, adminNoTraining: false },
          },
        ],
        removed: [{ idUser: 9, email: "cy@x.test" }],
        missing: 1,
        kept: [{ idUser: 1, email: "me@x.test", reason: "caller" }],
        purchase: null,
        licenses: COUNTS,
        dryRun: false,
      },
    ]);
    const people = await play(sync(), [planning(), applying()]);
    for (const part of [
      "+ ada@x.test",
      "~ bob@x.test: user → team manager",
      "− cy@x.test",
      "Kept as they are: me@x.test",
    ])
      expect([people.stdout, people.told]).toEqual([expect.stringContaining(part), expect.stringContaining(part)]);
  });

  it("asks in a terminal, and does nothing on No; with --yes it does not ask", async () => {
    const no = await play(sync(), [planning()], { isTerminal: true, answers: [false] });
    expect([no.code, no.stdout, no.questions]).toEqual([3, "", ["Make these changes?"]]);
    const yes = await play(sync(" --yes"), [planning(), applying()], { isTerminal: true });
    expect([yes.code, yes.questions]).toEqual([0, []]);
  });

  it("needs no names of users who exist, and names the lines of new ones without", async () => {
    const users = [{ email: "bob@x.test", role: 3 }, { email: "me@x.test" }];
    const call = (change: Partial<SyncUsersAnswer>, more = {}): ExpectedCall => ({
      call: "syncUsers",
      with: [ORGANIZATION, { users, remove: false, ...more }],
      gives: plan({ added: [], ...change }),
    });
    for (const text of [
      "email,role\nbob@x.test,3\nme@x.test,\n",
      "email,firstName,lastName,role\nbob@x.test,,,3\nme@x.test\n",
    ]) {
      const script = [call({}), call({ applied: true }, { plan: "digest" })];
      expect((await play(`users sync ${csvFile(text)}`, script)).code).toBe(0);
    }
    const errors = [{ path: "users[1].firstName", message: "is empty" }];
    const refused = new ClientError("invalid_request", "refused", { problem: { code: "", detail: "", errors } });
    const { code, told } = await play(`users sync ${csvFile("email,role\nbob@x.test,3\nme@x.test,\n")}`, [
      { call: "syncUsers", fails: refused },
    ]);
    expect([code, told]).toEqual([2, expect.stringContaining("The file has 1 problem. Nothing was changed.")]);
    expect(told).toContain("line 3: firstName is empty");
  });

  it("removes nobody without --remove, and says how many would be", async () => {
    const script = [planning({}, false), applying({}, false)];
    const { code, stdout } = await play(`users sync ${csvFile(ROWS)}`, script);
    expect(code).toBe(0);
    expect(stdout).toContain("1 user is not in the file and stays");
    expect(stdout).not.toContain("cy@x.test");
  });

  it.each(["", " --dry-run"])("stops at more removals than allowed%s", async (flags) => {
    const six = { missing: { count: 6, users: [] } };
    expect((await play(sync(flags), [planning(six)])).code).toBe(7);
    const none = await play(sync(`${flags} --max-removals 0 --json`), [planning()]);
    expect([none.code, JSON.parse(none.stderr).error.code, none.stdout]).toEqual([7, "too_many_removals", ""]);
  });

  it.each([
    ["", 7],
    ["\ufeff\n\n", 7],
    ["email,firstName,lastName\n", 7],
    ["email,firstName,lastName\n,,\n\n", 7],
    ["email,first\n", 2],
    ["email,firstName,lastName\nada,Ada,L\n", 2],
    ['email,firstName,lastName\n"ada@x.test,Ada,L\n', 2],
    ["email,firstName,lastName\nada@x.test,A,L\nADA@x.test,A,L\n", 2],
  ])("sends nothing for the file %j", async (text, expected) => {
    expect(await play(`users sync ${csvFile(text)} --remove`, [])).toMatchObject({ code: expected, stdout: "" });
  });

  it("sends nothing for an empty stdin", async () => {
    expect((await play("users sync - --remove", [], { input: "" })).code).toBe(7);
  });

  it("plans again if the users changed, and applies the new plan", async () => {
    const changed = fails("syncUsers", "users_changed");
    const { code, stdout } = await play(sync(" --json"), [
      planning(),
      changed,
      planning({ plan: "other", changed: [] }),
      applying({ plan: "other", changed: [] }),
    ]);
    expect([code, JSON.parse(stdout).changed]).toEqual([0, []]);
    const guarded = await play(sync(), [planning(), changed, planning({ missing: { count: 6, users: [] } })]);
    expect(guarded.code).toBe(7);
    const always = await play(sync(), [planning(), changed, planning(), changed, planning(), changed]);
    expect([always.code, always.stdout]).toEqual([9, ""]);
  });

  it("does nothing if there is nothing to change", async () => {
    const nothing = { added: [], changed: [], missing: { count: 0, users: [] }, kept: [] };
    const { code, stdout } = await play(sync(), [planning(nothing)], { isTerminal: true });
    expect(code).toBe(0);
    expect(stdout).toContain("Nothing to change");
  });

  it("names the price of missing licenses and fails without --buy-missing, in a dry run too", async () => {
    const full = { purchased: 25, used: 25, available: 0 };
    const short = { neededLicenses: 1, organizationLicenses: full };
    const now = subscription({ licenses: full });
    const priced: ExpectedCall[] = [
      { call: "subscription", gives: now },
      { call: "createQuote", with: [ORGANIZATION, 1], gives: quote(1, {}, now) },
    ];
    const refused = fails("syncUsers", "no_license_available", { needed: 1, missing: 1 });
    const real = await play(sync(" -q"), [planning(short), refused, ...priced]);
    expect([real.code, real.stdout, real.told]).toEqual([9, "", expect.stringContaining("£48.82")]);
    const dry = await play(sync(" --dry-run -q"), [planning(short), { call: "subscription", gives: now }, ...priced]);
    expect([dry.code, dry.stdout, dry.told]).toEqual([9, "", expect.stringContaining("1 license is missing")]);
  });

  it("reports the lines of what the backend refuses", async () => {
    const errors = [{ path: "users[1].role", message: "you may not assign role 3" }];
    const { code, told } = await play(sync(), [fails("syncUsers", "invalid_request", { errors })]);
    expect([code, told]).toEqual([2, expect.stringMatching(/line 3.*you may not assign role 3/i)]);
  });
});
