import { isLoopbackHost } from "../../client/address.ts";
import { clean, MAX_TEXT } from "./clean.ts";

/**
 * Parses the address of a backend's page.
 *
 * @returns `null` for what is not https or http on this machine, has a user or password, or is longer than 2 KB
 */
export function parsePage(text: string): URL | null {
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
