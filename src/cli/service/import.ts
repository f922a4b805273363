import type { Command } from "commander";
import type { Context } from "../context.ts";
import { CliError } from "../errors.ts";
import { readInput } from "../files/standard.ts";
import { addCommand, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { awaitPrinting, printResult } from "../kit/output.ts";
import { clean, decodeText } from "../kit/text.ts";
import { addDatabaseFlags, addPaymentFlags, givenSettings } from "./settings.ts";
import { onStore, type StoreOptions, usualSettings } from "./store.ts";

/** Options of `serve admin import`. */
export interface ImportOptions extends StoreOptions {
  readonly path: string;
  readonly isTestMode: boolean;
}

/** Registers `serve admin import`. */
export function registerImport(admin: Command, context: Context, run: Run<ImportOptions> = runImport): void {
  const command = addCommand(admin, {
    name: "import",
    description: "Create the organizations in a seed file, all or none",
    examples: ["serve admin import organizations.json", "serve admin import seed.json --test-mode"],
  });
  addPaymentFlags(addDatabaseFlags(command))
    .argument("<file>", "seed file, in the format of `sandbox --seed`; - for stdin")
    .action((path: string, _flags: unknown, called: Command) => {
      const settings = givenSettings(called, context);
      const options = { ...readGlobals(called), settings, path, isTestMode: settings.flags["test-mode"] === true };
      return interruptible(context, () => run(options, context));
    });
}

/**
 * Creates the organizations of a seed file.
 *
 * @throws BackendError `seed_invalid`, `organization_exists`, `settings_invalid`, `schema_mismatch`, `database_unreachable`,
 *   `unavailable`; CliError `seed_invalid` if the file cannot be read
 */
async function runImport(options: ImportOptions, context: Context): Promise<void> {
  const file = { path: options.path, text: await seedText(options.path, context) };
  const { isTestMode } = options;
  const [{ readMasterKeys }, { importSeed }, { operatorProvider }] = await Promise.all([
    import("../../backend/service/settings.ts"),
    import("../../backend/service/import.ts"),
    import("../../backend/service/operatorProvider.ts"),
  ]);
  const masterKeys = await readMasterKeys(options.settings);
  const provider = await operatorProvider(await usualSettings(options, context), context.clock);
  const organizations = await onStore(options, context, (database) =>
    importSeed(database, file, { isTestMode, provider, masterKeys, random: context.random.bytes }),
  );
  const printing = printResult<"serve admin import">(context, options, { organizations }, () =>
    organizations.map(({ id, name }) => `Created ${clean(name)} (${id})`).join("\n"),
  );
  await awaitPrinting(
    printing,
    "The organizations were created",
    "Running the command again does not create them twice.",
  );
}

const MAX_BYTES = 256 * 1024 * 1024;

async function seedText(path: string, { io }: Context): Promise<string> {
  const hint = "Check the path.";
  const bytes = await readInput(
    path,
    MAX_BYTES,
    io,
    (reason, cause) => new CliError("seed_invalid", `Cannot read the seed file ${path}: ${reason}`, { hint, cause }),
  );
  return decodeText(bytes);
}
