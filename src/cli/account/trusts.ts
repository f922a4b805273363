import { Argument, type Command, InvalidArgumentError, Option } from "commander";
import type { Client } from "../../client/client.ts";
import { SCOPES, type Scope } from "../../contract/constants.ts";
import type { Trust } from "../../contract/trusts.ts";
import { connectToOrganization } from "../connection/connect.ts";
import { readTotp, totpOption } from "../connection/oneTimeCode.ts";
import type { Context } from "../context.ts";
import { CliError } from "../errors.ts";
import { addCommand, type GlobalOptions, interruptible, readGlobals } from "../kit/command.ts";
import { awaitPrinting, printResult } from "../kit/output.ts";
import { assertConsent, confirmOrCancel } from "../kit/prompt.ts";
import { withSpinner } from "../kit/spinner.ts";
import { shorten } from "../kit/text.ts";
import { scopeList, shortText, trimmedText } from "../kit/values.ts";
import {
  addLimitFlags,
  type LimitFlags,
  type LimitOptions,
  readLimitFlags,
  spendLimitOf,
  unspent,
} from "./spendLimit.ts";
import { renderAddedTrust, renderTrusts } from "./trustView.ts";

/** Options of `tokens trust add`. */
interface AddTrustOptions extends GlobalOptions, LimitOptions {
  readonly name: string;
  readonly issuer: string;
  readonly claims: Readonly<Record<string, string>>;
  readonly scopes: readonly Scope[];
  readonly totp: string | null;
  readonly dryRun: boolean;
}

/** Options of `tokens trust remove`. */
interface RemoveTrustOptions extends GlobalOptions {
  /** Its name or ID. */
  readonly trust: string;
  readonly yes: boolean;
  readonly dryRun: boolean;
}

interface AddFlags extends LimitFlags {
  readonly name: string;
  readonly issuer: string;
  readonly claim: Readonly<Record<string, string>>;
  readonly scopes: readonly Scope[];
  readonly totp?: string;
  readonly dryRun?: boolean;
}

/** Registers `tokens trust list`, `add` and `remove`. */
export function registerTrusts(tokens: Command, context: Context): void {
  const group = addCommand(tokens, {
    name: "trust",
    description: "Let CI jobs sign in with their identity token instead of a stored one",
    summary: "List, add and remove trusts in CI systems",
    examples: ["tokens trust list", "tokens trust remove nightly"],
  });
  addCommand(group, {
    name: "list",
    description: "List the trusts of the organization",
    examples: ["tokens trust list", "tokens trust list --json"],
  }).action((_flags: unknown, command: Command) =>
    interruptible(context, () => listTrusts(readGlobals(command), context)),
  );
  registerAdd(group, context);
  addCommand(group, {
    name: "remove",
    description: "Remove a trust; tokens that were issued by it stop working at once",
    examples: ["tokens trust remove nightly", "tokens trust remove nightly --yes"],
  })
    .addArgument(new Argument("<name>", "name or ID of the trust").argParser(trimmedText))
    .option("--yes", "remove without a prompt")
    .option("--dry-run", "show what would be removed, remove nothing")
    .action((trust: string, { yes = false, dryRun = false }: { yes?: boolean; dryRun?: boolean }, command: Command) =>
      interruptible(context, () => removeTrust({ ...readGlobals(command), trust, yes, dryRun }, context)),
    );
}

function registerAdd(group: Command, context: Context): void {
  const add = addCommand(group, {
    name: "add",
    description: "Trust the identity tokens of a CI system that have these claims",
    examples: [
      "tokens trust add --name ci --issuer https://token.actions.githubusercontent.com --claim repository_id=74 --claim ref=refs/heads/main --scopes billing:read,billing:purchase",
      "tokens trust add --name ci --issuer https://gitlab.com --claim project_id=74 --claim ref=main --claim ref_protected=true --scopes billing:read,billing:purchase",
    ],
  })
    .requiredOption("--name <name>", "name of the trust, which jobs set as SECUREFLAG_TRUST", shortText(64))
    .requiredOption("--issuer <url>", "issuer of the identity tokens", trimmedText)
    .addOption(
      new Option("--claim <name=value>", "claim that a token must have, exactly; repeat it for more")
        .argParser(addClaim)
        .makeOptionMandatory(),
    )
    .addOption(
      new Option("--scopes <scopes>", "what jobs may do, separated by commas")
        .choices(SCOPES)
        .argParser(scopeList)
        .makeOptionMandatory(),
    );
  addLimitFlags(add)
    .option("--dry-run", "show what would be added, add nothing")
    .addOption(totpOption())
    .addHelpText("after", ADD_HELP)
    .action((flags: AddFlags, command: Command) => {
      const options = {
        ...readGlobals(command),
        ...readLimitFlags(flags),
        name: flags.name,
        issuer: flags.issuer,
        claims: flags.claim,
        scopes: flags.scopes,
        totp: readTotp(flags.totp),
        dryRun: flags.dryRun === true,
      };
      return interruptible(context, () => addTrust(options, context));
    });
}

