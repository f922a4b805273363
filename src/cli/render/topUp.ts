import type { Output } from "../outputs.ts";
import { renderBuyResult } from "./purchase.ts";
import { fields } from "./table.ts";
import type { View } from "./view.ts";
import { counts, inProgress, targetWords } from "./words.ts";
import { wrap } from "./wrap.ts";

/** How a `top-up` went, for people. */
export function renderTopUp(topUp: Output<"top-up">, view: View): string {
  if (topUp.shortfall > 0) return renderBuyResult(topUp, view);
  const facts = fields([["Licenses now", counts(topUp.licenses)]], view);
  return `${view.style.green(wrap(nothingToBuy(topUp), view.width))}\n${facts}`;
}

function nothingToBuy({ target, licenses: now, dryRun }: Output<"top-up">): string {
  return `${dryRun ? "Dry run: nothing" : "Nothing"} to buy: the target is ${targetWords(target)}${inProgress(target, now)}.`;
}
