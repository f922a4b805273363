import { CliError, codeOf } from "../errors.ts";
import type { Offer } from "./offer.ts";
import type { Approver } from "./tools.ts";

const MAX_REFUSALS = 3;

/**
 * Takes every first offer, as `--yes` says. After a refusal it goes on alone only where nothing changed but the quote's
 * time or the key: another purchase or another price is somebody's decision again (cli.md, exit code 9).
 */
export function automaticApprover(): Approver {
  let refusals = 0;
  return {
    async approve(offer, before) {
      if (before === null) return;
      refusals += 1;
      const code = codeOf(before.refusal);
      if (code !== "subscription_changed" && isSameOffer(offer, before.offer) && refusals <= MAX_REFUSALS) return;
      throw new CliError(code ?? "subscription_changed", before.refusal.message, {
        hint: "Nothing was bought. Look at `secureflag-licenses status`, then run the command again.",
        cause: before.refusal,
      });
    },
    buyAgain: async () => false,
    tryAnotherCard: async () => false,
  };
}

/** Whether a person who approved one offer would see the same in the other. */
function isSameOffer(one: Offer, other: Offer): boolean {
  const [a, b] = [one.quote, other.quote];
  return (
    a.total.amount === b.total.amount &&
    a.total.currency === b.total.currency &&
    a.licensesAfter === b.licensesAfter &&
    a.purchaseDate === b.purchaseDate &&
    a.renewsAt?.total.amount === b.renewsAt?.total.amount
  );
}
