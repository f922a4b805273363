import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { errorOf, type RunResult, runCli } from "../support/cli.ts";
import { type Fault, FaultProxy } from "../support/faultProxy.ts";
import { removePlaces, temporaryDirectory } from "../support/places.ts";
import { environmentFor, type RunningSandbox, startSandbox } from "../support/sandbox.ts";
import { organization, seed } from "../support/seed.ts";

// Most of the time is spent waiting for what was broken on purpose.
vi.setConfig({ maxConcurrency: 12 });

const FAULTS: Readonly<Record<string, Fault>> = {
  "dropped before": { kind: "drop", when: "before" },
  "dropped after": { kind: "drop", when: "after" },
  "reset before": { kind: "reset", when: "before" },
  "reset after": { kind: "reset", when: "after" },
  "cut in the middle": { kind: "cut" },
  "one byte a second": { kind: "trickle" },
  "late before": { kind: "delay", when: "before", ms: 1500 },
  "late after": { kind: "delay", when: "after", ms: 1500 },
  "429": { kind: "status", when: "before", status: 429 },
  "429 with Retry-After": { kind: "status", when: "before", status: 429, retryAfter: "1" },
  "500 before": { kind: "status", when: "before", status: 500 },
  "500 after": { kind: "status", when: "after", status: 500 },
  "502 after": { kind: "status", when: "after", status: 502 },
  "503 before with Retry-After": { kind: "status", when: "before", status: 503, retryAfter: "1" },
  "503 after": { kind: "status", when: "after", status: 503 },
  "a page before": { kind: "html", when: "before" },
  "a page after": { kind: "html", when: "after" },
};

const CALLS = [
  ["GET", "subscription"],
  ["POST", "quotes"],
  ["POST", "purchases"],
] as const;

interface Case {
  readonly name: string;
  readonly id: number;
  readonly method: string;
  readonly path: RegExp;
  readonly fault: Fault;
  readonly always: boolean;
}

/** Once: the first request of each call, every fault. Always: the purchase never gets a good answer. */
function cases(): Case[] {
  let id = 0;
  const grid = (calls: readonly (readonly [string, string])[], always: boolean) =>
    calls.flatMap(([method, call]) =>
      Object.entries(FAULTS).map(([name, fault]): Case => {
        id += 1;
        const path = new RegExp(`/organizations/${id}/${call}$`);
        return { name: `${method} ${call}: ${name}${always ? ", always" : ""}`, id, method, path, fault, always };
      }),
    );
  return [...grid(CALLS, false), ...grid([["POST", "purchases"]], true)];
}

const CASES = cases();
const BLIND = CASES.length + 1;

let sandbox: RunningSandbox;
let proxy: FaultProxy;

beforeAll(async () => {
  const ids = [...CASES.map(({ id }) => id), BLIND];
  sandbox = await startSandbox({ seed: seed(...ids.map((id) => organization(id))) });
  proxy = await FaultProxy.start(sandbox.ready.url);
});

afterAll(async () => {
  await proxy?.close();
  await sandbox?.stop();
  await removePlaces();
});

function buy(id: number, home: string): Promise<RunResult> {
  const args = ["buy", "5", "--yes", "--json", "--timeout", "1"];
  return runCli(args, { home, env: environmentFor(proxy.url, id), timeout: 130_000 });
}

/** What became of an organization: its licenses, and what was captured for it. */
async function truth(id: number): Promise<{ purchased: number; charges: number[] }> {
  const [purchased, purchases, captures] = await Promise.all([
    sandbox.purchased(id),
    sandbox.purchases(id),
    sandbox.captures(),
  ]);
  const own = new Set(purchases.map((purchase) => purchase.id));
  const charges = captures.filter(({ purchaseId }) => own.has(purchaseId)).map(({ amount }) => amount);
  return { purchased, charges };
}

const ONCE = { purchased: 30, charges: [24410] };
const NEVER = { purchased: 25, charges: [] };

describe.concurrent("every fault in every call of buy: at most one charge, and a correct result", () => {
  test.for(CASES)("$name", { timeout: 240_000 }, async ({ id, method, path, fault, always }, { expect }) => {
    const home = await temporaryDirectory();
    proxy.inject({ method, path, fault, ...(always ? {} : { nth: 1 }) });
    const run = await buy(id, home);
    const after = await truth(id);
    expect([0, 1, 10], run.stderr).toContain(run.exitCode);
    if (run.exitCode === 0) {
      expect(after).toEqual(ONCE);
      expect(JSON.parse(run.stdout)).toMatchObject({
        purchase: { status: "succeeded" },
        licenses: { purchased: 30 },
      });
      return;
    }
    // Exit 1 is for an answer to a read that makes no sense, never for a purchase.
    if (run.exitCode === 1)
      expect([fault.kind, method === "GET" || path.source.includes("quotes")]).toEqual(["html", true]);
    else expect(JSON.parse(run.stderr)).toMatchObject({ error: { exitCode: 10 } });
    expect([NEVER, ONCE]).toContainEqual(after);
    if (run.exitCode === 1) expect(after).toEqual(NEVER);
    proxy.heal(path);
    const again = await buy(id, home);
    expect({ exitCode: again.exitCode, stderr: again.stderr }).toEqual({ exitCode: 0, stderr: expect.any(String) });
    expect(await truth(id)).toEqual(ONCE);
    if (after.purchased === 30) expect(JSON.parse(again.stdout)).toMatchObject({ replayed: true });
  });

  test("no response after the purchase was sent: exits with 10, then the same command shows it as replayed", async ({
    expect,
  }) => {
    const home = await temporaryDirectory();
    const everything = new RegExp(`/organizations/${BLIND}/purchases`);
    proxy.inject({ method: "POST", path: everything, fault: { kind: "drop", when: "after" } });
    proxy.inject({ method: "GET", path: everything, fault: { kind: "drop", when: "before" } });
    const run = await buy(BLIND, home);
    expect(run).toMatchObject({ exitCode: 10, stdout: "" });
    const { code, message, hint } = errorOf(run);
    expect(code).toBe("outcome_unknown");
    expect(`${message} ${hint}`).toMatch(/again.*safe|safe.*again/);
    expect(await truth(BLIND)).toEqual(ONCE);
    const keys = new Set(proxy.seen("POST", everything).map(({ headers }) => headers["idempotency-key"]));
    expect(keys.size).toBe(1);
    proxy.heal(everything);
    const again = await buy(BLIND, home);
    expect(again.exitCode).toBe(0);
    expect(JSON.parse(again.stdout)).toMatchObject({ replayed: true, purchase: { status: "succeeded" } });
    expect(await truth(BLIND)).toEqual(ONCE);
  }, 240_000);
});

test("afterwards the provider's captures match the successful purchases, one each", async () => {
  const captures = await sandbox.captures();
  expect(new Set(captures.map(({ purchaseId }) => purchaseId)).size).toBe(captures.length);
  const lists = await Promise.all([...CASES.map(({ id }) => id), BLIND].map((id) => sandbox.purchases(id)));
  const succeeded = lists.flat().filter(({ status }) => status === "succeeded");
  expect(captures.map(({ purchaseId }) => purchaseId).sort()).toEqual(succeeded.map(({ id }) => id).sort());
});