const ADD_HELP = `
A job exchanges its identity token for an API token that is
valid for 10 minutes. The limits count everything that jobs
buy with the trust. Claims that are required:
  GitHub   repository_id, with ref or environment
  GitLab   project_id, ref, and ref_protected=true
  others   sub
IDs are required because names can be registered again.
To find them:
  GitHub   gh api repos/<owner>/<name> --jq .id
  GitLab   on the page of the project, below its name
The trust ends when you are no longer an administrator.
Only a signed-in administrator can add it.`;

function addClaim(text: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const [, name = "", value = ""] = /^([^=]+)=(.+)$/s.exec(text.trim()) ?? [];
  if (value === "") throw new InvalidArgumentError("It must be <name>=<value>.");
  if (Object.hasOwn(before, name)) throw new InvalidArgumentError(`The claim ${name} is there twice.`);
  return { ...before, [name]: value };
}

/** Prints the trusts that were not removed, newest first. */
async function listTrusts(options: GlobalOptions, context: Context): Promise<void> {
  const { client, organizationId } = await connectToOrganization(context, options, "billing");
  const trusts = await withSpinner(context, options, "Reading trusts", client.trusts(organizationId));
  await printResult<"tokens trust list">(context, options, trusts, (view) => renderTrusts(trusts, view));
}

/**
 * Adds a trust.
 *
 * @throws CliError `invalid_usage` for an amount with too many decimals; `mfa_required`
 */
async function addTrust(options: AddTrustOptions, context: Context): Promise<void> {
  const { client, organizationId } = await connectToOrganization(context, options, "billing");
  const spendLimit = await spendLimitOf(options, client, organizationId);
  const { name, issuer, claims, scopes } = options;
  const request = { name, issuer, claims: { ...claims }, scopes: [...scopes], spendLimit };
  if (options.dryRun) {
    // The right to add trusts is the right to list them.
    await withSpinner(context, options, "Reading trusts", client.trusts(organizationId));
    const unmade = { id: null, createdAt: null, createdBy: null, dryRun: true } as const;
    const plan = { ...request, ...unmade, spendLimit: unspent(spendLimit) };
    const sentence = `Dry run: would add the trust ${name} in ${issuer} for ${scopes.join(", ")}.`;
    await printResult<"tokens trust add">(context, options, plan, () => sentence);
    return;
  }
  const trust = await withSpinner(context, options, "Adding the trust", client.addTrust(organizationId, request));
  const printing = printResult<"tokens trust add">(context, options, trust, (view) =>
    renderAddedTrust(trust, organizationId, view),
  );
  await awaitPrinting(printing, `The trust ${name} was added`, "See `secureflag-licenses tokens trust list`.");
}

/**
 * Removes a trust.
 *
 * @throws CliError `invalid_usage` before any request if there is no prompt and no `--yes`, `not_found`,
 *   `declined_by_person`
 */
async function removeTrust(options: RemoveTrustOptions, context: Context): Promise<void> {
  assertConsent(context, options, "remove the trust");
  const { client, organizationId } = await connectToOrganization(context, options, "billing");
  const { dryRun, yes } = options;
  const { id, name } = await knownTrust(options.trust, client, organizationId);
  if (!dryRun && !yes) {
    await confirmOrCancel(context, options, `Remove ${shorten(name)}? Jobs that use it cannot sign in any more.`);
  }
  if (!dryRun) await withSpinner(context, options, "Removing the trust", client.removeTrust(organizationId, id));
  const result = { id, name, removed: !dryRun, ...(dryRun && { dryRun }) };
  const printing = printResult<"tokens trust remove">(context, options, result, () =>
    dryRun ? `Dry run: would remove the trust ${name}.` : `Removed the trust ${name}.`,
  );
  const hint = "See `secureflag-licenses tokens trust list`. Running the same command again is safe.";
  await awaitPrinting(printing, `The trust ${name} was removed`, hint);
}

async function knownTrust(named: string, client: Pick<Client, "trusts">, organizationId: number): Promise<Trust> {
  const trusts = await client.trusts(organizationId);
  const found = trusts.find(({ id, name }) => name === named || id === named);
  if (found) return found;
  throw new CliError("not_found", `Trust not found: ${shorten(named)}`, {
    hint: "See `secureflag-licenses tokens trust list`.",
  });
}
