import type { Output } from "../outputs.ts";
import { renderBuyResult } from "./purchase.ts";
import { fields } from "./table.ts";
import type { View } from "./view.ts";
import { counts, licenses, targetWords } from "./words.ts";
import { wrap } from "./wrap.ts";

/** How a `top-up` went, for people. */
export function renderTopUp(topUp: Output<"top-up">, view: View): string {
  if (topUp.shortfall > 0) return renderBuyResult(topUp, view);
  const facts = fields([["Licenses now", counts(topUp.licenses)]], view);
  return `${view.style.green(wrap(nothingToBuy(topUp), view.width))}\n${facts}`;
}

/** What is not there yet comes with purchases that are still in progress. */
function nothingToBuy({ target, licenses: now, dryRun }: Output<"top-up">): string {
  const awaited = "available" in target ? target.available - now.available : target.purchased - now.purchased;
  const coming = awaited > 0 ? `; ${licenses(awaited)} of them in purchases that are still in progress` : "";
  return `${dryRun ? "Dry run: nothing" : "Nothing"} to buy: the target is ${targetWords(target)}${coming}.`;
}
