import { randomBytes } from "node:crypto";
import { afterEach, describe, expect, test } from "vitest";
import { buildApp } from "../../../src/backend/app.ts";
import { schemaState } from "../../../src/backend/database/migrations/index.ts";
import { passwords } from "../../../src/backend/identity/secrets.ts";
import { CLOCK_STALE_MS, createReadiness } from "../../../src/backend/service/readiness.ts";
import { call, startBackend, type TestBackend } from "../support/backend.ts";

let backend: TestBackend;

afterEach(() => backend.close());

/** Starts a backend whose readiness a test decides. */
async function startReady() {
  backend = await startBackend("sqlite");
  const state = { isDraining: false, clockAge: 0, schema: async () => true };
  const { deps } = backend;
  const isReady = createReadiness(deps, {
    isDraining: () => state.isDraining,
    clockAge: () => state.clockAge,
    isSchemaKnown: () => state.schema(),
  });
  const signIn = { passwords: passwords(randomBytes), passwordHashOf: async () => null };
  const app = buildApp(deps, { signIn, isReady });
  return { state, app };
}

describe("readiness", () => {
  test("of an instance that can serve", async () => {
    const { app, state } = await startReady();
    state.schema = async () => {
      const { pending, unknown } = await schemaState(backend.deps.database, { dialect: "sqlite" });
      return pending.length + unknown.length === 0;
    };
    state.clockAge = CLOCK_STALE_MS - 1;
    const answer = await call({ app }, "GET", "/readyz", { atRoot: true });
    expect(answer).toMatchObject({ status: 200, body: { status: "ready" } });
    expect(backend.log).toEqual([]);
  });

  test.each<[string, Partial<Awaited<ReturnType<typeof startReady>>["state"]>]>([
    ["draining", { isDraining: true }],
    ["the database clock was not measured for 5 minutes", { clockAge: CLOCK_STALE_MS }],
    ["the database schema is from another version", { schema: async () => false }],
    ["the database is not responding", { schema: () => Promise.reject(new TypeError("connection lost")) }],
    ["the database is not responding", { schema: () => new Promise(() => {}) }],
  ])("ends for one reason: %s", async (reason, change) => {
    const { app, state } = await startReady();
    const before = { ...state };
    Object.assign(state, change);
    for (let probe = 0; probe < 2; probe += 1) {
      const answer = await call({ app }, "GET", "/readyz", { atRoot: true });
      expect(answer).toMatchObject({ status: 503, body: { code: "unavailable" }, headers: { "retry-after": "5" } });
    }
    expect((await call({ app }, "GET", "/healthz", { atRoot: true })).status).toBe(200);
    Object.assign(state, before);
    expect((await call({ app }, "GET", "/readyz", { atRoot: true })).status).toBe(200);
    expect(backend.log).toEqual([`not ready: ${reason}`, "ready again"]);
  });
});
