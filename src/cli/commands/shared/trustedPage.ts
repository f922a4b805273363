import { parsePage } from "../../render/pageAddress.ts";

/**
 * The address of a backend's page in the parsed form, in which it was judged, where it may be opened in a browser: https,
 * or http on this machine, and on the backend's own origin or Stripe's hosted pages (security.md, Hostile input).
 *
 * @returns `null` for any other text
 */
export function trustedPage(text: string, backendOrigin: string): string | null {
  const url = parsePage(text);
  if (url === null) return null;
  const isStripe = url.hostname === "stripe.com" || url.hostname.endsWith(".stripe.com");
  return url.origin === backendOrigin || (url.protocol === "https:" && isStripe) ? url.href : null;
}
