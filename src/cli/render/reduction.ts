import type { Subscription } from "../../contract/billing.ts";
import type { Output } from "../outputs.ts";
import { clean } from "./clean.ts";
import { backendName, type PurchaseSetting } from "./confirmation.ts";
import { fields } from "./table.ts";
import type { View } from "./view.ts";
import { counts, licenses, reducedTo, withTax } from "./words.ts";
import { wrap } from "./wrap.ts";

/** What a person sees before a reduction is scheduled, or taken back. */
export function renderReductionChange(
  before: Subscription,
  after: Subscription,
  setting: PurchaseSetting,
  view: View,
): string {
  const { organization, term } = before;
  return fields(
    [
      ["Organization", `${clean(organization.name)} (${organization.id})`],
      ["Backend", backendName(setting, view)],
      ["Signed in as", setting.signedInAs && clean(setting.signedInAs)],
      ["Licenses now", counts(before.licenses)],
      ["On the renewal", view.style.bold(`${before.renewal.licenses ?? 0} → ${after.renewal.licenses ?? 0} licenses`)],
      ["Renewal", term.renewalDate],
      ["Renews at", renewal(after.renewal)],
      ["Instead of", renewal(before.renewal)],
      ["Due now", "nothing"],
    ],
    view,
  );
}

/** What the renewal will be after a reduction was scheduled, or taken back. */
export function renderReduction(
  { reduction, licenses: now, renewal: next, dryRun }: Output<"licenses reduce">,
  { renewalDate }: Pick<Subscription["term"], "renewalDate">,
  view: View,
): string {
  const would = dryRun ? "Dry run: would have " : "";
  const headline =
    reduction === null
      ? `${would || "There will be "}no reduction on ${renewalDate}.`
      : `${would || "There will be "}${reducedTo(reduction, now.used)} from ${reduction.date} on.`;
  const facts = fields(
    [
      ["Renews at", renewal(next)],
      ["Licenses now", counts(now)],
    ],
    view,
  );
  return `${view.style.green(wrap(headline, view.width))}\n${facts}`;
}

function renewal({ licenses: count, subtotal, tax, total }: Subscription["renewal"]): string | null {
  if (count === null || !subtotal || !tax || !total) return null;
  return `${withTax({ total, net: subtotal, tax })} for ${licenses(count)}`;
}
