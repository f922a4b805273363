import type { Command } from "commander";
import { trustSystemEverywhere } from "../../client/systemCertificates.ts";
import type { Context } from "../context.ts";
import { addCommand, type GlobalOptions, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { endSignal, refuseUnknown } from "../kit/foreground.ts";
import { printResult } from "../kit/output.ts";
import { cleanWhole } from "../kit/text.ts";
import { registerAdmin } from "./admin.ts";
import { runCheck } from "./check.ts";
import { type MigrateOptions, registerMigrate, runMigrate } from "./migrate.ts";
import { registerReconcile } from "./reconcile.ts";
import { addServiceFlags, type GivenSettings, givenSettings } from "./settings.ts";

/** Options of `serve` and `serve check`. */
export interface ServeOptions extends GlobalOptions {
  readonly settings: GivenSettings;
}

/** The functions that run the commands of the group. */
export interface ServeRuns {
  readonly serve: Run<ServeOptions>;
  readonly check: Run<ServeOptions>;
  readonly migrate: Run<MigrateOptions>;
}

/** Registers `serve`, `serve migrate | check | reconcile` and `serve admin`. */
export function register(program: Command, context: Context, runs: ServeRuns = RUNS): void {
  const serve = addCommand(program, {
    name: "serve",
    examples: [
      "serve --public-url https://billing.example.com --trust-proxy 10.0.0.0/8",
      "serve --payments sandbox --test-mode --public-url http://127.0.0.1:8080",
    ],
  });
  registerMigrate(serve, context, runs.migrate);
  const check = addCommand(serve, {
    name: "check",
    description: "Check the settings, the database and the payment provider of the service",
    examples: ["serve check", "serve check --payments sandbox --test-mode --json"],
  });
  addServiceFlags(check).action((_flags: unknown, command: Command) =>
    interruptible(context, () => runs.check(optionsOf(command, context), context)),
  );
  registerReconcile(serve, context);
  registerAdmin(serve, context);
  // Registered last: subcommands would inherit `allowExcessArguments`.
  addServiceFlags(serve)
    .allowExcessArguments()
    .action((_flags: unknown, command: Command) => {
      if (command.args.length > 0) refuseUnknown(command);
      // Not interruptible: the service handles the signals itself.
      return runs.serve(optionsOf(command, context), context);
    });
}

function optionsOf(command: Command, context: Context): ServeOptions {
  return { ...readGlobals(command), settings: givenSettings(command, context) };
}

const RUNS: ServeRuns = { serve: runServe, check: runCheck, migrate: runMigrate };

/**
 * Runs the service until SIGINT or SIGTERM, which exits with 0. A second signal ends it at once.
 *
 * @throws BackendError `settings_invalid`, `schema_mismatch`, `database_unreachable`, `port_in_use`
 */
export async function runServe(options: ServeOptions, context: Context): Promise<void> {
  const ended = endSignal(context);
  const [{ readServiceSettings }, { startService }] = await Promise.all([
    import("../../backend/service/settings.ts"),
    import("../../backend/service/server.ts"),
  ]);
  await trustSystemEverywhere();
  const settings = await readServiceSettings(options.settings);
  const service = await startService(settings, {
    now: context.clock.now,
    monotonic: context.clock.monotonic,
    random: context.random.bytes,
    pid: context.pid,
    reach: context.reach,
    log: (line) => context.io.note(`${cleanWhole(line.trimEnd())}\n`, true),
    version: context.version,
  });
  try {
    const { ready } = service;
    await printResult<"serve">(context, options, ready, () => `Listening on ${ready.url} as ${ready.instance}`);
    await ended;
  } finally {
    // A pending call to the payment provider would keep the process alive.
    context.leavesWork = !(await service.close());
  }
}
