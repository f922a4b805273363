import type { Command } from "commander";
import type { Context } from "../context.ts";
import { addCommand, type GlobalOptions, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { note, printResult } from "../kit/output.ts";
import { someText } from "../kit/values.ts";
import { addDatabaseFlags, type GivenSettings, givenSettings } from "./settings.ts";

/** Options of `serve migrate`. */
export interface MigrateOptions extends GlobalOptions {
  readonly settings: GivenSettings;
  readonly plan: boolean;
  readonly serviceRole: string | null;
}

/** Registers `serve migrate`. */
export function registerMigrate(serve: Command, context: Context, run: Run<MigrateOptions>): void {
  const migrate = addCommand(serve, {
    name: "migrate",
    description: "Migrate the database to the schema of this version",
    examples: ["serve migrate --plan", "serve migrate --service-role billing"],
  });
  addDatabaseFlags(migrate)
    .option("--plan", "list the migrations without applying them")
    .option("--service-role <name>", "role to grant the privileges that the service needs", someText)
    .action((flags: { plan?: boolean; serviceRole?: string }, command: Command) => {
      const { plan = false, serviceRole = null } = flags;
      const options = { ...readGlobals(command), settings: givenSettings(command, context), plan, serviceRole };
      return interruptible(context, () => run(options, context));
    });
}

/**
 * Migrates the database of the service, or lists the pending migrations. Safe to repeat.
 *
 * @throws BackendError `settings_invalid`, `schema_mismatch`, `database_busy`, `database_unreachable`
 */
export async function runMigrate(options: MigrateOptions, context: Context): Promise<void> {
  const { plan, serviceRole } = options;
  const [{ readDatabaseSettings }, { migrateService }] = await Promise.all([
    import("../../backend/service/settings.ts"),
    import("../../backend/service/migrate.ts"),
  ]);
  const settings = await readDatabaseSettings(options.settings);
  const log = (line: string) => note(context, options, line);
  const migrations = [...(await migrateService(settings, { isPlan: plan, serviceRole }, log))];
  await printResult<"serve migrate">(context, options, { migrations, plan }, () => renderMigrations(migrations, plan));
}

/** Renders the migrations, one per line. */
function renderMigrations(migrations: readonly string[], isPlan: boolean): string {
  if (migrations.length === 0) return "The schema is up to date.";
  return [isPlan ? "Pending:" : "Applied:", ...migrations.map((name) => `  ${name}`)].join("\n");
}
