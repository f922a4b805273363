import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { errorOf, type RunOptions, resultOf, runCli } from "../support/cli.ts";
import { removePlaces } from "../support/places.ts";
import { seedFile } from "../support/sandbox.ts";
import { organization, tokenOf } from "../support/seed.ts";
import {
  createDatabase,
  POSTGRES,
  type RunningService,
  serviceEnvironment,
  startService,
  type TestDatabase,
} from "../support/service.ts";
import { codeAt } from "../support/totp.ts";
import { waitFor } from "../support/wait.ts";

const TEST_CARDS = ["--payments", "sandbox", "--test-mode"];

const SERVE = ["serve", ...TEST_CARDS, "--port", "0", "--json"];

afterAll(removePlaces);

test("wrong settings are named together, and end with 2", async () => {
  const env = { SECUREFLAG_DATABASE_URL: "mysql://x", SECUREFLAG_SECRETS_KEY: "short" };
  const run = await runCli(["serve", "--payments", "paypal", "--port", "x", "--json"], { env });
  expect(run).toMatchObject({ exitCode: 2, stdout: "" });
  const { code, message } = errorOf(run);
  expect(code).toBe("settings_invalid");
  for (const name of ["--database", "--public-url", "--port", "SECUREFLAG_SECRETS_KEY", "--payments"]) {
    expect(message).toContain(name);
  }
});

