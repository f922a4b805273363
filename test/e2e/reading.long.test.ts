import { describe, expect, test } from "vitest";
import { errorOf, resultOf, runCli } from "../support/cli.ts";
import { environmentFor } from "../support/sandbox.ts";
import { fields, fieldsOf, hasControls } from "../support/screen.ts";
import { ADMIN, organization, seed, token, user } from "../support/seed.ts";
import { useSandbox } from "../support/useSandbox.ts";

const HOSTILE = 2;
const NOT_RENEWING = 3;
const NO_METHOD = 4;
const LONG = 5;
const WITH_NUL = 8;
const PLAIN_USER = 6;
const READ_ONLY = 7;

const hostileName = "\u001b]0;owned\u0007\u001b[2J\u001b[31mEvil\u202egnp\u009b5m\r\n\u0008Corp";

const sandbox = useSandbox({
  seed: seed(
    organization(1),
    organization(HOSTILE, { name: hostileName, subscription: { plan: "SMB\u001b[1m\u2066" } }),
    organization(NOT_RENEWING, { subscription: { autoRenew: false } }),
    organization(NO_METHOD, { paymentMethod: null }),
    organization(LONG, {
      name: `The ${"Very Long ".repeat(12)}Name`,
      subscription: { unitPrice: { amount: 1_234_567_890, currency: "USD" }, licenses: 9_990 },
      usedLicenses: 9_990,
    }),
    organization(PLAIN_USER, {
      users: [user({}), user({ email: "uma@northwind.example", role: 7, adminNoTraining: false })],
      tokens: [token(PLAIN_USER, { userEmail: "uma@northwind.example" })],
    }),
    organization(WITH_NUL, { name: "Acme\u0000Corp" }),
    organization(READ_ONLY, { tokens: [token(READ_ONLY, { scopes: ["billing:read"] })] }),
  ),
});

const MONEY = "{amount,currency}";
const TERM = "term{start,renewalDate,days,daysRemaining}";

const STATUS = fields(`organization{id,name,timeZone},
  plan{name,interval,intervalCount,unitPrice${MONEY}},state,licenses{purchased,used,available},${TERM},
  renewal{autoRenew,licenses,subtotal${MONEY},tax${MONEY},total${MONEY}},paymentMethod{type,label},taxRate,version,asOf,livemode,mode,
  pending{purchases,licenses},reduction,unpaid,idle{days,licenses},budget`);

const QUOTE = fields(`id,licenses,unitPrice${MONEY},purchaseDate,${TERM},dueNow${MONEY},taxRate,tax${MONEY},
  total${MONEY},licensesAfter,renewsAt{date,licenses,subtotal${MONEY},tax${MONEY},total${MONEY}},subscriptionVersion,
  createdAt,expiresAt,verified`);

