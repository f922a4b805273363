import { existsSync } from "node:fs";
import { execa } from "execa";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { errorOf, resultOf, runCli } from "../support/cli.ts";
import { FaultProxy } from "../support/faultProxy.ts";
import { BIN, clearedEnvironment, removePlaces, temporaryDirectory } from "../support/places.ts";
import { environmentFor, type RunningSandbox, startSandbox } from "../support/sandbox.ts";
import { fields, fieldsOf } from "../support/screen.ts";
import { ADMIN, organization, seed } from "../support/seed.ts";

const DECLINED = 101;
const INSUFFICIENT = 102;
const ENDS = 104;
const TINY = 105;
const FREE = 106;
const ORDINARY = Array.from({ length: 22 }, (_, index) => index + 1);

let sandbox: RunningSandbox;
let proxy: FaultProxy;
let free = [...ORDINARY];

/** An organization that no other test buys for. */
function untouched(): number {
  const [id, ...rest] = free;
  free = rest;
  if (id === undefined) throw new RangeError("every organization of the seed is used: add some");
  return id;
}

beforeAll(async () => {
  const cheap = { unitPrice: { amount: 29, currency: "GBP" }, taxRate: "0", anchorDate: "2026-11-22" };
  sandbox = await startSandbox({
    seed: seed(
      ...ORDINARY.map((id) => organization(id)),
      organization(DECLINED, { paymentMethod: "card_declined" }),
      organization(INSUFFICIENT, { paymentMethod: "card_insufficient_funds" }),
      organization(ENDS, { subscription: { autoRenew: false } }),
      organization(TINY, { subscription: cheap }),
      organization(FREE, { paymentMethod: null, subscription: { unitPrice: { amount: 0, currency: "GBP" } } }),
    ),
  });
  proxy = await FaultProxy.start(sandbox.ready.url);
});

afterEach(() => proxy.heal());

afterAll(async () => {
  await proxy?.close();
  await sandbox?.stop();
  await removePlaces();
});

interface Bought {
  purchase: { id: string; status: string; receiptNumber: string | null } | null;
}

async function chargesOf(organizationId: number): Promise<number[]> {
  const own = new Set((await sandbox.purchases(organizationId)).map(({ id }) => id));
  return (await sandbox.captures()).filter(({ purchaseId }) => own.has(purchaseId)).map(({ amount }) => amount);
}

const MONEY = "{amount,currency}";
const PURCHASE = `id,status,licenses,total${MONEY},quoteId,idempotencyKey,createdAt,completedAt,purchaseOrder,note,kind,
  receiptNumber,failure,nextAction,purchasedBy{email,token},dueNow${MONEY},tax${MONEY},
  livemode,mode`;

