/**
 * Kills the program and its backend again and again, and checks that nobody paid twice or for nothing
 * (src/backend/README.md, Invariants). `npm run chaos -- [--for 30m] [--seed 7]` exits 1 if an invariant is violated.
 */
import { removePlaces } from "../support/places.ts";
import { killWhileAdministratorsDecide } from "./approvalPoints.ts";
import { Tally } from "./ledger.ts";
import { readOptions } from "./options.ts";
import { killWhilePersonsPay } from "./pagePoints.ts";
import { killAtEveryPoint } from "./points.ts";
import { killWhileRenewing, renewalStorm } from "./renewalPoints.ts";
import { storm } from "./storm.ts";

const { seconds, seed } = readOptions();
const tally = new Tally();

console.log(
  `Chaos with seed ${seed}: every crash point, then ${seconds} s of random kills and faults, and a quarter of that while years go by.`,
);
try {
  await killAtEveryPoint(tally);
  await killWhilePersonsPay(tally);
  await killWhileAdministratorsDecide(tally);
  await killWhileRenewing(tally);
  console.log(`Crash points: ${tally.kills} kills, ${tally.violations.length} violations.`);
  await storm(seconds, seed, tally);
  await renewalStorm(seconds / 4, seed, tally);
} finally {
  await removePlaces();
}
for (const violation of tally.violations) console.error(`VIOLATION ${violation}`);
tally.report(seed);
