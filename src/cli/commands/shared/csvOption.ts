import { Option } from "commander";
import { usageError } from "../../errors.ts";
import type { GlobalOptions } from "./globals.ts";

/** The flag of a list that can be printed as CSV. */
export function csvOption(description: string): Option {
  return new Option("--csv", description);
}

/**
 * Reads that flag.
 *
 * @throws CliError `invalid_usage` where JSON is to be printed, too
 */
export function readCsv({ csv = false }: { readonly csv?: boolean }, { json }: Pick<GlobalOptions, "json">): boolean {
  if (csv && json) throw usageError("--csv and --json cannot both be printed", "Say one of them.");
  return csv;
}