describe("buy", () => {
  test("--json has exactly the documented fields; the count, the list, the receipt and the capture agree", async () => {
    const id = untouched();
    const run = await sandbox.cli(id, ["buy", "5", "--yes", "--po", "PO-7", "--note", "Q4 growth", "--json"]);
    expect(run).toMatchObject({ exitCode: 0, stderr: "" });
    const bought = resultOf<Bought & Record<string, unknown>>(run);
    const { quote, ...rest } = bought;
    expect(fieldsOf(rest)).toEqual(fields(`purchase{${PURCHASE}},licenses{purchased,used,available},replayed,dryRun`));
    expect(quote).toMatchObject({ total: { amount: 24410, currency: "GBP" }, verified: true });
    expect(bought).toMatchObject({
      purchase: {
        status: "succeeded",
        kind: "purchase",
        licenses: 5,
        dueNow: { amount: 20342, currency: "GBP" },
        tax: { amount: 4068, currency: "GBP" },
        total: { amount: 24410, currency: "GBP" },
        purchaseOrder: "PO-7",
        note: "Q4 growth",
        receiptNumber: expect.any(String),
        failure: null,
        nextAction: null,
        purchasedBy: { email: ADMIN, token: "ci" },
      },
      licenses: { purchased: 30, used: 22, available: 8 },
      replayed: false,
      dryRun: false,
    });
    const purchaseId = bought.purchase?.id ?? "";
    expect(resultOf(await sandbox.cli(id, ["purchases", "list", "--json"]))).toEqual([bought.purchase]);
    expect(resultOf(await sandbox.cli(id, ["purchases", "show", purchaseId, "--json"]))).toEqual(bought.purchase);
    expect(resultOf(await sandbox.cli(id, ["purchases", "receipt", purchaseId, "--json"]))).toMatchObject({
      receiptNumber: bought.purchase?.receiptNumber,
      purchaseId,
      licenses: 5,
      licensesAfter: 30,
      total: { amount: 24410, currency: "GBP" },
      purchaseOrder: "PO-7",
      note: "Q4 growth",
    });
    expect(resultOf(await sandbox.cli(id, ["status", "--json"]))).toMatchObject({
      licenses: { purchased: 30, used: 22, available: 8 },
      renewal: { licenses: 30, total: { amount: 540000 } },
    });
    expect(await chargesOf(id)).toEqual([24410]);
  });

  test("shows people the new count, the charge and the receipt number", async () => {
    const id = untouched();
    const { exitCode, stdout } = await sandbox.cli(id, ["buy", "5", "--yes"]);
    expect(exitCode).toBe(0);
    for (const part of ["25 → 30", "£244.10"]) expect(stdout).toContain(part);
    const [purchase] = resultOf<{ id: string; receiptNumber: string }[]>(
      await sandbox.cli(id, ["purchases", "list", "--json"]),
    );
    expect(stdout).toContain(purchase?.receiptNumber);
    const shown = await sandbox.cli(id, ["purchases", "receipt", purchase?.id ?? ""]);
    for (const part of [purchase?.receiptNumber, "£203.42", "£40.68", "£244.10"]) expect(shown.stdout).toContain(part);
  });

  test("lets the backend accept exactly that many new users", async () => {
    const id = untouched();
    expect((await sandbox.cli(id, ["buy", "2", "--yes"])).exitCode).toBe(0);
    const session = await sandbox.signIn();
    const add = async (index: number) => {
      const body = { email: `new${index}@northwind.example`, firstName: "New", lastName: `User ${index}` };
      return sandbox.request("POST", `/organizations/${id}/users`, { token: session, body });
    };
    const statuses: number[] = [];
    for (let index = 1; index <= 6; index += 1) statuses.push((await add(index)).status);
    expect(statuses).toEqual([201, 201, 201, 201, 201, 409]);
    expect((await add(7)).body).toMatchObject({ code: "no_license_available" });
    expect(resultOf(await sandbox.cli(id, ["status", "--json"]))).toMatchObject({
      licenses: { purchased: 27, used: 27, available: 0 },
    });
    const page = await sandbox.request("GET", `/organizations/${id}/users/0`, { token: session });
    const next = await sandbox.request("GET", `/organizations/${id}/users/1`, { token: session });
    const end = await sandbox.request("GET", `/organizations/${id}/users/2`, { token: session });
    const users = [...(page.body as { email: string }[]), ...(next.body as { email: string }[])];
    expect((page.body as unknown[]).length).toBe(20);
    expect(users.length).toBe(28);
    expect(users.map(({ email }) => email)).toContain("new5@northwind.example");
    expect(end.body).toEqual([]);
  });

  test("needs at most three requests", async () => {
    const id = untouched();
    const before = proxy.requests.length;
    const env = environmentFor(proxy.url, id);
    expect((await runCli(["buy", "5", "--yes", "--json"], { env })).exitCode).toBe(0);
    expect(proxy.requests.length - before).toBeLessThanOrEqual(3);
  });

  test("says that there is no renewal for a subscription that ends", async () => {
    const run = await sandbox.cli(ENDS, ["buy", "5", "--yes", "--json"]);
    expect(run.exitCode).toBe(0);
    expect(resultOf(run)).toMatchObject({ quote: { renewsAt: null }, licenses: { purchased: 30 } });
  });
});

describe.skipIf(!existsSync("/dev/full"))("a result that cannot be printed", () => {
  test("exits with 10 and a message on stderr; running again shows it and buys nothing more", async () => {
    const id = untouched();
    const env = environmentFor(sandbox.ready.url, id);
    const lost = await runCli(["buy", "1", "--yes", "--json"], { env, stdoutFile: "/dev/full" });
    expect(lost.exitCode).toBe(10);
    expect(errorOf(lost)).toMatchObject({ code: "result_not_printed", exitCode: 10 });
    const again = await runCli(["buy", "1", "--yes", "--json"], { env, home: lost.home });
    expect(again.exitCode).toBe(0);
    expect(resultOf(again)).toMatchObject({ replayed: true });
    expect(await sandbox.purchases(id)).toHaveLength(1);
  });
});

