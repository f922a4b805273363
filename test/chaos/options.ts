import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";

/** How long to kill at random, and the seed of the random choices. */
export interface ChaosOptions {
  readonly seconds: number;
  readonly seed: number;
}

/** Reads `--for <duration>` (60s by default) and `--seed <n>` (a random one by default). */
export function readOptions(): ChaosOptions {
  const { values } = parseArgs({ options: { for: { type: "string", default: "60s" }, seed: { type: "string" } } });
  return {
    seconds: secondsOf(values.for),
    seed: values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed),
  };
}

function secondsOf(text: string): number {
  const match = /^(\d+)(s|m|h)$/.exec(text);
  if (!match) throw new TypeError(`--for requires a duration such as 90s, 30m or 2h, not ${text}`);
  return Number(match[1]) * { s: 1, m: 60, h: 3600 }[match[2] as "s" | "m" | "h"];
}
