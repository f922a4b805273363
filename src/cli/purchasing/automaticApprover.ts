import { CliError, codeOf } from "../errors.ts";
import type { Offer } from "./offer.ts";
import type { Approver } from "./tools.ts";

const MAX_REFUSALS = 3;

/** How offers are taken where nobody is asked. */
export interface AutomaticChoice {
  /** Whether the offer is decided anew after any refusal: a target says by itself what is wanted, a count does not. */
  readonly decidesAnew: boolean;
  /** Tells what is about to be bought, before it is. */
  announce(offer: Offer): Promise<void>;
}

/**
 * Takes every first offer, as `--yes` says. After a refusal it goes on alone only where nothing changed but the quote's
 * time or the key: another purchase or another price is somebody's decision again (cli.md, exit code 9). A target is
 * decided anew instead, up to 3 times (purchase.md, Stale quotes).
 */
export function automaticApprover({ decidesAnew, announce }: AutomaticChoice): Approver {
  let refusals = 0;
  const mayGoOn = (offer: Offer, before: { offer: Offer; refusal: Error }) => {
    refusals += 1;
    if (refusals > MAX_REFUSALS) return false;
    return decidesAnew || (codeOf(before.refusal) !== "subscription_changed" && isSameOffer(offer, before.offer));
  };
  return {
    async approve(offer, before) {
      if (before !== null && !mayGoOn(offer, before)) {
        throw new CliError(codeOf(before.refusal) ?? "subscription_changed", before.refusal.message, {
          hint: "Nothing was bought. Look at `secureflag-licenses status`, then run the command again.",
          cause: before.refusal,
        });
      }
      await announce(offer);
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
