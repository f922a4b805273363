import type { Command } from "commander";
import type { GlobalOptions } from "./globals.ts";
import { wholeNumber } from "./values.ts";

const LONGEST_WAIT_SECONDS = 86_400;

/** What a command that may wait for a person at the payment page was told. */
export interface WaitOptions extends GlobalOptions {
  /** `null` is 300 s where a prompt could appear, else 0. */
  readonly waitSeconds: number | null;
  /** False with `--no-open`: the payment page is not opened in a browser. */
  readonly open: boolean;
}

/** The flags as commander gives them. */
export interface WaitFlags {
  readonly wait?: number;
  readonly open: boolean;
}

/** Adds `--wait` and `--no-open`. */
export function addWaitOptions(command: Command): Command {
  return command
    .option(
      "--wait <seconds>",
      "for a person at the payment page (default: 300 in a terminal, else 0)",
      wholeNumber(0, LONGEST_WAIT_SECONDS),
    )
    .option("--no-open", "do not open the payment page in a browser");
}

/** Reads `--wait` and `--no-open`. */
export function readWait({ wait, open }: WaitFlags): Pick<WaitOptions, "waitSeconds" | "open"> {
  return { waitSeconds: wait ?? null, open };
}
