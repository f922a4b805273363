import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { SCOPES } from "../../src/contract/constants.ts";
import { errorOf, type RunOptions, resultOf, runCli } from "../support/cli.ts";
import { FaultProxy } from "../support/faultProxy.ts";
import { actOnPage } from "../support/paymentPage.ts";
import { temporaryDirectory } from "../support/places.ts";
import { environmentFor } from "../support/sandbox.ts";
import {
  ADMIN,
  organization,
  PASSWORD,
  type SeedChanges,
  type SeedOrganization,
  seed,
  token,
  tokenOf,
} from "../support/seed.ts";
import { KEYS, runInTerminal, type TerminalRun } from "../support/terminal.ts";
import { useSandbox } from "../support/useSandbox.ts";

/** Organizations with no license left, unless said. */
const FULL = [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16];
const ROOMY = 20;
const LAST_TEN = 21;
const LARGE = 22;
const DECLINED = 31;
const APPROVAL = 32;
const USERS_ONLY = 33;

let proxy: FaultProxy;
let terminals: TerminalRun[] = [];

function withUsers(id: number, changes: SeedChanges = {}): SeedOrganization {
  return organization(id, { usedLicenses: 25, tokens: [token(id, { scopes: [...SCOPES] })], ...changes });
}

const sandbox = useSandbox({
  seed: seed(
    ...FULL.map((id) => withUsers(id)),
    withUsers(ROOMY, { usedLicenses: 5 }),
    withUsers(LAST_TEN, { usedLicenses: 15 }),
    withUsers(LARGE, { subscription: { licenses: 10_030 } }),
    withUsers(DECLINED, { paymentMethod: "card_declined" }),
    withUsers(APPROVAL, { paymentMethod: "card_requires_approval" }),
    withUsers(USERS_ONLY, { tokens: [token(USERS_ONLY, { scopes: ["users:read", "users:write"] })] }),
  ),
});

beforeAll(async () => {
  proxy = await FaultProxy.start(sandbox.ready.url);
});

afterEach(() => {
  for (const terminal of terminals) terminal.close();
  terminals = [];
  proxy.heal();
});

afterAll(async () => {
  await proxy?.close();
});

interface Counts {
  purchased: number;
  used: number;
  available: number;
}

interface Added {
  user: { idUser: number; email: string; role: number; status: string } | null;
  purchase: { id: string; status: string; nextAction: { url: string } | null } | null;
  licenses: Counts;
}

const adding = (email: string, ...more: string[]) => [
  ..."users add --first-name New --last-name User --json --email".split(" "),
  email,
  ...more,
];

async function counts(id: number): Promise<Counts> {
  const { body } = await sandbox.request("GET", `/organizations/${id}/subscription`, { token: tokenOf(id) });
  return (body as { licenses: Counts }).licenses;
}

async function emails(id: number): Promise<string[]> {
  const run = await sandbox.cli(id, ["users", "list", "--all", "--json"]);
  return resultOf<{ email: string }[]>(run).map(({ email }) => email);
}

/** So many licenses were bought, each paid once, and every one of them is taken. */
async function expectBought(id: number, bought: number, used = 25 + bought): Promise<void> {
  const made = (await sandbox.purchases(id)).filter(({ status }) => status === "succeeded");
  const captured = (await sandbox.captures()).filter(({ purchaseId }) => made.some((one) => one.id === purchaseId));
  expect(made.reduce((sum, { licenses }) => sum + licenses, 0)).toBe(bought);
  expect(captured).toHaveLength(made.length);
  expect(await counts(id)).toEqual({ purchased: 25 + bought, used, available: 25 + bought - used });
}

async function csvFile(content: string | Buffer): Promise<string> {
  const path = join(await temporaryDirectory(), "users.csv");
  await writeFile(path, content);
  return path;
}

const atProxy = (id: number, args: readonly string[], options: RunOptions = {}) =>
  runCli(args, { ...options, env: { ...environmentFor(sandbox.ready.url, id), SECUREFLAG_API_URL: proxy.url } });

async function open(args: readonly string[], id: number): Promise<TerminalRun> {
  const terminal = await runInTerminal(args, { env: environmentFor(sandbox.ready.url, id) });
  terminals.push(terminal);
  return terminal;
}