test("a partially written result is detected: exits with 10, and running again shows it", async () => {
  const id = untouched();
  const home = await temporaryDirectory();
  const env = environmentFor(sandbox.ready.url, id);
  const command = 'ulimit -f 1; exec "$0" "$@" > "$HOME/result.json"';
  const lost = await execa("bash", ["-c", command, process.execPath, BIN, "buy", "2", "--yes", "--json"], {
    env: clearedEnvironment(home, env),
    extendEnv: false,
    reject: false,
  });
  expect([lost.exitCode, JSON.parse(lost.stderr).error.code]).toEqual([10, "result_not_printed"]);
  const again = await runCli(["buy", "2", "--yes", "--json"], { env, home });
  expect(resultOf(again)).toMatchObject({ replayed: true, purchase: { status: "succeeded" } });
  expect(await sandbox.purchases(id)).toHaveLength(1);
});

describe("nothing is bought", () => {
  test("without a terminal and without --yes: exits with 2 before any request", async () => {
    const id = untouched();
    const before = proxy.requests.length;
    const run = await runCli(["buy", "5", "--json"], { env: environmentFor(proxy.url, id) });
    expect(run.stdout).toBe("");
    expect(errorOf(run)).toMatchObject({ exitCode: 2 });
    expect(errorOf(run).message + errorOf(run).hint).toContain("--yes");
    expect(proxy.requests.length).toBe(before);
  });

  test.each([
    ["0", []],
    ["5.0", []],
    ["1e3", []],
    ["5", ["--max-total", "12,50"]],
    ["5", ["--max-total", "-1"]],
    ["5", ["--max-total", ""]],
    ["5", ["--if-purchased", "many"]],
    ["5", ["--wait", "soon"]],
    ["5", ["--timeout", "0"]],
    ["5", ["--idempotency-key", "two words"]],
    ["5", ["--idempotency-key", "k".repeat(256)]],
    ["5", ["--note", ""]],
    ["5", ["--org", "seven"]],
    ["5", ["--nonsense"]],
  ])("buy %s %j: exits with 2 before any request", async (licenses, flags) => {
    const before = proxy.requests.length;
    const env = environmentFor(proxy.url, 1);
    const run = await runCli(["buy", licenses, "--yes", "--json", ...flags], { env });
    expect(run.stdout).toBe("");
    expect(errorOf(run)).toMatchObject({ exitCode: 2 });
    expect(proxy.requests.length).toBe(before);
  });

  test("--dry-run: exits with 0 and the quote, makes no purchase, changes no counts, and needs no --yes", async () => {
    const id = untouched();
    const run = await sandbox.cli(id, ["buy", "5", "--dry-run", "--json"]);
    expect(run.exitCode).toBe(0);
    expect(resultOf(run)).toMatchObject({
      purchase: null,
      quote: { licenses: 5, total: { amount: 24410 }, verified: true },
      licenses: { purchased: 25, used: 22, available: 3 },
      dryRun: true,
      replayed: false,
    });
    expect(await sandbox.purchases(id)).toEqual([]);
  });

  test.each([
    ["--max-total just under the total with tax", ["--max-total", "244.09"], "max_total_exceeded"],
    ["--if-purchased with another count", ["--if-purchased", "24"], "if_purchased_not_met"],
  ])("%s: exits with 7, even with --dry-run", async (_, flags, code) => {
    const id = untouched();
    for (const extra of [["--yes"], ["--dry-run"]]) {
      const run = await sandbox.cli(id, ["buy", "5", "--json", ...flags, ...extra]);
      expect(errorOf(run)).toMatchObject({ exitCode: 7, code });
      expect(run.stdout).toBe("");
    }
    expect(await sandbox.purchases(id)).toEqual([]);
  });

  test("a guard's message has the amount and the limit", async () => {
    const { message } = errorOf(await sandbox.cli(1, ["buy", "5", "--yes", "--json", "--max-total", "200"]));
    expect(message).toContain("£244.10");
    expect(message).toContain("£200.00");
  });

  test("--max-total finer than the currency: exits with 2", async () => {
    const run = await sandbox.cli(untouched(), ["buy", "5", "--yes", "--json", "--max-total", "500.001"]);
    expect(errorOf(run)).toMatchObject({ exitCode: 2 });
  });

  test("guards that are just met allow the purchase, to the minor unit", async () => {
    const id = untouched();
    const flags = ["--max-total", "244.10", "--if-purchased", "25"];
    expect((await sandbox.cli(id, ["buy", "5", "--yes", ...flags])).exitCode).toBe(0);
    expect(await chargesOf(id)).toEqual([24410]);
  });

  test.each([
    [DECLINED, "card_declined", /declin/i],
    [INSUFFICIENT, "insufficient_funds", /fund/i],
  ])(
    "a failed payment (organization %d, %s): exits with 6 and the purchase, adds no license, charges nothing",
    async (id, code, words) => {
      const run = await sandbox.cli(id, ["buy", "5", "--yes", "--json"]);
      expect(run.exitCode).toBe(6);
      expect(resultOf(run)).toMatchObject({
        purchase: {
          status: "failed",
          failure: { code: expect.stringContaining(code.split("_").at(-1) ?? "") },
          receiptNumber: null,
        },
        licenses: { purchased: 25, used: 22, available: 3 },
        replayed: false,
      });
      expect(errorOf(run)).toMatchObject({ exitCode: 6, code: "payment_declined" });
      expect(errorOf(run).message).toMatch(words);
      expect(await sandbox.purchased(id)).toBe(25);
      expect(await chargesOf(id)).toEqual([]);
      const again = resultOf<Bought>(await sandbox.cli(id, ["buy", "5", "--yes", "--json"]));
      expect(again.purchase?.id).not.toBe(resultOf<Bought>(run).purchase?.id);
      const [failed] = await sandbox.purchases(id);
      const receipt = await sandbox.cli(id, ["purchases", "receipt", failed?.id ?? "", "--json"]);
      expect(errorOf(receipt)).toMatchObject({ exitCode: 2, code: "not_found" });
    },
  );

  test("below the provider's minimum: exits with 7 and the lowest number of licenses that reaches it", async () => {
    const run = await sandbox.cli(TINY, ["quote", "1", "--json"]);
    expect(errorOf(run)).toMatchObject({ exitCode: 7, code: "below_minimum_charge" });
    expect(`${errorOf(run).message} ${errorOf(run).hint}`).toMatch(/\b2\b/);
    expect((await sandbox.cli(TINY, ["buy", "2", "--yes"])).exitCode).toBe(0);
  });

  test("a zero total: needs no payment", async () => {
    const run = await sandbox.cli(FREE, ["buy", "5", "--yes", "--json"]);
    expect(run.exitCode).toBe(0);
    expect(resultOf(run)).toMatchObject({
      purchase: { status: "succeeded", total: { amount: 0 } },
      licenses: { purchased: 30 },
    });
    expect(await chargesOf(FREE)).toEqual([]);
  });
});

