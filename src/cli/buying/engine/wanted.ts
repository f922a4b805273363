import * as z from "zod";
import type { LicenseCounts } from "../../../contract/basics.ts";
import type { Subscription } from "../../../contract/billing.ts";
import { licenses } from "../../kit/words.ts";

/** The target of a top-up: how many licenses are to be available, or purchased, in the end. */
export const licenseTargetSchema = z.union([
  z.strictObject({ available: z.int().nonnegative() }),
  z.strictObject({ purchased: z.int().nonnegative() }),
]);

/** A top-up's target. */
export type LicenseTarget = z.output<typeof licenseTargetSchema>;

/** What a command is to buy: so many more licenses, or what is missing to a target. */
export type Wanted = { readonly licenses: number } | Readonly<LicenseTarget>;

/** The target, or `null` where a number was asked for. */
export function targetOf(wanted: Wanted): LicenseTarget | null {
  return "licenses" in wanted ? null : wanted;
}

/** Whether two targets, or the lack of them, are the same. */
export function isSameTarget(one: LicenseTarget | null, other: LicenseTarget | null): boolean {
  if (one === null || other === null) return one === other;
  if ("available" in one) return "available" in other && one.available === other.available;
  return "purchased" in other && one.purchased === other.purchased;
}

/**
 * How many licenses there are to buy now; 0 where a target is reached. Purchases that are still in progress count as
 * there, so that a target is never bought twice.
 */
export function licensesToBuy(
  wanted: Wanted,
  { licenses, pending }: Pick<Subscription, "licenses" | "pending">,
): number {
  if ("licenses" in wanted) return wanted.licenses;
  const [aim, now] =
    "available" in wanted ? [wanted.available, licenses.available] : [wanted.purchased, licenses.purchased];
  return Math.max(0, aim - now - pending.licenses);
}

/** `8 licenses available`, `1 license purchased`. */
export function targetWords(target: LicenseTarget): string {
  return "available" in target ? `${licenses(target.available)} available` : `${licenses(target.purchased)} purchased`;
}

/**
 * `; 5 licenses of them in purchases that are still in progress`, after a target for which nothing is missing. Nothing
 * where all of it is there.
 */
export function inProgress(target: LicenseTarget, now: LicenseCounts): string {
  const awaited = "available" in target ? target.available - now.available : target.purchased - now.purchased;
  return awaited > 0 ? `; ${licenses(awaited)} of them in purchases that are still in progress` : "";
}
