import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { openSqlite } from "../../../src/backend/database/sqlite.ts";
import { sandboxGateway } from "../../../src/backend/payments/sandboxGateway.ts";
import { newestRenewalsWithin } from "../../../src/backend/sandbox/routes.ts";
import { type RunningSandbox, startSandbox } from "../../../src/backend/sandbox/server.ts";
import type { Purchase } from "../../../src/contract/billing.ts";
import { clockAnswerSchema, sandboxStateSchema } from "../../../src/contract/sandbox.ts";
import { purchase } from "../../cli/support/builders.ts";
import { organization, tokenOf } from "../support/backend.ts";

const START = "2026-11-22T12:00:00Z";

const monthly = { interval: "month", anchorDate: "2026-01-31" } as const;

/** The machine's clock keeps running, as in a sandbox. */
const deps = {
  now: () => Math.round(performance.timeOrigin + performance.now()),
  random: randomBytes,
  pid: 1,
  reach: () => {},
  log: () => {},
  version: "0.0.0",
};

describe("POST /sandbox/clock", () => {
  const running: RunningSandbox[] = [];
  const start = async (organizations: ReturnType<typeof organization>[], dataDir: string | null = null) => {
    const seed = { path: "seed.json", text: JSON.stringify({ organizations }) };
    const sandbox = await startSandbox({ port: 0, dataDir, seed, now: Date.parse(START) }, deps);
    running.push(sandbox);
    return sandbox;
  };
  const seeded = (subscription = {}, changes: Parameters<typeof organization>[0] = {}) => {
    const made = organization(changes);
    return { ...made, subscription: { ...made.subscription, ...subscription } };
  };
  const advance = async (sandbox: RunningSandbox, body: unknown) => {
    const response = await fetch(new URL("/sandbox/clock", sandbox.ready.url), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    return { status: response.status, body: JSON.parse(await response.text()) };
  };
  const request = async (sandbox: RunningSandbox, id: number, path: string, body?: unknown, key?: string) => {
    const response = await fetch(`${sandbox.ready.url}/organizations/${id}${path}`, {
      method: body === undefined ? "GET" : "POST",
      headers: {
        authorization: `Bearer ${tokenOf(id)}`,
        ...(body !== undefined && { "content-type": "application/json" }),
        ...(key && { "idempotency-key": key }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: (await response.json()) as never };
  };
  const state = async (sandbox: RunningSandbox, after = "0") => {
    const response = await fetch(new URL(`/sandbox?after=${after}`, sandbox.ready.url));
    return sandboxStateSchema.parse(JSON.parse(await response.text()));
  };
  const buy = async (sandbox: RunningSandbox, id: number, licenses: number) => {
    const { body: offered } = await request(sandbox, id, "/quotes", { licenses });
    return request(sandbox, id, "/purchases", { quoteId: (offered as { id: string }).id }, "k");
  };

  afterEach(async () => {
    for (const sandbox of running.splice(0)) await sandbox.close();
  });

  test("returns the renewals made on the way, settled and in order, with any card", async () => {
    const made = [
      seeded(monthly),
      seeded(monthly, { paymentMethod: "card_processing" }),
      seeded(monthly, { paymentMethod: "card_declined" }),
    ];
    const sandbox = await start(made);
    const began = performance.now();
    const { status, body } = await advance(sandbox, { to: "2027-02-10T08:00:00Z" });
    expect(status).toBe(200);
    expect(performance.now() - began).toBeLessThan(5_000);
    const answer = clockAnswerSchema.parse(body);
    expect(answer.now).toMatch(/^2027-02-10T08:00:0/);
    expect(answer.renewalCount).toBeUndefined();
    // The unpaid one is made once; the others every month, each at the first instant of its term.
    expect(answer.renewals.map(({ createdAt, status }) => [createdAt.slice(0, 19), status]).sort()).toEqual([
      ["2026-11-30T00:00:00", "failed"],
      ["2026-11-30T00:00:00", "succeeded"],
      ["2026-11-30T00:00:00", "succeeded"],
      ["2026-12-31T00:00:00", "succeeded"],
      ["2026-12-31T00:00:00", "succeeded"],
      ["2027-01-31T00:00:00", "succeeded"],
      ["2027-01-31T00:00:00", "succeeded"],
    ]);
    const instants = answer.renewals.map(({ createdAt }) => createdAt);
    expect(instants).toEqual(instants.toSorted());
    const failed = answer.renewals.find((renewal) => renewal.status === "failed");
    expect(failed?.nextAction?.url).toContain(new URL(sandbox.ready.url).origin);
    expect((await advance(sandbox, { days: 1 })).body.renewals).toEqual([]);
  });

  test("advances to a renewal date and settles it although its payment takes two seconds", async () => {
    const sandbox = await start([seeded({}, { paymentMethod: "card_processing" })]);
    const { body } = await advance(sandbox, { toRenewalOf: sandbox.ready.organizationId });
    expect(body).toMatchObject({
      now: expect.stringMatching(/^2027-03-01T00:00:0/),
      renewals: [{ kind: "renewal", status: "succeeded", licenses: 25, quoteId: null, purchasedBy: null }],
    });
    expect((await advance(sandbox, { toRenewalOf: sandbox.ready.organizationId })).body.now).toMatch(/^2028-03-01/);
  });

  test("settles a payment in progress at its own time, then renews its licenses too", async () => {
    const sandbox = await start([seeded({}, { paymentMethod: "card_processing" })]);
    const id = sandbox.ready.organizationId;
    expect((await buy(sandbox, id, 5)).status).toBe(202);
    const { body } = await advance(sandbox, { toRenewalOf: id });
    expect(body.renewals).toMatchObject([{ licenses: 30, status: "succeeded" }]);
  });

  test("takes two seconds to settle a bank debit if the clock does not move", async () => {
    const sandbox = await start([seeded({}, { paymentMethod: "card_processing" })]);
    const id = sandbox.ready.organizationId;
    const began = performance.now();
    const { body } = await buy(sandbox, id, 5);
    const settled = await request(sandbox, id, `/purchases/${(body as Purchase).id}?wait=20`);
    expect((settled.body as Purchase).status).toBe("succeeded");
    expect(performance.now() - began).toBeGreaterThanOrEqual(1_990);
  });

  test("applies deadlines on the way: an unpaid purchase expires before the renewal", async () => {
    const sandbox = await start([seeded({}, { paymentMethod: "card_requires_approval" })]);
    const id = sandbox.ready.organizationId;
    const { body: waiting } = await buy(sandbox, id, 5);
    await advance(sandbox, { days: 120 });
    const { body: expired } = await request(sandbox, id, `/purchases/${(waiting as Purchase).id}`);
    expect(expired).toMatchObject({
      failure: { code: "payment_expired" },
      completedAt: expect.stringMatching(/^2026-11-23T12:00:/),
    });
  });

  test("handles concurrent calls one after the other, and renews each term once", async () => {
    const sandbox = await start([seeded(monthly)]);
    const answers = await Promise.all([advance(sandbox, { days: 60 }), advance(sandbox, { days: 60 })]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect(answers.map(({ body }) => body.renewals.length).sort()).toEqual([2, 2]);
    expect(answers.map(({ body }) => body.now.slice(0, 10)).sort()).toEqual(["2027-01-21", "2027-03-22"]);
  });

  test.each([
    ["25 years and a day, in days", { days: 9_133 }],
    ["more days than in 25 years", { days: 9_132 }],
    ["an instant in 25 years and a day", { to: "2051-11-23T12:00:00Z" }],
    ["a date in 25 years and a day", { to: "2051-11-23" }],
    ["the year 9000", { to: "9000-01-01" }],
  ])("rejects before anything moves: %s", async (_, body) => {
    const sandbox = await start([seeded(monthly)]);
    expect(await advance(sandbox, body)).toMatchObject({ status: 400, body: { code: "invalid_request" } });
    expect((await state(sandbox)).now).toMatch(/^2026-11-22T12:00:/);
    expect((await state(sandbox)).captures).toEqual([]);
  });

  test.each([
    [{ days: 9_131 }, /^2051-11-22T12:00:/],
    [{ to: "2051-11-22" }, /^2051-11-22T00:00:/],
  ])("advances 25 years: %s", async (body, now) => {
    const sandbox = await start([seeded({ interval: "year", intervalCount: 10 })]);
    const moved = await advance(sandbox, body);
    expect([moved.body.now, moved.body.renewals.length]).toEqual([expect.stringMatching(now), 2]);
  });

  test("advances to a renewal and makes exactly one, however far away", async () => {
    const sandbox = await start([seeded({ intervalCount: 120, anchorDate: "2026-11-22" })]);
    const to = { toRenewalOf: sandbox.ready.organizationId };
    for (const year of ["2146", "2266"]) {
      const { body } = await advance(sandbox, to);
      expect([body.now.slice(0, 10), body.renewals.length]).toEqual([`${year}-11-22`, 1]);
    }
  });

  test("lets other requests through, even while many renewals are due at the same time", async () => {
    const sandbox = await start(Array.from({ length: 12 }, () => seeded(monthly)));
    let moving = true;
    const moved = advance(sandbox, { days: 120 }).finally(() => {
      moving = false;
    });
    let asked = 0;
    for (; moving; asked += 1) {
      expect((await fetch(new URL("/healthz", sandbox.ready.url))).status).toBe(200);
      expect((await request(sandbox, sandbox.ready.organizationId, "/subscription")).status).toBe(200);
    }
    expect((await moved).body.renewals).toHaveLength(12 * 4);
    expect(asked).toBeGreaterThan(10);
  });

  test("advances 20 years quickly, on disk too", async () => {
    const folder = await mkdtemp(join(tmpdir(), "clock-"));
    const sandbox = await start([seeded(monthly)], join(folder, "data"));
    const began = performance.now();
    const { body } = await advance(sandbox, { days: 20 * 365 });
    expect(body.renewals).toHaveLength(240);
    expect(performance.now() - began).toBeLessThan(45_000);
    await rm(folder, { recursive: true });
  }, 60_000);
});

test("an oversized response contains the newest renewals, and no more are read", async () => {
  const renewals = Array.from({ length: 20_000 }, (_, index) => purchase({ id: `pur_${index}`, kind: "renewal" }));
  let read = 0;
  async function* newestFirst(all: readonly Purchase[]) {
    for (let end = all.length; end > 0; end -= 100) {
      read += 100;
      yield all.slice(Math.max(0, end - 100), end).reverse();
    }
  }
  expect(await newestRenewalsWithin(newestFirst(renewals.slice(0, 150)))).toEqual(renewals.slice(0, 150));
  read = 0;
  const newest = await newestRenewalsWithin(newestFirst(renewals));
  const bytes = JSON.stringify({ now: START, renewals: newest }).length;
  expect(bytes).toBeGreaterThan(890_000);
  expect(bytes).toBeLessThan(1_000_000);
  expect(newest).toEqual(renewals.slice(-newest.length));
  expect(read - newest.length).toBeLessThanOrEqual(100);
});

test("the provider's captures are listed in pages of a thousand, oldest first, each once", async () => {
  const outside = await openSqlite(":memory:");
  let made = 0;
  const gateway = sandboxGateway(outside, { clock: { now: () => 0 }, now: () => 0, random: randomBytes });
  const charge = async (paymentMethod: string) => {
    made += 1;
    const idempotencyKey = `k${made}`;
    const amount = { amount: made, currency: "GBP" };
    const { id } = await gateway.create({
      idempotencyKey,
      purchaseId: `pur_${made}`,
      kind: "purchase",
      organizationId: 1,
      description: "Licenses",
      customer: null,
      amount,
      paymentMethod,
    });
    await gateway.confirm(id, { idempotencyKey, paymentMethod, approvedByPerson: false, returnUrl: null });
  };
  for (let count = 0; count < 2_000; count += 1) await charge("card_ok");
  await charge("card_declined");
  const first = gateway.captures();
  const second = gateway.captures(first.next ?? expect.unreachable());
  expect([first.captures.length, second.captures.length, second.next]).toEqual([1_000, 1_000, null]);
  await charge("card_ok");
  const third = gateway.captures(gateway.captures(first.next ?? 0).next ?? expect.unreachable());
  expect([...first.captures, ...second.captures].map(({ amount }) => amount)).toEqual(
    Array.from({ length: 2_000 }, (_, index) => index + 1),
  );
  expect(third).toMatchObject({ captures: [{ amount: 2_002, purchaseId: "pur_2002" }], next: null });
  outside.close();
});
