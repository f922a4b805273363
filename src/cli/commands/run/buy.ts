import type { Context } from "../../context.ts";
import { CliError, codeOf, usageError } from "../../errors.ts";
import { detectCiRun } from "../../journal/ciKey.ts";
import { promptsAllowed } from "../../prompts/asking.ts";
import { automaticApprover } from "../../purchasing/automaticApprover.ts";
import { buy } from "../../purchasing/buy.ts";
import { keySeries } from "../../purchasing/keys.ts";
import type { Approver, Concluded } from "../../purchasing/tools.ts";
import type { BuyOptions } from "../buy.ts";
import { conclude } from "../shared/conclude.ts";
import { type Connection, connect } from "../shared/connect.ts";
import { purchasingTools } from "../shared/purchasingTools.ts";
import { withSpinner } from "../shared/spinner.ts";

/**
 * Buys licenses and prints the purchase; a purchase that did not succeed is printed as well.
 *
 * @throws CliError `invalid_usage` before any request where nobody can be asked and `--yes` is missing; what buying
 *   throws; the failure of the purchase that was printed
 */
export async function run(options: BuyOptions, context: Context): Promise<void> {
  if (!options.yes && !options.dryRun && !promptsAllowed(context, options)) {
    throw usageError("Nobody can be asked to confirm the purchase", "Say --yes to buy without asking.");
  }
  const connection = await connect(context, options);
  const { client } = connection;
  const organizationId = await withSpinner(context, options, "Finding the organization", connection.organizationId());
  const tools = await purchasingTools(context, options, { client, organizationId });
  const keys = keySeries(options, {
    ciRun: detectCiRun(context.env),
    apiUrl: client.apiUrl,
    organizationId,
    randomBytes: context.random.bytes,
  });
  const ended = await buy(options, keys, await approverFor(options, context, connection), tools);
  await conclude(ended, tools, options, context).catch((cause: unknown) => {
    throw notPrinted(ended, cause);
  });
}

async function approverFor(options: BuyOptions, context: Context, connection: Connection): Promise<Approver> {
  if (options.yes || options.dryRun) return automaticApprover();
  const { personApprover } = await import("../../prompts/personApprover.ts");
  return personApprover(options, context, connection);
}

/** What was bought stays in the journal where it could not be printed, so that running again shows it. */
function notPrinted({ result: { purchase, dryRun }, failure }: Concluded, cause: unknown): unknown {
  if (codeOf(cause) !== "output_not_written") return cause;
  if (failure) return failure;
  if (purchase === null || dryRun) return cause;
  return new CliError(
    "result_not_printed",
    `The purchase ${purchase.id} was made, but its result could not be printed`,
    {
      hint: "Running the same command again is safe: it shows the purchase and buys nothing more.",
      cause,
    },
  );
}