describe.skipIf(!POSTGRES)("the service on PostgreSQL", () => {
  let database: TestDatabase;

  const operate = (args: readonly string[], options: RunOptions = {}) =>
    runCli([...args, "--json"], { ...options, env: serviceEnvironment(database) });

  const paymentMethods = { 1: "card_ok", 2: "card_requires_approval", 3: "card_ok" } as const;
  const seed = {
    organizations: Object.entries(paymentMethods).map(([id, paymentMethod]) =>
      organization(Number(id), { paymentMethod }),
    ),
  };

  beforeAll(async () => {
    database = await createDatabase();
  });
  afterAll(() => database.drop());

  test("does not start before the schema is there", async () => {
    const run = await operate(SERVE);
    expect(run.exitCode).toBe(2);
    expect(errorOf(run)).toMatchObject({ code: "schema_mismatch", hint: "Run `secureflag-licenses serve migrate`." });
  });

  test("is migrated once by two that migrate at the same time", async () => {
    const plan = resultOf(await operate(["serve", "migrate", "--plan"]));
    expect(plan).toMatchObject({ plan: true });
    const runs = await Promise.all([operate(["serve", "migrate"]), operate(["serve", "migrate"])]);
    expect(runs.map(({ exitCode, stderr }) => [exitCode, stderr])).toEqual([
      [0, ""],
      [0, ""],
    ]);
    expect(resultOf(await operate(["serve", "migrate"]))).toEqual({ migrations: [], plan: false });
    expect(await database.query("select name from kysely_migration order by name")).toEqual(
      (plan as { migrations: string[] }).migrations.map((name) => ({ name })),
    );
  });

  test("takes a seed in test mode only, all or nothing, and once", async () => {
    const file = await seedFile(seed);
    const refused = errorOf(await operate(["serve", "admin", "import", file]));
    expect(refused).toMatchObject({ code: "seed_invalid", exitCode: 2 });
    expect(refused.message).toContain("password");
    const again = await seedFile({ organizations: [organization(4), organization(1)] });
    expect(resultOf(await operate(["serve", "admin", "import", file, ...TEST_CARDS]))).toMatchObject({
      organizations: [{ id: 1 }, { id: 2 }, { id: 3 }],
    });
    expect(errorOf(await operate(["serve", "admin", "import", again, ...TEST_CARDS]))).toMatchObject({
      code: "organization_exists",
      exitCode: 2,
    });
    expect(await database.query("select id::int from organizations order by id")).toEqual([
      { id: 1 },
      { id: 2 },
      { id: 3 },
    ]);
    expect(await database.query("select 1 from users where password_hash is null")).toEqual([]);
  });

  describe("that listens", () => {
    let service: RunningService;

    beforeAll(async () => {
      service = await startService(database);
    });
    afterAll(async () => {
      service.process.kill("SIGTERM");
      expect((await service.process.ended).exitCode).toBe(0);
    });

    const root = () => new URL(service.ready.url).origin;

    const request = (path: string, init: RequestInit = {}, organizationId = 1) =>
      fetch(`${service.ready.url}/organizations/${organizationId}${path}`, {
        ...init,
        headers: {
          authorization: `Bearer ${tokenOf(organizationId)}`,
          "content-type": "application/json",
          ...init.headers,
        },
      });

    test("is ready, and has no sandbox's calls", async () => {
      expect((await fetch(`${root()}/readyz`)).status).toBe(200);
      expect((await fetch(`${root()}/sandbox`)).status).toBe(404);
      const { paths } = (await (await fetch(`${root()}/openapi.json`)).json()) as { paths: Record<string, unknown> };
      const mine = Object.keys(paths);
      expect(mine).toContain("/healthz");
      expect(mine.filter((path) => path.includes("sandbox"))).toEqual([]);
    });

    test("sells: the CLI buys from it exactly once", async () => {
      const bought = await service.cli(1, ["buy", "2", "--yes", "--idempotency-key", "k1", "--json"]);
      expect(resultOf(bought)).toMatchObject({ purchase: { status: "succeeded" }, licenses: { purchased: 27 } });
      const again = await service.cli(1, ["buy", "2", "--yes", "--idempotency-key", "k1", "--json"]);
      expect(resultOf(again)).toMatchObject({ replayed: true, licenses: { purchased: 27 } });
      expect(await database.query("select status, refunded from sandbox_payments")).toEqual([
        { status: "succeeded", refunded: "0" },
      ]);
    });

    test("logs notifications without anybody's email", async () => {
      await waitFor(() => /purchase\.succeeded/.test(service.process.noted()), 10_000, "the notification");
      expect(service.process.noted()).not.toContain("@");
      expect(JSON.parse(service.process.noted().split("\n")[0] ?? "")).toMatchObject({
        instance: service.ready.instance,
      });
    });

    test("never believes the Host header", async () => {
      const quoted = await request("/quotes", { method: "POST", body: JSON.stringify({ licenses: 1 }) }, 2);
      const { id: quoteId } = (await quoted.json()) as { id: string };
      const headers = { "idempotency-key": "host", "x-forwarded-host": "evil.example" };
      const answer = await request("/purchases", { method: "POST", body: JSON.stringify({ quoteId }), headers }, 2);
      const { nextAction } = (await answer.json()) as { nextAction: { url: string } };
      expect(new URL(nextAction.url).origin).toBe(root());
    });

    test.runIf(process.platform === "linux")("loads no SQLite", async () => {
      expect(await readFile(`/proc/${service.ready.pid}/maps`, "utf8")).not.toContain("libsql");
    });

    test("gets an organization, a payment method and an administrator from its operator", async () => {
      const flags = "--name Acme --time-zone Europe/London --plan SMB --unit-price 150 --currency GBP --tax-rate 20";
      const more = "--id 7 --licenses 5 --anchor-date 2026-03-01 --no-auto-renew";
      const create = ["serve", "admin", "create-organization", ...`${flags} ${more}`.split(" ")];
      expect(resultOf(await operate(create))).toEqual({ id: 7, name: "Acme" });
      expect(errorOf(await operate(create))).toMatchObject({ code: "organization_exists" });
      const method = ["serve", "admin", "set-payment-method", "card_ok", "--org", "7", ...TEST_CARDS];
      expect(resultOf(await operate(method))).toMatchObject({ paymentMethod: { type: "card" } });
      const made = await runCli(
        ["serve", "admin", "create-administrator", "boss@acme.example", "--org", "7", "--json"],
        { env: { ...serviceEnvironment(database), SECUREFLAG_PUBLIC_URL: root() } },
      );
      const { link } = resultOf<{ link: string }>(made);
      const signIn = await setUp(link, "a password of some length");
      expect(signIn).toBe("mfa_required");
      await expect(setUp(link, "another password, later")).rejects.toThrow(TypeError);
    });

    test("gives an administrator who lost the app a link that replaces it, if that is asked for", async () => {
      const options = { env: { ...serviceEnvironment(database), SECUREFLAG_PUBLIC_URL: root() } };
      const create = (email: string, ...flags: string[]) =>
        runCli(["serve", "admin", "create-administrator", email, "--org", "7", "--json", ...flags], options);
      const email = "boss@acme.example";
      const refused = errorOf(await create(email));
      expect(refused).toMatchObject({ code: "invalid_request", hint: expect.stringContaining("--replace") });
      expect(errorOf(await create("nobody@acme.example", "--replace"))).toMatchObject({ code: "invalid_request" });
      const before = await database.query("select password_hash, totp_secret from users where email = $1", [email]);
      await database.query(
        `insert into sessions (id, user_id, access_hash, access_expires_at, refresh_hash, refresh_expires_at)
         select 'ses_old', id, 'a', 9e12, 'r', 9e12 from users where email = $1`,
        [email],
      );
      const { link } = resultOf<{ link: string }>(await create(email, "--replace"));
      // Until it is used, nothing has changed.
      expect(await database.query("select password_hash, totp_secret from users where email = $1", [email])).toEqual(
        before,
      );
      expect(await setUp(link, "one more password of some length")).toBe("mfa_required");
      const [after] = await database.query("select password_hash, totp_secret from users where email = $1", [email]);
      expect(after?.password_hash).not.toBe(before[0]?.password_hash);
      expect(after?.totp_secret).not.toBe(before[0]?.totp_secret);
      expect(await database.query("select id from sessions where revoked_at is null")).toEqual([]);
      const type = "user.sign_in_replaced";
      expect(await database.query("select actor from events where type = $1", [type])).toEqual([{ actor: "operator" }]);
    });

    async function setUp(link: string, password: string): Promise<string> {
      const page = await (await fetch(link)).text();
      const field = (name: string) => {
        const [, value] = new RegExp(`name="${name}" value="([^"]*)"`).exec(page) ?? [];
        if (value === undefined) throw new TypeError(`No field ${name}`);
        return value;
      };
      const secret = field("secret");
      const form = { token: field("token"), secret, email: field("email"), password };
      const send = (code: string) => fetch(link, { method: "POST", body: new URLSearchParams({ ...form, code }) });
      expect((await send("000000")).status).toBe(400);
      const guessable = new URLSearchParams({ ...form, password: "Boss@Acme.example 1", code: "000000" });
      expect(await (await fetch(link, { method: "POST", body: guessable })).text()).toContain("easy to guess");
      expect((await send(codeAt(secret, Date.now()))).status).toBe(200);
      const answer = await fetch(`${service.ready.url}/auth/login`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ email: form.email, password }),
      });
      return ((await answer.json()) as { status: string }).status;
    }
  });

  test("lets an operator end a review", async () => {
    const service = await startService(database, ["--roles", "http"]);
    const buy = async (key: string) => {
      const run = await service.cli(3, ["buy", "1", "--yes", "--idempotency-key", key, "--json"]);
      return resultOf<{ purchase: { id: string } }>(run).purchase.id;
    };
    const [paid, declined] = [await buy("review-1"), await buy("review-2")];
    const unsettle = `update purchases set state = 'needs_review', completed_at = null where id = any($1)`;
    await database.query("alter table receipts disable trigger all; alter table ledger disable trigger all");
    await database.query("delete from receipts where purchase_id = any($1)", [[paid, declined]]);
    await database.query("delete from ledger where purchase_id = any($1)", [[paid, declined]]);
    await database.query("delete from outbox");
    await database.query(unsettle, [[paid, declined]]);
    const list = resultOf<{ id: string }[]>(await operate(["serve", "admin", "list-review"]));
    expect(list.map(({ id }) => id)).toEqual([paid, declined]);
    const resolve = (purchaseId: string, outcome: string) =>
      operate(["serve", "admin", "resolve", purchaseId, outcome, "--payments", "sandbox", "--test-mode"]);
    expect(resultOf(await resolve(paid, "paid"))).toEqual({ id: paid, state: "fulfilled" });
    const refused = await resolve(declined, "declined");
    expect(errorOf(refused)).toMatchObject({ code: "not_resolvable", exitCode: 9 });
    expect(refused.stderr).toMatch(/Resolve the purchase as paid, or refund the payment/);
    await database.query("update sandbox_payments set refunded = amount where purchase_id = $1", [declined]);
    expect(resultOf(await resolve(declined, "declined"))).toEqual({ id: declined, state: "declined" });
    expect(errorOf(await resolve(paid, "paid"))).toMatchObject({
      code: "not_in_review",
      exitCode: 9,
    });
    const actors = await database.query(
      "select type, actor from events where purchase_id = any($1) and actor = 'operator'",
      [[paid, declined]],
    );
    expect(actors).toEqual([
      { type: "purchase.succeeded", actor: "operator" },
      { type: "purchase.failed", actor: "operator" },
    ]);
    service.process.kill("SIGTERM");
    expect((await service.process.ended).exitCode).toBe(0);
  });

  test("posts notifications to who sends them on, signed", async () => {
    const posted: { headers: IncomingHttpHeaders; body: string }[] = [];
    const receiver = createServer(async (incoming, answer) => {
      posted.push({ headers: incoming.headers, body: await text(incoming) });
      answer.end();
    });
    await once(receiver.listen(0, "127.0.0.1"), "listening");
    const key = Buffer.alloc(32, 5).toString("base64");
    const to = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`;
    const service = await startService(database, ["--notify-url", to], { env: { SECUREFLAG_NOTIFY_SECRET: key } });
    const { purchase } = resultOf<{ purchase: { id: string } }>(await service.cli(1, ["buy", "1", "--yes", "--json"]));
    const ofPurchase = () => posted.find(({ headers }) => String(headers["webhook-id"]).startsWith(purchase.id));
    const { headers, body } = await waitFor(ofPurchase, 20_000, "the notification");
    expect(new Webhook(key).verify(body, headers as Record<string, string>)).toMatchObject({
      type: "purchase.succeeded",
      data: { organization: { id: 1 }, purchaseId: purchase.id, recipients: [expect.stringContaining("@")] },
    });
    expect(service.process.noted()).not.toContain(key);
    service.process.kill("SIGTERM");
    expect((await service.process.ended).exitCode).toBe(0);
    receiver.close();
  });

  test("is reconciled with the provider, and holds buying until then", async () => {
    const service = await startService(database, ["--roles", "http"]);
    const reconcile = async (from: string) => {
      return operate(["serve", "reconcile", "--from", from, ...TEST_CARDS]);
    };
    const buy = (key: string) => service.cli(1, ["buy", "1", "--yes", "--idempotency-key", key, "--json"]);
    expect((await buy("reconciled")).exitCode).toBe(0);
    // An earlier test has changed what was booked.
    await database.query("delete from sandbox_payments where purchase_id like 'pur_3_%'");
    await database.query("delete from ledger where organization_id = 3");
    expect(resultOf(await reconcile("2026-01-01"))).toMatchObject({ findings: { notBooked: 0 }, hold: "none" });

    const { since } = resultOf<{ since: string }>(await operate(["serve", "admin", "hold"]));
    await waitFor(() => service.process.noted().includes("buying is on hold"), 5_000, "the instance to hold");
    const held = await buy("held");
    expect(held.exitCode).toBe(10);
    // An earlier purchase under the key may have been accepted before the hold.
    expect(errorOf(held).message).toMatch(/not known yet\. Buying is on hold/);
    expect(held.stderr).not.toMatch(/nothing was charged/i);
    await database.query(
      `insert into sandbox_payments (id, purchase_id, kind, create_key, amount, currency, method, status, created_at)
       values ('pay_lost', 'pur_1_lost', 'purchase', 'lost', 700, 'GBP', 'card_ok', 'succeeded', $1)`,
      [Date.now()],
    );
    const run = await reconcile(since);
    expect(run.exitCode).toBe(1);
    expect(errorOf(run)).toMatchObject({ code: "reconciliation_differs" });
    expect(JSON.parse(run.stdout)).toMatchObject({
      findings: { unknownPurchase: 1 },
      differences: [{ amount: 700, currency: "GBP" }],
      hold: "kept",
      heldSince: since,
    });
    const list = resultOf<{ id: string }[]>(await operate(["serve", "admin", "list-review"]));
    expect(list).toEqual([expect.objectContaining({ id: "pur_1_lost", finding: "unknownPurchase", kind: "purchase" })]);
    const text = await runCli(["serve", "admin", "list-review"], { env: serviceEnvironment(database) });
    expect(text.stdout).toContain("captured, purchase unknown");
    expect(text.stdout).toContain("Refund payments captured for unknown purchases");
    const resolve = ["serve", "admin", "resolve", "pur_1_lost", "paid", "--payments", "sandbox", "--test-mode"];
    expect(errorOf(await operate(resolve))).toMatchObject({
      code: "not_resolvable",
      hint: expect.stringContaining("Refund the payment in full"),
    });
    const dispute = { id: "du_1", paymentId: "pi_1", amount: { amount: 900, currency: "GBP" }, isOpen: true };
    const kept = JSON.stringify({ ...dispute, purchaseId: "pur_1_disputed", organizationId: 1 });
    await database.query("insert into settings (name, value) values ('dispute:du_1', $1)", [kept]);
    const disputed = resultOf<{ id: string }[]>(await operate(["serve", "admin", "list-review"]));
    expect(disputed[1]).toMatchObject({ id: "pur_1_disputed", finding: "disputed", total: dispute.amount });
    const listed = await runCli(["serve", "admin", "list-review"], { env: serviceEnvironment(database) });
    expect(listed.stdout).toMatch(/pur_1_disputed.*9\.00.*disputed/);
    expect(listed.stdout).toContain("Answer disputes at the payment provider.");
    await database.query("delete from settings where name = 'dispute:du_1'");
    expect(resultOf(await operate(["serve", "admin", "release"]))).toEqual({ held: false, wasHeld: true });
    await database.query("update sandbox_payments set refunded = amount where id = 'pay_lost'");
    const settled = await runCli(["serve", "reconcile", "--from", since, "--payments", "sandbox", "--test-mode"], {
      env: serviceEnvironment(database),
    });
    expect(settled).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/No differences\.\n$/) });
    service.process.kill("SIGTERM");
    expect((await service.process.ended).exitCode).toBe(0);
  }, 90_000);

  describe("that ends", () => {
    test("answers who waits, and exits with 0", async () => {
      const service = await startService(database);
      const [waiting] = await database.query("select id from purchases where state = 'requires_approval'");
      const url = `${service.ready.url}/organizations/2/purchases/${waiting?.id}?wait=20`;
      let isAnswered = false;
      const answer = fetch(url, { headers: { authorization: `Bearer ${tokenOf(2)}` } }).finally(() => {
        isAnswered = true;
      });
      // Once a second request is answered, the first one has arrived.
      await fetch(`${new URL(url).origin}/healthz`);
      expect(isAnswered).toBe(false);
      const start = performance.now();
      service.process.kill("SIGTERM");
      expect((await answer).status).toBe(200);
      expect((await service.process.ended).exitCode).toBe(0);
      expect(performance.now() - start).toBeLessThan(10_000);
    });

    test("is not ready while it drains, still serves, and a second signal ends it at once", async () => {
      const service = await startService(database, ["--drain-seconds", "20"]);
      const root = new URL(service.ready.url).origin;
      service.process.kill("SIGTERM");
      await waitFor(async () => (await fetch(`${root}/readyz`)).status === 503, 5_000, "the drain");
      const health = await fetch(`${root}/healthz`);
      expect([health.status, health.headers.get("connection")]).toEqual([200, "close"]);
      const start = performance.now();
      service.process.kill("SIGTERM");
      expect((await service.process.ended).exitCode).toBe(143);
      expect(performance.now() - start).toBeLessThan(5_000);
    });
  });
});
