import { Argument, type Command } from "commander";
import type { Context } from "../context.ts";
import { addCommand, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { awaitPrinting, printResult, type View } from "../kit/output.ts";
import { columns } from "../kit/table.ts";
import { clean } from "../kit/text.ts";
import { trimmedText } from "../kit/values.ts";
import { instant, moneyText } from "../kit/words.ts";
import type { Output } from "../outputs.ts";
import { FINDING_WORDS } from "./reconcile.ts";
import { addDatabaseFlags, addPaymentFlags, givenSettings } from "./settings.ts";
import { onProvider, onStore, type StoreOptions } from "./store.ts";

/** Options of `serve admin resolve`. */
export interface ResolveOptions extends StoreOptions {
  readonly purchaseId: string;
  readonly outcome: "paid" | "declined";
}

/** Registers `serve admin list-review`. */
export function registerListReview(admin: Command, context: Context, run: Run<StoreOptions> = runListReview): void {
  const command = addCommand(admin, {
    name: "list-review",
    description: "List the purchases and payments that need review",
    examples: ["serve admin list-review", "serve admin list-review --json"],
  });
  addDatabaseFlags(command).action((_flags: unknown, called: Command) => {
    const options = { ...readGlobals(called), settings: givenSettings(called, context) };
    return interruptible(context, () => run(options, context));
  });
}

/**
 * Prints the purchases of all organizations that need review, oldest first, the payments on which the provider and the
 * ledger differ, and those that are disputed.
 *
 * @throws BackendError `settings_invalid`, `schema_mismatch`, `database_unreachable`
 */
async function runListReview(options: StoreOptions, context: Context): Promise<void> {
  const { listReview } = await import("../../backend/service/review.ts");
  const purchases = await onStore(options, context, listReview);
  await printResult<"serve admin list-review">(context, options, purchases, (view) => renderReview(purchases, view));
}

const REVIEW_WORDS = { ...FINDING_WORDS, disputed: "disputed by the payer's bank" } as const;

/** Renders the purchases to review. */
function renderReview(purchases: Output<"serve admin list-review">, view: View): string {
  if (purchases.length === 0) return "Nothing to review.";
  const rows = purchases.map(({ id, organizationId, licenses, total, acceptedAt, paymentId, finding }) => [
    clean(id),
    String(organizationId ?? ""),
    String(licenses ?? ""),
    total ? moneyText(total) : "",
    acceptedAt ? instant(acceptedAt) : "",
    clean(paymentId ?? ""),
    finding ? REVIEW_WORDS[finding] : "",
  ]);
  const list = columns(
    ["Purchase", "Organization", "Licenses", "Total", "Accepted", "Payment", "Difference"],
    rows,
    [32, 12, 8, 14, 20, 32, 34],
    view,
  );
  const found = new Set(purchases.map(({ finding }) => finding));
  const advice = [
    ...(found.has("disputed")
      ? ["Answer disputes at the payment provider. One is removed when it is closed; its licenses stay."]
      : []),
    ...(found.has("unknownPurchase")
      ? [
          "Refund payments captured for unknown purchases at the payment provider, then let the organizations buy again.",
        ]
      : []),
    ...([...found].some((finding) => finding !== null && finding !== "disputed")
      ? ["A difference is removed when `serve reconcile` finds that the provider and the ledger agree."]
      : []),
  ];
  return [list, ...advice].join("\n");
}

/** Registers `serve admin resolve`. */
export function registerResolve(admin: Command, context: Context, run: Run<ResolveOptions> = runResolve): void {
  const command = addCommand(admin, {
    name: "resolve",
    description: "Fulfill or decline a purchase that needs review",
    examples: ["serve admin resolve pur_4201_5f2c… paid", "serve admin resolve pur_4201_5f2c… declined"],
  });
  addPaymentFlags(addDatabaseFlags(command))
    .argument("<purchase>", "ID of the purchase", trimmedText)
    .addArgument(new Argument("<outcome>", "outcome of the payment").choices(["paid", "declined"]))
    .action((purchaseId: string, outcome: ResolveOptions["outcome"], _flags: unknown, called: Command) => {
      const options = { ...readGlobals(called), settings: givenSettings(called, context), purchaseId, outcome };
      return interruptible(context, () => run(options, context));
    });
}

/**
 * Ends the review of a purchase, as far as the payment provider agrees.
 *
 * @throws BackendError `not_found`, `not_in_review`, `not_resolvable`, `unavailable`, `settings_invalid`,
 *   `schema_mismatch`, `database_unreachable`
 */
async function runResolve(options: ResolveOptions, context: Context): Promise<void> {
  const { purchaseId: id, outcome } = options;
  const { resolvePurchase } = await import("../../backend/service/resolve.ts");
  const state = await onProvider(options, context, (deps) => resolvePurchase(deps, id, outcome));
  const printing = printResult<"serve admin resolve">(
    context,
    options,
    { id, state },
    () => `Purchase ${clean(id)} is ${state}.`,
  );
  await awaitPrinting(printing, `The purchase is ${state}`, "See `secureflag-licenses serve admin list-review`.");
}
