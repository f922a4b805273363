import type { Client } from "../../../client/client.ts";
import { readPages } from "../../../client/pages.ts";
import type { Purchase } from "../../../contract/billing.ts";
import type { Context } from "../../context.ts";
import { asPrinted } from "../../purchasing/follow.ts";
import type { ListOptions } from "../purchases.ts";
import { connect } from "../shared/connect.ts";
import { printResult } from "../shared/output.ts";
import { withSpinner } from "../shared/spinner.ts";

const DEFAULT_LIMIT = 100;
const PAGE_SIZE = 100;

/** Prints the organization's purchases, newest first, and says on stderr when there are more (details.md, 23). */
export async function run(options: ListOptions, context: Context): Promise<void> {
  const { client, organizationId } = await connect(context, options, "billing");
  const reading = organizationId().then((id) =>
    Promise.all([listPurchases(client, id, options), options.json || options.csv ? null : client.subscription(id)]),
  );
  const [{ purchases, hasMore }, subscription] = await withSpinner(context, options, "Reading purchases", reading);
  await printResult(context, options, "purchases list", purchases, async (view) => {
    const { purchasesCsv, renderPurchases } = await import("../../render/purchases.ts");
    if (subscription === null) return purchasesCsv(purchases);
    return renderPurchases(purchases, subscription.organization.timeZone, view, subscription);
  });
  if (hasMore && !options.quiet)
    context.io.note(`There are more than ${purchases.length}: use --limit <n> or --all.\n`);
}

async function listPurchases(
  client: Pick<Client, "purchases">,
  organizationId: number,
  { all, limit, status, kind, from, to }: ListOptions,
): Promise<{ purchases: Purchase[]; hasMore: boolean }> {
  const { items, next } = await readPages({
    name: "purchases",
    read: (after: string | null, left) =>
      client.purchases(organizationId, {
        ...given({ after, status, kind, from, to }),
        limit: Math.min(PAGE_SIZE, left),
      }),
    limit: all ? Number.POSITIVE_INFINITY : (limit ?? DEFAULT_LIMIT),
  });
  return { purchases: items.map(asPrinted), hasMore: next !== null };
}

/** The filters that were given. */
function given<Name extends string>(filters: Readonly<Record<Name, string | null>>): Partial<Record<Name, string>> {
  return Object.fromEntries(Object.entries(filters).filter(([, value]) => value !== null)) as Partial<
    Record<Name, string>
  >;
}
