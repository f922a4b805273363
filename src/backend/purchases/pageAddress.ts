import type { BackendDeps } from "../deps.ts";
import { isSigned, signed } from "../http/body.ts";

/** How long a form of the payment page is valid, milliseconds, machine clock. */
const FORM_LIFE_MS = 3_600_000;

type PageDeps = Pick<BackendDeps, "pageKey" | "pageOrigin">;

/**
 * The URL of a purchase's payment page. It is signed, so it cannot be guessed, and nothing is stored.
 *
 * @param host the `Host` of the request, see `pageOrigin`
 */
export function paymentPageUrl(deps: PageDeps, purchaseId: string, host: string): string {
  return `${deps.pageOrigin(host)}/pay/${purchaseId}/${signed(deps, ["pay", purchaseId])}`;
}

/** Whether a URL's signature is the purchase's. */
export function isPageSignature(deps: PageDeps, purchaseId: string, signature: string): boolean {
  return isSigned(deps, ["pay", purchaseId], signature);
}

/**
 * Creates the token of a page's form against cross-site request forgery: valid for one page and an hour. It needs no
 * cookie, because the page's URL is secret.
 *
 * @param about what the page is about: a purchase's ID, or the path of another page
 * @param now the machine's clock, milliseconds
 */
export function formToken(deps: PageDeps, about: string, now: number): string {
  const until = String(now + FORM_LIFE_MS);
  return `${until}.${signed(deps, ["pay form", about, until])}`;
}

/** Whether `formToken` created this token for the page in the last hour. */
export function isFormToken(deps: PageDeps, about: string, token: string, now: number): boolean {
  const [until = "", signature = ""] = token.split(".");
  return isSigned(deps, ["pay form", about, until], signature) && now < Number(until);
}
