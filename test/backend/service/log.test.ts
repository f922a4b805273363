import { randomBytes } from "node:crypto";
import { afterEach, describe, expect, test } from "vitest";
import { buildApp } from "../../../src/backend/app.ts";
import { passwords } from "../../../src/backend/identity/secrets.ts";
import {
  createLog,
  LOG_LEVELS,
  type LogEntry,
  type LogLevel,
  lineLog,
  logRequests,
} from "../../../src/backend/service/log.ts";
import { call, NOON, organization, startBackend, type TestBackend, tokenOf } from "../support/backend.ts";

function capture(level: LogLevel = "debug") {
  const lines: string[] = [];
  const log = createLog({ level, instance: "i-1", now: () => NOON, write: (line) => lines.push(line) });
  return { lines, log, entries: () => lines.map((line) => JSON.parse(line)) };
}

describe("an entry", () => {
  test("is one line of JSON with the fields of the list, and no other", () => {
    const { log, lines } = capture();
    const entry = {
      ...{ level: "info", msg: "two\nlines", requestId: "req_1", purchaseId: "pur_1", organizationId: 4242 },
      ...{ operation: "me", status: 200, ms: 3, code: "internal", stack: "Error", email: "ada@example.com", body: {} },
    } as LogEntry;
    log(entry);
    expect(lines).toEqual([
      `{"time":"${new Date(NOON).toISOString()}","level":"info","msg":"two\\nlines","instance":"i-1","requestId":"req_1",` +
        '"purchaseId":"pur_1","organizationId":4242,"operation":"me","status":200,"ms":3,"code":"internal","stack":"Error"}\n',
    ]);
  });

  test.each(LOG_LEVELS.map((level, index) => [level, LOG_LEVELS.slice(0, index + 1)] as const))(
    "at the level %s: those of %j",
    (level, written) => {
      const { log, entries } = capture(level);
      for (const each of LOG_LEVELS) log({ level: each, msg: "" });
      expect(entries().map((entry) => entry.level)).toEqual(written);
    },
  );
});

describe("a message", () => {
  test.each([
    ["bought by ada.lovelace+ci@mail.example.co.uk", "bought by [email]"],
    ["kept for jürgen@bücher.example", "kept for [email]"],
    ["Authorization: Bearer abc.def", "Authorization: Bearer [token]"],
    ["the token sfl_test_5001, twice", "the token [token], twice"],
    ["the key sk_live_abc", "the key [token]"],
    ["postgresql://billing:hunter2@db.example:5432/x refused", "[address] refused"],
    ["connect ECONNREFUSED 10.1.2.3:5432", "connect ECONNREFUSED [address]:5432"],
    ["from 2001:db8::7 and ::1", "from [address] and [address]"],
    ["connect ECONNREFUSED ::1:", "connect ECONNREFUSED [address]"],
    ["refresh oKz9cX0hZk3vVY1mTq7dFw2b", "refresh [redacted]"],
    [
      "/pay/pur_5001_0123456789abcdef01234567/oKz9cX0hZk3vVY1mTq7dFw2b",
      "/pay/pur_5001_0123456789abcdef01234567/[redacted]",
    ],
    ["at 12:34:56 of src/x.ts:10:20", "at 12:34:56 of src/x.ts:10:20"],
    ["connection terminated unexpectedly", "connection terminated unexpectedly"],
  ])("%s → %s", (msg, written) => {
    const { log, entries } = capture();
    log({ level: "info", msg });
    expect(entries()[0].msg).toBe(written);
  });

  test("is cut at 1,000 characters", () => {
    const { log, entries } = capture();
    log({ level: "info", msg: "a ".repeat(2_000) });
    expect(entries()[0].msg).toHaveLength(1_000);
  });
});

const SECRETS = ["sfl_live_secret", "ada@example.com", "203.0.113.9", "hunter2", "1 Secret Street"];

