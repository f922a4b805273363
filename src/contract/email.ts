import { domainToASCII, domainToUnicode } from "node:url";
// Only this module: the package's index loads its URI rules as well.
import { isEmailValid } from "@hapi/address/dist/email.js";

/** The characters that delimit a URL's host for `domainToASCII`, or that it decodes. */
const NOT_IN_DOMAIN = /[\0-\x20#%/:<>?@[\\\]^|]/;

/**
 * Normalizes an email address to the key of its person, the same for all spellings: composed Unicode (NFC), the domain in
 * ASCII (IDNA, UTS #46), lower case. Invalid addresses have a key too. Idempotent.
 */
export function emailKey(email: string): string {
  const { local, domain } = partsOf(email);
  const key = composedLowerCase(local);
  if (domain === null) return key;
  const composed = composedLowerCase(domain);
  const ascii = NOT_IN_DOMAIN.test(composed) ? "" : domainToASCII(composed);
  return `${key}@${ascii || composed}`;
}

/**
 * Whether mail servers accept an address (RFC 5321, section 4.1.2, and RFC 6531, section 3.3). Quotes, comments, spaces and
 * domains of a single label are refused. The length limits apply to the address as it is sent.
 */
export function isEmailAddress(email: string): boolean {
  const { local, domain } = partsOf(email);
  // `domainToASCII` silently drops what follows a URL's host, so such characters are refused first.
  if (domain === null || NOT_IN_DOMAIN.test(domain) || /\p{Separator}/u.test(email)) return false;
  const ascii = domainToASCII(domain);
  const address = `${local.normalize("NFC")}@${ascii}`;
  if (Buffer.byteLength(address) > MAX_BYTES || !isEmailValid(address)) return false;
  // Punycode moves the hyphens of a label, so they are checked in Unicode.
  return !/(^|\.)-|-(\.|$)/.test(domainToUnicode(ascii));
}

/** RFC 5321, section 4.5.3.1.3: 256 octets, of which two are angle brackets. */
const MAX_BYTES = 254;

/** Splits an address at its last `@`; the domain is `null` without one. */
function partsOf(email: string): { local: string; domain: string | null } {
  const at = email.lastIndexOf("@");
  return at < 0 ? { local: email, domain: null } : { local: email.slice(0, at), domain: email.slice(at + 1) };
}

/** Lowercasing can decompose a letter, so the result is composed again. */
function composedLowerCase(text: string): string {
  return text.normalize("NFC").toLowerCase().normalize("NFC");
}
