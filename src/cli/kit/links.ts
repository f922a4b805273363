import { isLoopbackHost } from "../../client/address.ts";
import { clean, MAX_TEXT } from "./text.ts";

/**
 * The address of a backend's page in the parsed form, in which it was judged, where it may be opened in a browser: https,
 * or http on this machine, and on the backend's own origin or Stripe's hosted pages.
 *
 * @returns `null` for any other text
 */
export function trustedPage(text: string, backendOrigin: string): string | null {
  const url = parsePage(text);
  if (url === null) return null;
  const isStripe = url.hostname === "stripe.com" || url.hostname.endsWith(".stripe.com");
  return url.origin === backendOrigin || (url.protocol === "https:" && isStripe) ? url.href : null;
}

/**
 * Parses the address of a backend's page.
 *
 * @returns `null` for what is not https or http on this machine, has a user or password, or is longer than 2 KB
 */
function parsePage(text: string): URL | null {
  if (text.length > MAX_TEXT || !URL.canParse(text)) return null;
  const url = new URL(text);
  const isWeb = url.protocol === "https:" || (url.protocol === "http:" && isLoopbackHost(url.hostname));
  // What is written in other characters gets longer.
  return isWeb && !url.username && !url.password && url.href.length <= MAX_TEXT ? url : null;
}

/** An address as a person copies it: as a browser reads it, else the cleaned text. */
export function addressText(text: string): string {
  return parsePage(text)?.href ?? clean(text);
}
