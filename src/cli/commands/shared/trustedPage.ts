/**
 * Whether a URL from a backend may be opened in a browser: https, or loopback http, and on the backend's own origin or
 * Stripe's hosted pages (security.md, Hostile input).
 */
export function isTrustedPage(text: string, backendOrigin: string): boolean {
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  if (url.username || url.password) return false;
  // The client has already made sure that its own origin is https or loopback.
  if (url.origin === backendOrigin) return true;
  return url.protocol === "https:" && (url.hostname === "stripe.com" || url.hostname.endsWith(".stripe.com"));
}
