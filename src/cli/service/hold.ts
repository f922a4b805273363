import type { Command } from "commander";
import type { Context } from "../context.ts";
import { addCommand, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { awaitPrinting, printResult } from "../kit/output.ts";
import { addDatabaseFlags, givenSettings } from "./settings.ts";
import { onStore, type StoreOptions } from "./store.ts";

/** Registers `serve admin hold`. */
export function registerHold(admin: Command, context: Context, run: Run<StoreOptions> = runHold): void {
  const command = addCommand(admin, {
    name: "hold",
    description: "Put buying on hold, for example after a restore",
    examples: ["serve admin hold", "serve admin hold --json"],
  });
  registerAction(command, context, run);
}

/** Registers `serve admin release`. */
export function registerRelease(admin: Command, context: Context, run: Run<StoreOptions> = runRelease): void {
  const command = addCommand(admin, {
    name: "release",
    description: "Release the hold on buying, even if differences remain",
    examples: ["serve admin release", "serve admin release --json"],
  });
  registerAction(command, context, run);
}

function registerAction(command: Command, context: Context, run: Run<StoreOptions>): void {
  addDatabaseFlags(command).action((_flags: unknown, called: Command) => {
    const options = { ...readGlobals(called), settings: givenSettings(called, context) };
    return interruptible(context, () => run(options, context));
  });
}

/**
 * Puts buying on hold.
 *
 * @throws BackendError `settings_invalid`, `schema_mismatch`, `database_unreachable`
 */
async function runHold(options: StoreOptions, context: Context): Promise<void> {
  const { holdBuying } = await import("../../backend/service/holding.ts");
  const { since } = await onStore(options, context, (database) => holdBuying(database, "operator"));
  const result = { held: true as const, since: since === null ? null : new Date(since).toISOString() };
  const from = result.since ?? "<time>";
  const printing = printResult<"serve admin hold">(
    context,
    options,
    result,
    () => `Buying is on hold. Next, run \`secureflag-licenses serve reconcile --from ${from}\`.`,
  );
  await awaitPrinting(printing, "Buying is on hold", "See `secureflag-licenses serve reconcile --help`.");
}

/**
 * Releases the hold on buying.
 *
 * @throws BackendError `settings_invalid`, `schema_mismatch`, `database_unreachable`
 */
async function runRelease(options: StoreOptions, context: Context): Promise<void> {
  const { releaseBuying } = await import("../../backend/service/holding.ts");
  const wasHeld = await onStore(options, context, releaseBuying);
  const printing = printResult<"serve admin release">(context, options, { held: false, wasHeld }, () =>
    wasHeld ? "Buying is no longer on hold." : "Buying was not on hold.",
  );
  await awaitPrinting(printing, "Buying is no longer on hold", "Running the same command again is safe.");
}
