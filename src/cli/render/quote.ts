import type { Offer } from "../purchasing/offer.ts";
import { clean } from "./clean.ts";
import { explanation } from "./explanation.ts";
import { fields } from "./table.ts";
import type { View } from "./view.ts";
import { countChange, dateAhead, formula, instant, keptReduction, withTax } from "./words.ts";
import { wrap } from "./wrap.ts";

/** A verified quote for people; with `explain` the arithmetic line by line below it. */
export function renderQuote({ quote, subscription }: Offer, { explain }: { explain: boolean }, view: View): string {
  const { total, dueNow, tax, renewsAt, term } = quote;
  const facts = fields(
    [
      ["Licenses", view.style.bold(countChange(quote.licensesAfter, quote.licenses))],
      ["Due now", view.style.bold(withTax({ total, net: dueNow, tax }))],
      ["Subtotal", formula(quote, subscription.plan)],
      ["Bought on", `${quote.purchaseDate} in ${clean(subscription.organization.timeZone)}`],
      [renewsAt === null ? "Ends" : "Renewal", dateAhead(term.renewalDate, term.daysRemaining)],
      [
        "Renews at",
        renewsAt &&
          `${withTax({ total: renewsAt.total, net: renewsAt.subtotal, tax: renewsAt.tax })} for ${renewsAt.licenses} licenses`,
      ],
      ["Reduction", keptReduction(subscription, quote)],
      ["Valid until", instant(quote.expiresAt)],
      ["Quote", quote.id],
      ["Checked", "recomputed here from the subscription; both agree"],
    ],
    view,
  );
  if (!explain) return facts;
  const lines = explanation(quote, subscription.plan).map((line) => wrap(line, view.width));
  return `${facts}\n\n${lines.join("\n")}`;
}