describe("users add", () => {
  test("takes a license at once, except for an administrator without training", async () => {
    const first = await sandbox.cli(ROOMY, adding("one@example.test"));
    expect(first).toMatchObject({ exitCode: 0, stderr: "" });
    expect(resultOf(first)).toMatchObject({
      user: { email: "one@example.test", role: 7, status: "INVITED" },
      purchase: null,
      licenses: { purchased: 25, used: 6, available: 19 },
      dryRun: false,
    });
    const admin = ["--role", "administrator"];
    const refused = await sandbox.cli(ROOMY, adding("idle@example.test", ...admin, "--no-training"));
    expect(errorOf(refused)).toMatchObject({ code: "forbidden", exitCode: 5 });
    expect(errorOf(refused).hint).toContain("Unset SECUREFLAG_API_TOKEN");
    const { SECUREFLAG_API_TOKEN, ...env } = environmentFor(sandbox.ready.url, ROOMY);
    const login = ["login", "--email", ADMIN, "--password-stdin", "--insecure-storage"];
    const { home } = await runCli(login, { env, input: PASSWORD });
    const idle = await runCli(adding("idle@example.test", ...admin, "--no-training"), { env, home });
    expect(resultOf(idle)).toMatchObject({ user: { role: 0, adminNoTraining: true }, licenses: { used: 6 } });
    const trains = await runCli(adding("trains@example.test", ...admin), { env, home });
    expect(resultOf(trains)).toMatchObject({ user: { role: 0, adminNoTraining: false }, licenses: { used: 7 } });
    const again = await sandbox.cli(ROOMY, adding("ONE@example.test"));
    expect(errorOf(again)).toMatchObject({
      exitCode: 2,
      message: "ONE@example.test is already a user of this organization.",
    });
  });

  test("works with a token that has no other scope, in a dry run too", async () => {
    const line = adding("boss@example.test", "--role", "manager", "--no-training");
    expect(resultOf(await sandbox.cli(USERS_ONLY, [...line, "--dry-run"]))).toMatchObject({
      licenses: null,
      dryRun: true,
    });
    expect(resultOf(await sandbox.cli(USERS_ONLY, line))).toMatchObject({ user: { role: 3 } });
    const lacking = errorOf(await sandbox.cli(USERS_ONLY, adding("more@example.test")));
    expect(lacking).toMatchObject({ exitCode: 9, message: expect.stringContaining("1 license is missing") });
  });

  test("adds ten of twenty concurrent users on the last ten licenses, and quotes the price to the others", async () => {
    const runs = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        sandbox.cli(LAST_TEN, adding(`crowd${index}@example.test`), { timeout: 80_000 }),
      ),
    );
    const refused = runs.filter(({ exitCode }) => exitCode !== 0);
    expect(refused.map(errorOf).map(({ exitCode, message }) => [exitCode, message])).toEqual(
      Array(10).fill([9, "1 license is missing, and costs £48.82 (£40.68 + £8.14 tax) now. No users were added."]),
    );
    expect(await counts(LAST_TEN)).toEqual({ purchased: 25, used: 25, available: 0 });
    expect((await emails(LAST_TEN)).filter((email) => email.startsWith("crowd"))).toHaveLength(10);
  }, 90_000);
});

