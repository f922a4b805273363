import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { clockAnswerSchema } from "../../src/contract/sandbox.ts";
import { organization } from "../backend/support/backend.ts";
import { type RunningSandbox, startSandbox } from "../support/sandbox.ts";

const YEARS = 25;
const ORGANIZATIONS = 6;

let sandbox: RunningSandbox;
beforeAll(async () => {
  const monthly = { interval: "month", anchorDate: "2026-01-31" } as const;
  const organizations = Array.from({ length: ORGANIZATIONS }, () => {
    const made = organization();
    return { ...made, subscription: { ...made.subscription, ...monthly } };
  });
  sandbox = await startSandbox({ seed: { organizations } });
});
afterAll(() => sandbox.stop());

/** The most memory that the sandbox had, in MB. */
async function peakMemory(): Promise<number> {
  const status = await readFile(`/proc/${sandbox.ready.pid}/status`, "utf8");
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) / 1000;
}

test("25 years of monthly renewals of several organizations use little memory, and requests are answered", async () => {
  const before = await peakMemory();
  let moving = true;
  const moved = sandbox.request("POST", "//sandbox/clock", { body: { days: 9_131 } }).finally(() => {
    moving = false;
  });
  const waits: number[] = [];
  while (moving) {
    const began = performance.now();
    expect((await sandbox.request("GET", "//healthz")).status).toBe(200);
    waits.push(performance.now() - began);
  }
  const answer = clockAnswerSchema.parse((await moved).body);
  expect(answer.renewalCount ?? answer.renewals.length).toBe(ORGANIZATIONS * YEARS * 12);
  const captures = await sandbox.captures();
  expect(new Set(captures.map(({ purchaseId }) => purchaseId)).size).toBe(ORGANIZATIONS * YEARS * 12);
  expect(captures).toHaveLength(ORGANIZATIONS * YEARS * 12);
  const typical = waits.toSorted((a, b) => a - b)[Math.floor(waits.length * 0.95)];
  expect(typical).toBeLessThan(500);
  expect((await peakMemory()) - before).toBeLessThan(150);
  const shown = await sandbox.cli(1, ["sandbox", "clock", "show", "--json"]);
  expect([shown.exitCode, JSON.parse(shown.stdout).captures.length]).toEqual([0, 1_000]);
}, 240_000);
