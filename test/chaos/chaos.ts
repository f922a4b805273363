/**
 * Kills the program and its backend again and again, and checks that nobody paid twice or for nothing
 * (src/backend/README.md, Invariants). `npm run chaos -- [--for 30m] [--seed 7]` exits 1 if an invariant is violated.
 */
import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { removePlaces } from "../support/places.ts";
import { Tally } from "./ledger.ts";
import { killWhilePersonsPay } from "./pagePoints.ts";
import { killAtEveryPoint } from "./points.ts";
import { killWhileRenewing, renewalStorm } from "./renewalPoints.ts";
import { storm } from "./storm.ts";

const { values } = parseArgs({ options: { for: { type: "string", default: "60s" }, seed: { type: "string" } } });
const seconds = secondsOf(values.for);
const seed = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed);
const tally = new Tally();

console.log(
  `Chaos with seed ${seed}: every crash point, then ${seconds} s of random kills and faults, and a quarter of that while years go by.`,
);
try {
  await killAtEveryPoint(tally);
  await killWhilePersonsPay(tally);
  await killWhileRenewing(tally);
  console.log(`Crash points: ${tally.kills} kills, ${tally.violations.length} violations.`);
  await storm(seconds, seed, tally);
  await renewalStorm(seconds / 4, seed, tally);
} finally {
  await removePlaces();
}
for (const violation of tally.violations) console.error(`VIOLATION ${violation}`);
const { purchases, renewals, refunds, clicks, kills, faults, violations } = tally;
console.log(
  `${purchases} purchases, ${renewals} renewals, ${refunds} refunds, ${clicks} acts of persons, ${kills} kills, ${faults} faults: ` +
    `${violations.length} violations (seed ${seed}).`,
);
process.exitCode = violations.length === 0 ? 0 : 1;

function secondsOf(text: string): number {
  const match = /^(\d+)(s|m|h)$/.exec(text);
  if (!match) throw new TypeError(`--for requires a duration such as 90s, 30m or 2h, not ${text}`);
  return Number(match[1]) * { s: 1, m: 60, h: 3600 }[match[2] as "s" | "m" | "h"];
}