describe("--buy-missing", () => {
  test("from six concurrent jobs buys six licenses for six users", async () => {
    const runs = await Promise.all(
      Array.from({ length: 6 }, (_, index) =>
        sandbox.cli(1, adding(`job${index}@example.test`, "--buy-missing"), { timeout: 80_000 }),
      ),
    );
    // Whoever is robbed too often says so, with what it bought, and is safe to be run again.
    for (const [index, { exitCode }] of runs.entries()) {
      expect([0, 9]).toContain(exitCode);
      if (exitCode === 9)
        expect((await sandbox.cli(1, adding(`job${index}@example.test`, "--buy-missing"))).exitCode).toBe(0);
    }
    await expectBought(1, 6);
  }, 90_000);

  test.each(
    ["C1", "C2", "C3"].map((point, index) => [point, FULL[index * 2 + 1] ?? 0, FULL[index * 2 + 2] ?? 0] as const),
  )("buys one license when killed at %s and run again, at home and elsewhere", async (point, here, elsewhere) => {
    for (const id of [here, elsewhere]) {
      const line = adding("new@example.test", "--buy-missing");
      const killed = await sandbox.cli(id, line, { env: { SECUREFLAG_CRASH_AT: point } });
      expect(killed.exitCode).toBe(137);
      const again = await sandbox.cli(id, line, id === here ? { home: killed.home } : {});
      // At C3 everything was done and printed.
      if (point === "C3") expect(errorOf(again)).toMatchObject({ exitCode: 2, code: "invalid_request" });
      else expect({ id, ...again }).toMatchObject({ id, exitCode: 0, stderr: "" });
      if (point !== "C3" && id === here) expect(resultOf<Added>(again).purchase).toMatchObject({ status: "succeeded" });
      await expectBought(id, 1);
      expect(await emails(id)).toContain("new@example.test");
    }
  });

  test("stopped by a guard: exits with 7, adds nobody and buys nothing", async () => {
    const guards = [
      ["--max-total", "48.81"],
      ["--max-licenses", "0"],
      ["--if-purchased", "24"],
      ["--max-total", "1", "--dry-run"],
    ];
    for (const guard of guards) {
      const run = await sandbox.cli(11, adding("new@example.test", "--buy-missing", ...guard));
      expect([guard, run.exitCode, run.stdout]).toEqual([guard, 7, ""]);
    }
    expect(await sandbox.purchases(11)).toEqual([]);
    expect(await emails(11)).not.toContain("new@example.test");
  });

  test("a declined card: exits with 6 and the purchase, and adds nobody", async () => {
    const run = await sandbox.cli(DECLINED, adding("new@example.test", "--buy-missing"));
    expect(run.exitCode).toBe(6);
    expect(resultOf(run)).toMatchObject({ user: null, purchase: { status: "failed" }, licenses: { available: 0 } });
    expect(await emails(DECLINED)).not.toContain("new@example.test");
  });

  test("an approval: exits with 8, shows the same purchase when run again, and adds once it is paid", async () => {
    const home = await temporaryDirectory();
    const line = adding("new@example.test", "--buy-missing");
    const first = await sandbox.cli(APPROVAL, line, { home });
    const again = await sandbox.cli(APPROVAL, line, { home });
    expect([first.exitCode, again.exitCode]).toEqual([8, 8]);
    const { purchase } = resultOf<Added>(first);
    expect(resultOf<Added>(again)).toMatchObject({ user: null, purchase: { id: purchase?.id } });
    expect(errorOf(again).hint).toContain("/pay/");
    await actOnPage(purchase?.nextAction?.url ?? "", "pay");
    const paid = await sandbox.cli(APPROVAL, line, { home });
    expect(paid.exitCode).toBe(0);
    expect(resultOf<Added>(paid)).toMatchObject({
      user: { email: "new@example.test" },
      purchase: { id: purchase?.id, status: "succeeded" },
    });
    await expectBought(APPROVAL, 1);
  });

  test("changes nothing in a dry run, and shows what it would cost", async () => {
    proxy.requests.length = 0;
    const path = await csvFile("email,firstName,lastName\na@example.test,A,A\nb@example.test,B,B\n");
    const runs = [
      await atProxy(11, adding("new@example.test", "--dry-run", "--buy-missing")),
      await atProxy(11, ["users", "import", path, "--dry-run", "--buy-missing", "--json"]),
      await atProxy(11, ["users", "remove", "user1@organization-11.example", "--dry-run", "--json"]),
      await atProxy(11, ["users", "import", path, "--dry-run", "--json"]),
    ];
    expect(runs.map(({ exitCode }) => exitCode)).toEqual([0, 0, 0, 9]);
    expect(runs.slice(0, 3).map((run) => resultOf(run))).toMatchObject([
      {
        user: { idUser: null, email: "new@example.test" },
        purchase: null,
        quote: { total: { amount: 4882 } },
        dryRun: true,
      },
      { added: ["a@example.test", "b@example.test"], existing: [], quote: { total: { amount: 9764 } }, dryRun: true },
      { removed: false, licenses: { used: 25 }, dryRun: true },
    ]);
    const changing = proxy.requests.filter(({ method, path }) => method !== "GET" && !path.endsWith("/quotes"));
    expect(changing).toEqual([]);
  });
});

