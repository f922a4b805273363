import * as z from "zod";
import type { LicenseCounts } from "../../../contract/basics.ts";
import type { Subscription } from "../../../contract/billing.ts";
import { licenses } from "../../kit/words.ts";

/** The target of a top-up: the number of available, or of purchased, licenses. */
export const licenseTargetSchema = z.union([
  z.strictObject({
    available: z.int().nonnegative(),
    /** Buys nothing unless fewer than this are available. */
    whenBelow: z.int().nonnegative().optional(),
  }),
  z.strictObject({ purchased: z.int().nonnegative() }),
]);

/** The target of a top-up. */
export type LicenseTarget = z.output<typeof licenseTargetSchema>;

/** What to buy: a number of licenses, or what is missing to a target. */
export type Wanted = { readonly licenses: number } | Readonly<LicenseTarget>;

/** The target, or `null` for a number of licenses. */
export function targetOf(wanted: Wanted): LicenseTarget | null {
  return "licenses" in wanted ? null : wanted;
}

/** Whether two targets, or the lack of them, are the same. */
export function isSameTarget(one: LicenseTarget | null, other: LicenseTarget | null): boolean {
  if (one === null || other === null) return one === other;
  if ("available" in one)
    return "available" in other && one.available === other.available && one.whenBelow === other.whenBelow;
  return "purchased" in other && one.purchased === other.purchased;
}

/**
 * Computes how many licenses to buy now; 0 if a target is reached. Counts purchases in progress, so that nothing is bought
 * twice.
 */
export function licensesToBuy(
  wanted: Wanted,
  { licenses, pending }: Pick<Subscription, "licenses" | "pending">,
): number {
  if ("licenses" in wanted) return wanted.licenses;
  const [aim, now] =
    "available" in wanted ? [wanted.available, licenses.available] : [wanted.purchased, licenses.purchased];
  const awaited = now + pending.licenses;
  if ("available" in wanted && wanted.whenBelow !== undefined && awaited >= wanted.whenBelow) return 0;
  return Math.max(0, aim - awaited);
}

/** `8 licenses available`, `1 license purchased`, `8 licenses available when there are fewer than 3`. */
export function targetWords(target: LicenseTarget): string {
  if ("purchased" in target) return `${licenses(target.purchased)} purchased`;
  const { available, whenBelow } = target;
  return `${licenses(available)} available${whenBelow === undefined ? "" : ` when there are fewer than ${whenBelow}`}`;
}

/**
 * `, including 5 licenses of purchases in progress`, after a target for which nothing is missing; empty if all of them are
 * there.
 */
export function inProgress(target: LicenseTarget, now: LicenseCounts): string {
  const awaited =
    "available" in target ? (target.whenBelow ?? target.available) - now.available : target.purchased - now.purchased;
  return awaited > 0 ? `, including ${licenses(awaited)} of purchases in progress` : "";
}