describe("a backend that calculates incorrectly", () => {
  const spoil = (edit: (quote: never) => unknown) =>
    ({
      method: "POST",
      path: /\/quotes$/,
      fault: {
        kind: "rewrite",
        edit: (body: string) => JSON.stringify(edit(JSON.parse(body) as never)),
      },
    }) as const;

  test.each<[string, (quote: never) => unknown]>([
    ["one penny more", (quote: { total: object }) => ({ ...quote, total: { ...quote.total, amount: 24411 } })],
    ["the amount due", (quote: { dueNow: object }) => ({ ...quote, dueNow: { ...quote.dueNow, amount: 20343 } })],
    [
      "both, consistently",
      (quote: { dueNow: object; total: object }) => ({
        ...quote,
        dueNow: { ...quote.dueNow, amount: 20343 },
        total: { ...quote.total, amount: 24411 },
      }),
    ],
    ["the tax", (quote: { tax: object }) => ({ ...quote, tax: { ...quote.tax, amount: 4067 } })],
    ["the currency", (quote: object) => JSON.parse(JSON.stringify(quote).replaceAll('"GBP"', '"USD"'))],
    ["the unit price", (quote: object) => ({ ...quote, unitPrice: { amount: 15001, currency: "GBP" } })],
    ["the count after", (quote: object) => ({ ...quote, licensesAfter: 29 })],
    ["the number of licenses", (quote: object) => ({ ...quote, licenses: 6 })],
    ["the days left", (quote: { term: object }) => ({ ...quote, term: { ...quote.term, daysRemaining: 100 } })],
    ["the purchase date", (quote: object) => ({ ...quote, purchaseDate: "2026-11-21" })],
    [
      "the renewal price",
      (quote: { renewsAt: { total: object } }) => ({
        ...quote,
        renewsAt: { ...quote.renewsAt, total: { amount: 540001, currency: "GBP" } },
      }),
    ],
  ])("%s: exits with 7, shows both computations, buys nothing", async (_, edit) => {
    proxy.inject(spoil(edit));
    const env = environmentFor(proxy.url, 1);
    const before = await sandbox.purchases(1);
    for (const args of [
      ["quote", "5"],
      ["buy", "5", "--yes"],
    ]) {
      const run = await runCli([...args, "--json"], { env });
      expect(run.stdout).toBe("");
      expect(errorOf(run)).toMatchObject({ exitCode: 7, code: "price_check_failed" });
    }
    expect(await sandbox.purchases(1)).toEqual(before);
    expect(proxy.seen("POST", /organizations\/1\/purchases$/)).toEqual([]);
  });

  test("shows people the backend's and the correct amounts", async () => {
    proxy.inject(spoil((quote: { total: object }) => ({ ...quote, total: { ...quote.total, amount: 24411 } })));
    const run = await runCli(["quote", "5"], { env: environmentFor(proxy.url, 1) });
    expect(run).toMatchObject({ exitCode: 7, stdout: "" });
    for (const part of ["£244.11", "£244.10"]) expect(run.stderr).toContain(part);
  });
});