describe("users import", () => {
  test("10,000 rows with CRLF, a byte order mark, quotes and reordered columns are all imported", async () => {
    const rows = Array.from({ length: 10_000 }, (_, index) => `"Last, ""${index}""",u${index}@example.test,First`);
    const path = await csvFile(`\ufefflastName,email,firstName\r\n${rows.join("\r\n")}\r\n`);
    const first = await sandbox.cli(LARGE, ["users", "import", path, "--json"]);
    expect(first).toMatchObject({ exitCode: 0, stderr: "" });
    const { added, existing } = resultOf<{ added: string[]; existing: string[] }>(first);
    expect([added.length, added[9_999], existing]).toEqual([10_000, "u9999@example.test", []]);
    expect(await counts(LARGE)).toMatchObject({ used: 10_025 });
    const again = await sandbox.cli(LARGE, ["users", "import", path, "--json"]);
    expect(resultOf(again)).toMatchObject({ added: [], existing: { length: 10_000 } });
    const lastPage = `/organizations/${LARGE}/users/500`;
    const { body } = await sandbox.request("GET", lastPage, { token: tokenOf(LARGE) });
    expect(body).toContainEqual(expect.objectContaining({ lastName: expect.stringMatching(/^Last, "\d+"$/) }));
  });

  test("all or nothing: existing users are unchanged, and missing licenses are bought for the others", async () => {
    const path = await csvFile(
      "email;firstName;lastName;role;adminNoTraining\nUSER1@organization-12.example;A;A;;\n" +
        "b@example.test;B;B;manager;true\nc@example.test;C;C;;\nd@example.test;D;D;threatcanvas-reviewer;no\n",
    );
    const refused = await sandbox.cli(12, ["users", "import", path, "--json"]);
    expect(errorOf(refused)).toMatchObject({
      exitCode: 9,
      message: expect.stringMatching(/^2 licenses are missing, and cost £97\.64 /),
    });
    expect(await emails(12)).not.toContain("b@example.test");
    const bought = await sandbox.cli(12, ["users", "import", path, "--buy-missing", "--json"]);
    expect(resultOf(bought)).toMatchObject({
      added: ["b@example.test", "c@example.test", "d@example.test"],
      existing: ["USER1@organization-12.example"],
      purchase: { licenses: 2, status: "succeeded" },
      licenses: { purchased: 27, used: 27 },
    });
    await expectBought(12, 2);
  });

  test.each([
    ["a file", "email,firstName,lastName\npiped@example.test,P,P\n", 0],
    ["a file that is too large", `email,firstName,lastName\n${"x".repeat(4_000_000)}`, 2],
    ["an empty file", "", 2],
  ])("%s from stdin", async (_, input, exitCode) => {
    const run = await sandbox.cli(ROOMY, ["users", "import", "-", "--json"], { input });
    expect(run.exitCode).toBe(exitCode);
    if (exitCode === 0) expect(resultOf(run)).toMatchObject({ added: ["piped@example.test"] });
    else expect(errorOf(run)).toMatchObject({ code: "users_file_invalid", problems: [{ line: 1 }] });
  });

  test("killed while buying, and run again: bought once, and shown", async () => {
    const path = await csvFile("email,firstName,lastName\nc@example.test,C,C\nd@example.test,D,D\n");
    const line = ["users", "import", path, "--buy-missing", "--json"];
    const killed = await sandbox.cli(13, line, { env: { SECUREFLAG_CRASH_AT: "C2" } });
    const again = await sandbox.cli(13, line, { home: killed.home });
    expect([killed.exitCode, again.exitCode]).toEqual([137, 0]);
    expect(resultOf(again)).toMatchObject({ added: { length: 2 }, purchase: { licenses: 2, status: "succeeded" } });
    await expectBought(13, 2);
  });

  test("every problem of a file is reported with its line, and nothing is sent", async () => {
    proxy.requests.length = 0;
    const path = await csvFile(
      'email,firstName,lastName\r\nx,A,A\r\n"a@example.test","A\r\nB",A\r\na@example.test,A\r\n',
    );
    const run = await atProxy(14, ["users", "import", path]);
    expect(run).toMatchObject({ exitCode: 2, stdout: "" });
    expect(run.stderr).toMatch(/^line 2: .*\nline 3: .*\nline 5: .*\nError: The file has 3 problems\./);
    expect(errorOf(await atProxy(14, ["users", "import", path, "--json"]))).toMatchObject({
      problems: [{ line: 2 }, { line: 3 }, { line: 5 }],
    });
    expect(proxy.requests).toEqual([]);
  });
});

