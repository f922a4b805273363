import { join } from "node:path";
import { runCli } from "../support/cli.ts";
import { prepareFourEyes, SECOND, signInTo, startAgain } from "../support/fourEyes.ts";
import { temporaryDirectory } from "../support/places.ts";
import type { RunningSandbox } from "../support/sandbox.ts";
import { waitFor } from "../support/wait.ts";
import { checkInvariants, type Tally } from "./ledger.ts";

const BUY = ["buy", "5", "--yes", "--json", "--timeout", "5"];

/** The exit code of a purchase that waits. */
const WAITS = 8;

/** Where the backend crashes while a purchase is accepted that waits, approved and charged, or rejected. */
const WHILE = {
  buying: ["B0", "B1", "B9"],
  approving: ["B18", "B2", "B7", "B9"],
  rejecting: ["B2"],
} as const;

/** Kills the backend while a purchase waits for another administrator: it is charged once, and only if they approved it. */
export async function killWhileAdministratorsDecide(tally: Tally): Promise<void> {
  // A code works once, so everything goes on from one sign-in.
  const data = join(await temporaryDirectory(), "data");
  await prepareFourEyes(data);
  let sandbox = await startAgain(data);
  const port = Number(new URL(sandbox.ready.url).port);
  const home = await signInTo(sandbox, SECOND);
  let bought = 0;
  const crash = async (point: string, act: () => Promise<unknown>) => {
    await sandbox.stop();
    sandbox = await startAgain(data, { port, env: { SECUREFLAG_CRASH_AT: point } });
    // The crash cuts the answer.
    const acting = act().catch(() => null);
    await sandbox.died();
    tally.kills += 1;
    sandbox = await startAgain(data, { port });
    await acting;
  };
  const decide = (...words: string[]) => runCli([...words, "--yes", "--json", "--timeout", "5"], { home });
  const waitingId = async () => {
    const id = (await sandbox.purchases(1)).find(({ status }) => status === "requires_approval")?.id;
    if (id === undefined) throw new TypeError("no purchase waits");
    return id;
  };
  const isCharged = async () => {
    await waitFor(async () => (await sandbox.purchased(1)) === 25 + 5 * bought, 20_000, "the licenses");
    await checkInvariants(sandbox, 1, 25, tally);
  };
  try {
    for (const point of WHILE.buying) {
      const buyer = await temporaryDirectory();
      await crash(point, () => sandbox.cli(1, BUY, { home: buyer, timeout: 150_000 }));
      const again = await sandbox.cli(1, BUY, { home: buyer });
      tally.expect(again.exitCode === WAITS, `${point}, buying: ended ${again.exitCode} ${again.stderr}`);
      await expectWaiting(`${point}, buying`, sandbox, tally);
      const approved = await decide("purchases", "approve", await waitingId());
      tally.expect(
        approved.exitCode === 0,
        `${point}, buying: approving ended ${approved.exitCode} ${approved.stderr}`,
      );
      bought += 1;
      await isCharged();
    }
    for (const point of WHILE.approving) {
      await sandbox.cli(1, BUY);
      const id = await waitingId();
      await crash(point, () => decide("purchases", "approve", id));
      const again = await decide("purchases", "approve", id);
      tally.expect(again.exitCode === 0, `${point}, approving: ended ${again.exitCode} ${again.stderr}`);
      bought += 1;
      await isCharged();
    }
    for (const point of WHILE.rejecting) {
      await sandbox.cli(1, BUY);
      const id = await waitingId();
      await crash(point, () => decide("purchases", "reject", id, "--reason", "Too many"));
      const again = await decide("purchases", "reject", id, "--reason", "Too many");
      tally.expect(again.exitCode === 0, `${point}, rejecting: ended ${again.exitCode} ${again.stderr}`);
      await isCharged();
    }
  } finally {
    await sandbox.stop();
  }
}

async function expectWaiting(where: string, sandbox: RunningSandbox, tally: Tally): Promise<void> {
  const waiting = (await sandbox.purchases(1)).filter(({ status }) => status === "requires_approval");
  tally.expect(waiting.length === 1, `${where}: ${waiting.length} purchases wait where one was meant`);
}