describe("malformed responses", () => {
  test.each([
    ["an HTML page", { kind: "html", when: "before" }],
    ["another shape", { kind: "rewrite", edit: () => '{"licenses":"many"}' }],
    [
      "a float as an amount",
      { kind: "rewrite", edit: (body: string) => body.replace('"amount":15000', '"amount":15000.5') },
    ],
    [
      "a number too large",
      { kind: "rewrite", edit: (body: string) => body.replace('"amount":15000', '"amount":15000000000000000000') },
    ],
    ["too deeply nested JSON", { kind: "rewrite", edit: () => `${'{"a":'.repeat(100)}1${"}".repeat(100)}` }],
    ["more than a megabyte", { kind: "rewrite", edit: () => JSON.stringify({ text: "x".repeat(1_100_000) }) }],
    ["an empty body", { kind: "rewrite", edit: () => "" }],
  ] as const)("%s for status: exits with 1, nothing on stdout", async (_, fault) => {
    proxy.inject({ method: "GET", path: /\/subscription$/, fault });
    const run = await runCli(["status", "--json"], { env: environmentFor(proxy.url, 1) });
    expect(run.stdout).toBe("");
    expect(errorOf(run)).toMatchObject({ exitCode: 1, code: "unexpected_answer" });
  });

  test("a backend without billing: exits with 1 and mentions the sandbox", async () => {
    proxy.inject({ method: "GET", path: /./, fault: { kind: "status", when: "before", status: 404 } });
    const run = await runCli(["status", "--json"], { env: environmentFor(proxy.url, 1) });
    expect(errorOf(run)).toMatchObject({ exitCode: 1, code: "billing_not_offered" });
    expect(`${errorOf(run).message} ${errorOf(run).hint}`).toContain("sandbox");
  });

  test("SecureFlag's own error shape is parsed", async () => {
    for (const [own, exitCode, code] of [
      [{ error: true, errorMsg: "EmptyUser" }, 1, "billing_not_offered"],
      [{ result: "error", errorMsg: "unauthorized" }, 4, "unauthenticated"],
    ] as const) {
      proxy.heal();
      proxy.inject({ method: "GET", path: /./, fault: { kind: "rewrite", edit: () => JSON.stringify(own) } });
      const run = await runCli(["status", "--json"], { env: environmentFor(proxy.url, 1) });
      expect(errorOf(run)).toMatchObject({ exitCode, code });
    }
  });

  test("an unreachable backend: exits with 10, and running again is safe", async () => {
    const env = environmentFor("http://127.0.0.1:1/rest/management/v2", 1);
    const run = await runCli(["buy", "5", "--yes", "--json"], { env, timeout: 40_000 });
    expect(run.stdout).toBe("");
    expect(errorOf(run)).toMatchObject({ exitCode: 10, code: "unreachable" });
    expect(`${errorOf(run).message} ${errorOf(run).hint}`).toMatch(/again[ ;]+(that )?is safe/);
  }, 45_000);

  test.each([
    ["http://example.com/rest/management/v2", {}],
    ["https://127.0.0.1:1/rest/management/v2", { NODE_TLS_REJECT_UNAUTHORIZED: "0" }],
    ["ftp://127.0.0.1/", {}],
    ["not a url", {}],
  ])("%s %j is rejected: exits with 2", async (url, extra) => {
    const run = await runCli(["status", "--json"], { env: { ...environmentFor(url, 1), ...extra } });
    expect(run.exitCode).toBe(2);
    expect(run.stdout).toBe("");
  });
});
