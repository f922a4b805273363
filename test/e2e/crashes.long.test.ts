import { join } from "node:path";
import { afterAll, describe, test } from "vitest";
import { resultOf, runCli } from "../support/cli.ts";
import { removePlaces, temporaryDirectory } from "../support/places.ts";
import { environmentFor, startSandbox } from "../support/sandbox.ts";
import { organization, seed } from "../support/seed.ts";

afterAll(removePlaces);

const POINTS = ["B0", "B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B9"];

describe.concurrent("a backend that crashes during a purchase (src/backend/README.md, Crash points)", () => {
  test.for(POINTS)("%s: one charge and its licenses", { timeout: 130_000 }, async (point, { expect }) => {
    const data = join(await temporaryDirectory(), "data");
    const content = seed(organization(1));
    const first = await startSandbox({ data, seed: content, env: { SECUREFLAG_CRASH_AT: point } });
    const port = Number(new URL(first.ready.url).port);
    const buying = first.cli(1, ["buy", "5", "--yes", "--json", "--timeout", "5"], { timeout: 100_000 });
    await first.died();
    const second = await startSandbox({ data, port, now: null });
    try {
      const run = await buying;
      expect([0, 10], run.stderr).toContain(run.exitCode);
      if (run.exitCode === 10) {
        const env = environmentFor(second.ready.url, 1);
        const again = await runCli(["buy", "5", "--yes", "--json"], { home: run.home, env });
        expect(again.exitCode, again.stderr).toBe(0);
      } else {
        expect(resultOf(run)).toMatchObject({ purchase: { status: "succeeded" }, licenses: { purchased: 30 } });
      }
      const captures = await second.captures();
      const purchases = await second.purchases(1);
      expect(captures.map(({ amount, refunded }) => [amount, refunded])).toEqual([[24410, 0]]);
      expect(purchases).toMatchObject([{ status: "succeeded", licenses: 5, id: captures[0]?.purchaseId }]);
      expect(await second.purchased(1)).toBe(30);
    } finally {
      await second.stop();
    }
  });
});