describe("a line of the backend", () => {
  test("gives its IDs as fields", () => {
    const { log, entries } = capture();
    lineLog(log)("purchase pur_5_ab needs review");
    lineLog(log)("renewal of organization 42", new RangeError("no"));
    expect(entries()).toMatchObject([
      { level: "warn", msg: "purchase pur_5_ab needs review", purchaseId: "pur_5_ab" },
      {
        level: "error",
        msg: "renewal of organization 42",
        organizationId: 42,
        stack: expect.stringMatching(/^RangeError\n/),
      },
    ]);
  });

  test("has the code and the frames of an error, never its message", () => {
    const { log, entries, lines } = capture();
    const message = `${SECRETS.join(" ")}\n    at ${SECRETS[0]} (file:1:1)`;
    const error = Object.assign(new TypeError(message), { code: "23505", detail: SECRETS[1] });
    lineLog(log)("sweep", error);
    for (const secret of SECRETS) expect(lines.join("")).not.toContain(secret);
    const [{ code, stack }] = entries();
    expect(code).toBe("23505");
    expect(stack).toMatch(/^TypeError\n {4}at /);
    expect(stack).toContain("log.test.ts");
  });

  test.each([
    ["req_8AbC9", "req_8AbC9"],
    ["req_1 of ada@example.com", undefined],
    [7, undefined],
  ])("has Stripe's ID of the request that failed: %j", (requestId, written) => {
    const { log, entries } = capture();
    lineLog(log)("sweep", new Error("x", { cause: Object.assign(new Error("y"), { requestId }) }));
    expect(entries()[0].stripeRequestId).toBe(written);
  });

  test.each([["a text"], [null], [{ code: "x" }]])("takes what was thrown and is no error: %j", (thrown) => {
    const { log, entries } = capture();
    lineLog(log)("sweep", thrown);
    expect(entries()).toEqual([{ time: expect.any(String), level: "error", msg: "sweep", instance: "i-1" }]);
  });
});

/** A clock that is 7 milliseconds further at each look. */
function ticking(): () => number {
  let now = 0;
  return () => {
    now += 7;
    return now;
  };
}

describe("requests", () => {
  let backend: TestBackend;

  afterEach(() => backend.close());

  test("are one line each, with IDs and codes, and never what a caller sent", async () => {
    backend = await startBackend();
    const made = organization();
    await backend.addOrganization(made);
    const { log, entries, lines } = capture("info");
    logRequests(backend.app, log, ticking());
    const token = tokenOf(made.id);
    await call(backend, "GET", "/healthz", { atRoot: true });
    await call(backend, "GET", `/organizations/${made.id}/subscription?email=ada@example.com`, { token });
    await call(backend, "GET", `/organizations/${made.id}/purchases/pur_1`, { token });
    await call(backend, "GET", `/organizations/${made.id}/purchases/ada@example.com`, { token: "sfl_wrong" });
    await call(backend, "GET", "/nothing/ada@example.com", { token });
    await expect.poll(() => lines.length).toBe(4);
    const fields = { level: "info", msg: "request", requestId: expect.stringMatching(/^req_/), ms: 7 };
    const organizationId = made.id;
    expect(entries()).toMatchObject([
      { ...fields, operation: "getSubscription", status: 200, organizationId },
      { ...fields, operation: "getPurchase", status: 404, organizationId, purchaseId: "pur_1", code: "not_found" },
      { ...fields, operation: "getPurchase", status: 401, organizationId, code: "unauthenticated" },
      { ...fields, operation: "none", status: 404 },
    ]);
    for (const secret of ["ada@", "sfl_", token]) expect(lines.join("")).not.toContain(secret);
  });

  test("that fail are found by their ID, without what the error said", async () => {
    backend = await startBackend();
    const { log, entries, lines } = capture();
    const signIn = { passwords: passwords(randomBytes), passwordHashOf: async () => null };
    const app = buildApp({ ...backend.deps, log: lineLog(log) }, { signIn });
    logRequests(app, log, ticking());
    app.get("/fails", async () => {
      throw Object.assign(new TypeError(SECRETS.join(" ")), { code: "22P02" });
    });
    const answer = await call({ app }, "GET", "/fails", { atRoot: true });
    expect(answer.status).toBe(500);
    await expect.poll(() => lines.length).toBe(2);
    const requestId = answer.body.requestId;
    expect(entries()).toMatchObject([
      { level: "error", requestId, code: "22P02", stack: expect.stringMatching(/^TypeError\n {4}at /) },
      { level: "info", requestId, status: 500, code: "22P02" },
    ]);
    for (const secret of SECRETS) expect(lines.join("")).not.toContain(secret);
  });
});