describe("status", () => {
  test.each([
    ["de_DE.UTF-8", "150,00 £", "4.500,00 £"],
    ["en_US.UTF-8", "£150.00", "£4,500.00"],
    ["C", "£150.00", "£4,500.00"],
    ["", "£150.00", "£4,500.00"],
  ])("writes amounts in the locale %j, and JSON always the same", async (locale, unit, total) => {
    const env = { ...environmentFor(sandbox.ready.url, 1), LC_ALL: locale };
    const { stdout } = await runCli(["status"], { env });
    expect(stdout).toContain(`${unit} per license a year`);
    expect(stdout).toContain(total);
    expect(resultOf(await runCli(["status", "--json"], { env }))).toMatchObject({
      plan: { unitPrice: { amount: 15_000, currency: "GBP" } },
    });
  });

  test("--json has exactly the documented fields, and the amounts", async () => {
    const run = await sandbox.cli(1, ["status", "--json"]);
    expect(run).toMatchObject({ exitCode: 0, stderr: "" });
    const status = resultOf(run);
    expect(fieldsOf(status)).toEqual(STATUS);
    expect(status).toMatchObject({
      organization: { id: 1, name: "Northwind Labs", timeZone: "Europe/London" },
      plan: { name: "SMB", interval: "year", intervalCount: 1, unitPrice: { amount: 15000, currency: "GBP" } },
      state: "active",
      licenses: { purchased: 25, used: 22, available: 3 },
      term: { start: "2026-03-01", renewalDate: "2027-03-01", days: 365, daysRemaining: 99 },
      renewal: {
        autoRenew: true,
        licenses: 25,
        subtotal: { amount: 375000, currency: "GBP" },
        tax: { amount: 75000, currency: "GBP" },
        total: { amount: 450000, currency: "GBP" },
      },
      taxRate: "20",
      pending: { purchases: 0, licenses: 0 },
      reduction: null,
      unpaid: null,
      asOf: expect.stringMatching(/^2026-11-22T12:0/),
    });
    expect(run.stdout.endsWith("}\n")).toBe(true);
  });

  test("has no renewal without autoRenew, and null without a payment method", async () => {
    expect(resultOf(await sandbox.cli(NOT_RENEWING, ["status", "--json"]))).toMatchObject({
      renewal: { autoRenew: false, licenses: null, subtotal: null, tax: null, total: null },
    });
    expect(resultOf(await sandbox.cli(NO_METHOD, ["status", "--json"]))).toMatchObject({ paymentMethod: null });
  });

  test("shows people plan, price, counts, term, renewal and payment method", async () => {
    const { exitCode, stdout, stderr } = await sandbox.cli(1, ["status"]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    for (const part of ["Northwind Labs", "SMB", "£150.00", "25", "22", "3", "99", "£4,500.00"]) {
      expect(stdout).toContain(part);
    }
    expect(stdout).toMatch(/2027-03-01|1 Mar(ch)? 2027|Mar(ch)? 1, 2027/);
  });
});

describe("quote", () => {
  test("--json has exactly the documented fields", async () => {
    const run = await sandbox.cli(1, ["quote", "5", "--json"]);
    expect(run).toMatchObject({ exitCode: 0, stderr: "" });
    const quote = resultOf(run);
    expect(fieldsOf(quote).filter((name) => name !== "chargeStep")).toEqual(QUOTE);
    expect(quote).toMatchObject({
      licenses: 5,
      licensesAfter: 30,
      purchaseDate: "2026-11-22",
      dueNow: { amount: 20342, currency: "GBP" },
      tax: { amount: 4068, currency: "GBP" },
      total: { amount: 24410, currency: "GBP" },
      renewsAt: {
        date: "2027-03-01",
        licenses: 30,
        subtotal: { amount: 450000, currency: "GBP" },
        tax: { amount: 90000, currency: "GBP" },
        total: { amount: 540000, currency: "GBP" },
      },
      verified: true,
    });
  });

  test("has a null renewsAt without autoRenew, and says that there is no renewal", async () => {
    expect(resultOf(await sandbox.cli(NOT_RENEWING, ["quote", "5", "--json"]))).toMatchObject({ renewsAt: null });
    expect((await sandbox.cli(NOT_RENEWING, ["quote", "5"])).stdout).toMatch(/not renew|no renewal|ends/i);
  });

  test("shows people the amount due, the counts and the renewal; --explain shows the arithmetic", async () => {
    const plain = await sandbox.cli(1, ["quote", "5"]);
    expect(plain.exitCode).toBe(0);
    for (const part of ["£203.42", "£40.68", "£244.10", "25 → 30", "£5,400.00"]) expect(plain.stdout).toContain(part);
    const explained = await sandbox.cli(1, ["quote", "5", "--explain"]);
    expect(explained.exitCode).toBe(0);
    for (const part of ["99", "365", "£150.00", "£203.42", "£40.68"]) expect(explained.stdout).toContain(part);
  });

  test.each(["0", "-1", "1.5", "1e3", "+5", "0x5", "five", "", " 5", "5 ", "99999999999999999999", "٥"])(
    "%j licenses: exits with 2",
    async (licenses) => {
      const run = await sandbox.cli(1, ["quote", "--json", "--", licenses]);
      expect(run).toMatchObject({ exitCode: 2, stdout: "" });
      expect(errorOf(run)).toMatchObject({ exitCode: 2, code: expect.any(String), message: expect.any(String) });
    },
  );

  test("more than the backend's limit: exits with 2 and its reason", async () => {
    const run = await sandbox.cli(1, ["quote", "10001", "--json"]);
    expect(errorOf(run)).toMatchObject({ exitCode: 2, code: "license_limit" });
    expect(errorOf(run).message).toMatch(/10,?000/);
  });
});

describe("output", () => {
  test.each(["status", "quote 5", "quote 5 --explain", "buy 5 --dry-run", "purchases list", "whoami"])(
    "%s: sends nothing from a hostile name to a terminal",
    async (command) => {
      for (const id of [1, HOSTILE, LONG]) {
        const run = await sandbox.cli(id, command.split(" "), { env: { FORCE_COLOR: "0", COLUMNS: "60" } });
        expect(run.exitCode).toBe(0);
        expect(hasControls(run.stdout + run.stderr)).toBe(false);
      }
    },
  );

  test("keeps a hostile name as data in JSON, which is harmless on a terminal", async () => {
    const run = await sandbox.cli(HOSTILE, ["status", "--json"]);
    expect(resultOf(run)).toMatchObject({ organization: { name: hostileName } });
    expect(hasControls(run.stdout)).toBe(false);
  });

  test("keeps a name with a NUL complete", async () => {
    expect(resultOf(await sandbox.cli(WITH_NUL, ["status", "--json"]))).toMatchObject({
      organization: { name: "Acme\u0000Corp" },
    });
  });

  test("has no color in a pipe; NO_COLOR and --no-color override FORCE_COLOR", async () => {
    const forced = { env: { FORCE_COLOR: "1" } };
    const silenced = { env: { NO_COLOR: "1" } };
    expect((await sandbox.cli(1, ["status"])).stdout).not.toContain("\u001b[");
    expect((await sandbox.cli(1, ["status"], forced)).stdout).toContain("\u001b[");
    expect((await sandbox.cli(1, ["status"], silenced)).stdout).not.toContain("\u001b[");
    expect((await sandbox.cli(1, ["status", "--no-color"], forced)).stdout).not.toContain("\u001b[");
  });

  test("is [] for an empty list", async () => {
    expect(await sandbox.cli(1, ["purchases", "list", "--json"])).toMatchObject({ exitCode: 0, stdout: "[]\n" });
  });

  test("shows requests on stderr with --verbose, without secrets", async () => {
    const run = await sandbox.cli(1, ["status", "--json", "--verbose"]);
    expect(run.exitCode).toBe(0);
    expect(resultOf(run)).toMatchObject({ organization: { id: 1 } });
    expect(run.stderr).toMatch(/GET .*\/organizations\/1\/subscription/);
    expect(run.stderr).toContain("200");
    expect(run.stderr).not.toContain("sfl_sandbox_ci_1");
  });

  test("is only the result with --quiet", async () => {
    expect(await sandbox.cli(1, ["status", "--quiet"])).toMatchObject({ exitCode: 0, stderr: "" });
  });
});

describe("missing purchases", () => {
  test.each([["show"], ["receipt"]])("%s: exits with 2, not_found", async (command) => {
    const run = await sandbox.cli(1, ["purchases", command, "pur_nothing", "--json"]);
    expect(run.stdout).toBe("");
    expect(errorOf(run)).toMatchObject({ exitCode: 2, code: "not_found", requestId: expect.any(String) });
  });
});

describe("read permissions", () => {
  test("whoami --json has exactly the documented fields", async () => {
    const run = await sandbox.cli(1, ["whoami", "--json"]);
    expect(run.exitCode).toBe(0);
    const who = resultOf(run);
    expect(fieldsOf(who)).toEqual(
      fields(`user{email,role,roleName},organization{id,name},livemode,mode,apiUrl,apiUrlSource,profile,
        token{source,name,scopes[],expiresAt,last4,spendLimit}`),
    );
    expect(who).toMatchObject({
      user: { email: ADMIN, role: 0 },
      organization: { id: 1, name: "Northwind Labs" },
      livemode: false,
      mode: "sandbox",
      apiUrl: sandbox.ready.url,
      apiUrlSource: "environment",
      token: { source: "environment", name: "ci", scopes: ["billing:read", "billing:purchase"], last4: "ci_1" },
    });
  });

  test("a role without access to billing: exits with 5", async () => {
    const run = await sandbox.cli(PLAIN_USER, ["status", "--json"]);
    expect(run.stdout).toBe("");
    expect(errorOf(run)).toMatchObject({ exitCode: 5, code: "forbidden" });
  });

  test("a token without the scope to buy can read, but not buy: exits with 5", async () => {
    expect((await sandbox.cli(READ_ONLY, ["status"])).exitCode).toBe(0);
    const run = await sandbox.cli(READ_ONLY, ["buy", "1", "--yes", "--json"]);
    expect(errorOf(run)).toMatchObject({ exitCode: 5, code: "insufficient_scope" });
    expect(await sandbox.purchased(READ_ONLY)).toBe(25);
  });

  test("another organization's resources: exits with 2, not_found", async () => {
    const run = await sandbox.cli(1, ["status", "--org", "3", "--json"]);
    expect(errorOf(run)).toMatchObject({ exitCode: 2, code: "not_found" });
  });

  test("no token, and a wrong one: exits with 4", async () => {
    const { SECUREFLAG_API_URL } = environmentFor(sandbox.ready.url, 1);
    const nobody = await runCli(["status", "--org", "1", "--json"], {
      env: { SECUREFLAG_API_URL: SECUREFLAG_API_URL ?? "" },
    });
    expect(errorOf(nobody)).toMatchObject({ exitCode: 4 });
    const stranger = await sandbox.cli(1, ["status", "--json"], { env: { SECUREFLAG_API_TOKEN: "sfl_wrong" } });
    expect(errorOf(stranger)).toMatchObject({ exitCode: 4, code: "unauthenticated" });
  });

  test("a token's only organization is used without --org", async () => {
    const run = await sandbox.cli(1, ["status", "--json"], { env: { SECUREFLAG_ORGANIZATION: "" } });
    expect(resultOf(run)).toMatchObject({ organization: { id: 1 } });
  });

  test("organizations list shows the organizations", async () => {
    const run = await sandbox.cli(1, ["organizations", "list", "--json"]);
    expect(resultOf<unknown[]>(run)).toEqual([{ id: 1, name: "Northwind Labs", role: 0 }]);
  });
});
