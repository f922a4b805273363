import { describe, test } from "vitest";
import { CI_SYSTEMS } from "../../support/ciSystems.ts";
import { resultOf } from "../../support/cli.ts";
import { temporaryDirectory } from "../../support/places.ts";
import { organization, seed } from "../../support/seed.ts";
import { useSandbox } from "../../support/useSandbox.ts";

const CHARGE = 24410;
const KILLED = 137;
const POINTS = ["C1", "C2", "C3"];
const COMMANDS = ["buy 5", "top-up --available 8"];

/**
 * Where a job dies on each system, in turn with each command, for an organization of its own. It is tried again on another
 * machine and on its own, where its journal is; in half of the cases in the other order.
 */
const CASES = Object.entries(CI_SYSTEMS)
  .flatMap(([system, variables]) => POINTS.map((point) => ({ system, ...variables, point })))
  .map((how, index) => ({
    id: index + 1,
    ...how,
    command: COMMANDS[index % 2] ?? "",
    isOwnFirst: Math.floor(index / 2) % 2 === 0,
  }));

const sandbox = useSandbox({ seed: seed(...CASES.map(({ id }) => organization(id))) });

describe.concurrent("a job that is killed and retried reaches its target once", () => {
  test.for(CASES)("$system, $command, killed at $point", async (how, { expect }) => {
    const { id, env, attempt, point, command, isOwnFirst } = how;
    const args = [...command.split(" "), "--yes", "--json"];
    const killed = await sandbox.cli(id, args, { env: { ...env, SECUREFLAG_CRASH_AT: point } });
    expect(killed.exitCode, killed.stderr).toBe(KILLED);

    const [own, other] = [killed.home, await temporaryDirectory()];
    for (const home of isOwnFirst ? [own, other] : [other, own]) {
      const again = await sandbox.cli(id, args, { env: { ...env, ...attempt }, home });
      expect(again.exitCode, again.stderr).toBe(0);
      expect(resultOf(again)).toMatchObject({ licenses: { purchased: 30 } });
    }
    const purchases = await sandbox.purchases(id);
    const captures = (await sandbox.captures()).filter(({ purchaseId }) => purchaseId === purchases[0]?.id);
    expect(purchases).toMatchObject([{ status: "succeeded", licenses: 5 }]);
    expect(captures).toMatchObject([{ amount: CHARGE, refunded: 0 }]);
    expect(await sandbox.purchased(id)).toBe(30);
  });
});
