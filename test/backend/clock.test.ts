import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { newestThatFit } from "../../src/backend/sandbox/fitting.ts";
import { type RunningSandbox, startSandbox } from "../../src/backend/sandbox/server.ts";
import type { Purchase } from "../../src/contract/billing.ts";
import { clockAnswerSchema } from "../../src/contract/sandbox.ts";
import { purchase } from "../cli/support/builders.ts";
import { organization, tokenOf } from "./support/backend.ts";

const START = "2026-11-22T12:00:00Z";
const monthly = { interval: "month", anchorDate: "2026-01-31" } as const;

/** The machine's clock runs, as in a sandbox. */
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
  const buy = async (sandbox: RunningSandbox, id: number, licenses: number) => {
    const { body: offered } = await request(sandbox, id, "/quotes", { licenses });
    return request(sandbox, id, "/purchases", { quoteId: (offered as { id: string }).id }, "k");
  };

  afterEach(async () => {
    for (const sandbox of running.splice(0)) await sandbox.close();
  });

  test("answers with the renewals on the way, settled and in order, whoever pays how", async () => {
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
    // The one that is never paid is made once; the others every month, each at the first instant of its term.
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

  test("to a renewal date, which is settled although its payment takes two seconds", async () => {
    const sandbox = await start([seeded({}, { paymentMethod: "card_processing" })]);
    const { body } = await advance(sandbox, { toRenewalOf: sandbox.ready.organizationId });
    expect(body).toMatchObject({
      now: expect.stringMatching(/^2027-03-01T00:00:0/),
      renewals: [{ kind: "renewal", status: "succeeded", licenses: 25, quoteId: null, purchasedBy: null }],
    });
    expect((await advance(sandbox, { toRenewalOf: sandbox.ready.organizationId })).body.now).toMatch(/^2028-03-01/);
  });

  test("a payment that was under way when the clock moved settles at its own time, and is renewed", async () => {
    const sandbox = await start([seeded({}, { paymentMethod: "card_processing" })]);
    const id = sandbox.ready.organizationId;
    expect((await buy(sandbox, id, 5)).status).toBe(202);
    const { body } = await advance(sandbox, { toRenewalOf: id });
    expect(body.renewals).toMatchObject([{ licenses: 30, status: "succeeded" }]);
  });

  test("a bank debit takes its two seconds where nobody moves the clock", async () => {
    const sandbox = await start([seeded({}, { paymentMethod: "card_processing" })]);
    const id = sandbox.ready.organizationId;
    const began = performance.now();
    const { body } = await buy(sandbox, id, 5);
    const settled = await request(sandbox, id, `/purchases/${(body as Purchase).id}?wait=20`);
    expect((settled.body as Purchase).status).toBe("succeeded");
    expect(performance.now() - began).toBeGreaterThanOrEqual(1_990);
  });

  test("waits happen on the way too: what nobody paid expires before its renewal", async () => {
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

  test("two who move it at once go one after the other, and every term is renewed once", async () => {
    const sandbox = await start([seeded(monthly)]);
    const answers = await Promise.all([advance(sandbox, { days: 60 }), advance(sandbox, { days: 60 })]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect(answers.map(({ body }) => body.renewals.length).sort()).toEqual([2, 2]);
    expect(answers.map(({ body }) => body.now.slice(0, 10)).sort()).toEqual(["2027-01-21", "2027-03-22"]);
  });

  test("20 years are quick, on disk too", async () => {
    const folder = await mkdtemp(join(tmpdir(), "clock-"));
    const sandbox = await start([seeded(monthly)], join(folder, "data"));
    const began = performance.now();
    const { body } = await advance(sandbox, { days: 20 * 365 });
    expect(body.renewals).toHaveLength(240);
    expect(performance.now() - began).toBeLessThan(10_000);
    await rm(folder, { recursive: true });
  });
});

test("an answer that would be too long for a client has the newest renewals, and says how many there were", () => {
  const renewals = Array.from({ length: 2_000 }, (_, index) => purchase({ id: `pur_${index}`, kind: "renewal" }));
  expect(newestThatFit(renewals.slice(0, 100))).toEqual({ renewals: renewals.slice(0, 100) });
  const answer = newestThatFit(renewals);
  const bytes = JSON.stringify({ now: START, ...answer }).length;
  expect(bytes).toBeGreaterThan(890_000);
  expect(bytes).toBeLessThan(1_000_000);
  expect(answer.renewalCount).toBe(2_000);
  expect(answer.renewals).toEqual(renewals.slice(-answer.renewals.length));
});
