import { domainToASCII, domainToUnicode } from "node:url";
// Only this module: the package's index loads its URI rules as well.
import { isEmailValid } from "@hapi/address/dist/email.js";

/** What `domainToASCII` takes for the end or the beginning of a URL's host, or decodes. */
const NOT_IN_DOMAIN = /[\0-\x20#%/:<>?@[\\\]^|]/;

/**
 * The key of a person: one for all spellings of an email address. Unicode is composed (NFC), the domain is in ASCII
 * (IDNA, UTS #46), and all is in lower case. What is not a valid address has a key as well. Idempotent.
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
 * Whether mail servers take an address as one of a person (RFC 5321, section 4.1.2, and RFC 6531, section 3.3): without
 * quotes, comments and spaces, the domain a name of two labels or more, the lengths those of the address as it is sent.
 */
export function isEmailAddress(email: string): boolean {
  const { local, domain } = partsOf(email);
  // Only what the domain's ASCII form is made of is checked there: whatever ends a URL's host is refused before.
  if (domain === null || NOT_IN_DOMAIN.test(domain) || /\p{Separator}/u.test(email)) return false;
  const ascii = domainToASCII(domain);
  const address = `${local.normalize("NFC")}@${ascii}`;
  if (Buffer.byteLength(address) > MAX_BYTES || !isEmailValid(address)) return false;
  // In ASCII a hyphen of a Unicode label stands elsewhere.
  return !/(^|\.)-|-(\.|$)/.test(domainToUnicode(ascii));
}

/** RFC 5321, section 4.5.3.1.3: a path of 256 octets has two angle brackets. */
const MAX_BYTES = 254;

/** What is before the last `@` and what is after it; `null` where there is none. */
function partsOf(email: string): { local: string; domain: string | null } {
  const at = email.lastIndexOf("@");
  return at < 0 ? { local: email, domain: null } : { local: email.slice(0, at), domain: email.slice(at + 1) };
}

/** Lower case may decompose a letter, so it is composed after it. */
function composedLowerCase(text: string): string {
  return text.normalize("NFC").toLowerCase().normalize("NFC");
}
