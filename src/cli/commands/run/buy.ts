import type { Context } from "../../context.ts";
import { CliError, codeOf, usageError } from "../../errors.ts";
import { detectCiRun } from "../../journal/ciKey.ts";
import { promptsAllowed } from "../../prompts/asking.ts";
import { automaticApprover } from "../../purchasing/automaticApprover.ts";
import { type Bought, buy } from "../../purchasing/buy.ts";
import { keySeries } from "../../purchasing/keys.ts";
import type { Approver } from "../../purchasing/tools.ts";
import type { BuyOptions } from "../buy.ts";
import { type Connection, connect } from "../shared/connect.ts";
import { forgetAtExit } from "../shared/forget.ts";
import { printResult } from "../shared/output.ts";
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
  const wasTaken = await printBought(ended, options, context).catch((cause: unknown) => {
    throw ended.failure ?? notPrinted(ended, cause);
  });
  if (wasTaken && ended.endedKey !== null) forgetAtExit(context, tools.journal, [ended.endedKey]);
  if (ended.failure) throw ended.failure;
}

async function approverFor(options: BuyOptions, context: Context, connection: Connection): Promise<Approver> {
  if (options.yes || options.dryRun) return automaticApprover();
  const { personApprover } = await import("../../prompts/personApprover.ts");
  return personApprover(options, context, connection);
}

/** What was bought stays in the journal, so that running again shows it. */
function notPrinted({ result: { purchase, dryRun } }: Bought, cause: unknown): unknown {
  if (purchase === null || dryRun || codeOf(cause) !== "output_not_written") return cause;
  return new CliError(
    "result_not_printed",
    `The purchase ${purchase.id} was made, but its result could not be printed`,
    {
      hint: "Running the same command again is safe: it shows the purchase and buys nothing more.",
      cause,
    },
  );
}

function printBought({ result }: Bought, options: BuyOptions, context: Context): Promise<boolean> {
  return printResult(context, options, result, async (view) => {
    const { renderBuyResult } = await import("../../render/purchase.ts");
    return renderBuyResult(result, view);
  });
}
