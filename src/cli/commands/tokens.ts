import { Argument, type Command, Option } from "commander";
import { SCOPES, type Scope, TOKEN_DAYS } from "../../contract/scopes.ts";
import type { Context } from "../context.ts";
import { addCommand } from "./shared/command.ts";
import { interruptible, type Run } from "./shared/execute.ts";
import { type GlobalOptions, readGlobals } from "./shared/globals.ts";
import { readTotp, totpOption } from "./shared/oneTimeCode.ts";
import { lifetimeDays, monthlyAmount, monthlyLicenses, scopeList, shortText, trimmedText } from "./shared/values.ts";

/** What `tokens create` was told. */
export interface CreateOptions extends GlobalOptions {
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly expiresInDays: number;
  /** In major units of the subscription's currency, `500` or `500.00`. */
  readonly maxSpend: string | null;
  readonly maxLicenses: number | null;
  readonly totp: string | null;
  readonly dryRun: boolean;
}

/** What `tokens revoke` was told. */
export interface RevokeOptions extends GlobalOptions {
  readonly tokenId: string;
  readonly yes: boolean;
  readonly dryRun: boolean;
}

/** What the commands of the group do. */
export interface TokensRuns {
  readonly list: Run<GlobalOptions>;
  readonly create: Run<CreateOptions>;
  readonly revoke: Run<RevokeOptions>;
}

interface CreateFlags {
  name: string;
  scopes: Scope[];
  expires?: number;
  maxSpend?: string;
  maxLicenses?: number;
  totp?: string;
  dryRun?: boolean;
}

/** Registers `tokens list`, `create` and `revoke`. */
export function register(program: Command, context: Context, runs: TokensRuns = load): void {
  const group = addCommand(program, {
    name: "tokens",
    group: "Sign-in",
    description: "List, create and revoke API tokens for CI",
    examples: ["tokens list", "tokens create --name ci --scopes billing:purchase"],
  });
  addCommand(group, {
    name: "list",
    description: "List the API tokens of the organization",
    examples: ["tokens list", "tokens list --json"],
  }).action((_flags: unknown, command: Command) =>
    interruptible(context, () => runs.list(readGlobals(command), context)),
  );
  registerCreate(group, context, runs.create);
  addCommand(group, {
    name: "revoke",
    description: "Revoke an API token; it stops working at once",
    examples: ["tokens revoke tok_4f8c21d9", "tokens revoke tok_4f8c21d9 --json"],
  })
    .addArgument(new Argument("<id>", "id, or its first 8 digits, as `tokens list` shows it").argParser(trimmedText))
    .option("--yes", "revoke without asking")
    .option("--dry-run", "say what would be done, revoke nothing")
    .action((tokenId: string, { yes = false, dryRun = false }: { yes?: boolean; dryRun?: boolean }, command: Command) =>
      interruptible(context, () => runs.revoke({ ...readGlobals(command), tokenId, yes, dryRun }, context)),
    );
}

function registerCreate(group: Command, context: Context, run: Run<CreateOptions>): void {
  addCommand(group, {
    name: "create",
    description: "Create an API token; it is shown once",
    examples: [
      "tokens create --name ci --scopes billing:purchase",
      "tokens create --name a --scopes users:read --expires 7d",
    ],
  })
    .requiredOption("--name <name>", "what it is for", shortText(100))
    .addOption(
      new Option("--scopes <scopes>", "what it may do, separated by commas")
        .choices(SCOPES)
        .argParser(scopeList)
        .makeOptionMandatory(),
    )
    .option("--expires <days>", `such as 30d (default: ${TOKEN_DAYS.usual}d)`, lifetimeDays)
    .option("--max-spend <amount>", "with tax in a calendar month, such as 500/month", monthlyAmount)
    .option("--max-licenses <n>", "in a calendar month, such as 10/month", monthlyLicenses)
    .option("--dry-run", "say what would be done, create nothing")
    .addOption(totpOption())
    .action((flags: CreateFlags, command: Command) => {
      const options = {
        ...readGlobals(command),
        name: flags.name,
        scopes: flags.scopes,
        expiresInDays: flags.expires ?? TOKEN_DAYS.usual,
        maxSpend: flags.maxSpend ?? null,
        maxLicenses: flags.maxLicenses ?? null,
        totp: readTotp(flags.totp),
        dryRun: flags.dryRun === true,
      };
      return interruptible(context, () => run(options, context));
    });
}

const load: TokensRuns = {
  list: async (options, context) => (await import("./run/tokens.ts")).list(options, context),
  create: async (options, context) => (await import("./run/tokens.ts")).create(options, context),
  revoke: async (options, context) => (await import("./run/tokens.ts")).revoke(options, context),
};