describe("a lost response", () => {
  test("of an add: exits with 10, and running again reports the existing user", async () => {
    proxy.inject({ method: "POST", path: /\/users$/, nth: 1, fault: { kind: "drop", when: "after" } });
    const line = adding("lost@example.test");
    const lost = await atProxy(ROOMY, line);
    expect(lost).toMatchObject({ exitCode: 10, stdout: "" });
    expect(errorOf(lost)).toMatchObject({ code: "outcome_unknown", hint: expect.stringContaining("again is safe") });
    expect(errorOf(await atProxy(ROOMY, line))).toMatchObject({ exitCode: 2, code: "invalid_request" });
  });

  test("of an add after a purchase: exits with 10 and the purchase, which is not bought again", async () => {
    proxy.inject({ method: "POST", path: /\/users$/, nth: 2, fault: { kind: "drop", when: "before" } });
    const line = adding("lost@example.test", "--buy-missing");
    const lost = await atProxy(15, line);
    expect(lost.exitCode).toBe(10);
    expect(resultOf(lost)).toMatchObject({ user: null, purchase: { status: "succeeded" }, licenses: { available: 1 } });
    expect(resultOf(await atProxy(15, line))).toMatchObject({ user: { email: "lost@example.test" }, purchase: null });
    await expectBought(15, 1);
  });

  test("of an import: exits with 10, and running again reports the existing users", async () => {
    proxy.inject({ method: "POST", path: /\/import$/, nth: 1, fault: { kind: "html", when: "after" } });
    const path = await csvFile("email,firstName,lastName\nimported@example.test,C,C\n");
    const line = ["users", "import", path, "--json"];
    expect(errorOf(await atProxy(ROOMY, line))).toMatchObject({ exitCode: 10, code: "outcome_unknown" });
    expect(resultOf(await atProxy(ROOMY, line))).toMatchObject({ added: [], existing: ["imported@example.test"] });
  });

  test("of a removal: repeated, done, and reported as far as known", async () => {
    proxy.inject({ method: "DELETE", path: /\/users\//, nth: 1, fault: { kind: "drop", when: "after" } });
    const run = await atProxy(ROOMY, ["users", "remove", "USER3@organization-20.example", "--yes", "--json"]);
    expect(resultOf(run)).toMatchObject({ email: "user3@organization-20.example", removed: true, licenses: null });
    expect(await emails(ROOMY)).not.toContain("user3@organization-20.example");
  });
});

const QUESTION = /\(y\/N\)/i;

describe("in a terminal", () => {
  test("missing licenses are offered as in buy: No by default, Yes buys and adds", async () => {
    const line = adding("asked@example.test").filter((word) => word !== "--json");
    const no = await open(line, 16);
    await no.waitForText(QUESTION);
    for (const part of ["1 license is missing", "25 → 26", "£48.82", "£4,680.00", "SANDBOX"])
      expect(no.screen()).toContain(part);
    no.type(KEYS.enter);
    expect(await no.exitCode()).toBe(3);
    expect(no.screen()).toContain("No users were added.");
    const yes = await open(line, 16);
    await yes.waitForText(QUESTION);
    yes.type(`y${KEYS.enter}`);
    expect(await yes.exitCode()).toBe(0);
    expect(yes.screen()).toContain("Added asked@example.test (New User, user).");
    await expectBought(16, 1);
  });

  test("removing asks for confirmation: No by default, Yes removes", async () => {
    const line = ["users", "remove", "user2@organization-20.example"];
    const no = await open(line, ROOMY);
    await no.waitForText("Remove user2@organization-20.example (Sample User 2, user)?");
    no.type(KEYS.enter);
    expect(await no.exitCode()).toBe(3);
    expect(await emails(ROOMY)).toContain("user2@organization-20.example");
    const yes = await open(line, ROOMY);
    await yes.waitForText(QUESTION);
    yes.type(`y${KEYS.enter}`);
    expect(await yes.exitCode()).toBe(0);
    expect(yes.screen()).toContain("Removed user2@organization-20.example.");
    expect(await emails(ROOMY)).not.toContain("user2@organization-20.example");
  });

  test("a long import shows progress with numbers, cleared at the end, and none with --quiet", async () => {
    const rows = Array.from({ length: 5_000 }, (_, index) => `bar${index}@example.test,First,Last`);
    const path = await csvFile(`email,firstName,lastName\n${rows.join("\n")}\n`);
    const shown = await open(["users", "import", path, "--no-input"], 14);
    expect(await shown.exitCode(30_000)).toBe(9);
    expect(shown.raw()).toMatch(/Checking users █+░+ 1,000 of 5,000/);
    expect(shown.raw()).toContain("████████████████████ 5,000 of 5,000");
    expect(shown.screen()).not.toMatch(/[█░⠁-⣿]/);
    const quiet = await open(["users", "import", path, "--no-input", "--quiet"], 14);
    expect(await quiet.exitCode(30_000)).toBe(9);
    expect(quiet.raw()).not.toMatch(/[█░]/);
  });
});
