import { BlockList, isIP } from "node:net";

/** One entry of NO_PROXY: what it matches, and the only port it is for, where it names one. */
interface Entry {
  readonly port: string | null;
  matches(host: string): boolean;
}

/**
 * Whether NO_PROXY exempts a URL from the proxy. Entries are separated by commas or spaces: `*`, a name (it also covers
 * the names below it; a leading `.` or `*.` makes no difference), an IP address, or a range of them in CIDR notation
 * (RFC 4632, section 3.1, and RFC 4291, section 2.3). IPv6 may be in brackets, and any but a range may end with a port.
 * Names are not resolved, so ranges match only URLs with an address.
 *
 * @param origin of an https URL
 */
export function isExempt(origin: string, noProxy: string): boolean {
  const { hostname, port } = new URL(origin);
  const host = plain(hostname);
  return noProxy
    .split(/[,\s]+/)
    .filter(Boolean)
    .map(parseEntry)
    .some((entry) => (entry.port === null || entry.port === (port || "443")) && entry.matches(host));
}

function parseEntry(text: string): Entry {
  if (text === "*") return { port: null, matches: () => true };
  const range = /^(.+)\/(\d{1,3})$/.exec(text);
  if (range) return { port: null, matches: rangeMatcher(plain(range[1] ?? ""), Number(range[2])) };
  // Without brackets the last colon of an IPv6 address begins no port.
  const [, name = text, port = null] = isIP(text) === 6 ? [] : (/^(.+):(\d+)$/.exec(text) ?? []);
  const wanted = plain(name);
  const bits = { 0: null, 4: 32, 6: 128 }[isIP(wanted)] ?? null;
  if (bits !== null) return { port, matches: rangeMatcher(wanted, bits) };
  const suffix = canonical(wanted.replace(/^\*?\./, ""));
  return { port, matches: (host) => host === suffix || host.endsWith(`.${suffix}`) };
}

/** Matches addresses that share the first bits; of what is no range, none. */
function rangeMatcher(address: string, bits: number): (host: string) => boolean {
  const family = familyOf(address);
  if (family === null || bits > (family === "ipv4" ? 32 : 128)) return () => false;
  const range = new BlockList();
  range.addSubnet(address, bits, family);
  return (host) => {
    const hostFamily = familyOf(host);
    return hostFamily !== null && range.check(host, hostFamily);
  };
}

function familyOf(address: string): "ipv4" | "ipv6" | null {
  const version = isIP(address);
  return version === 0 ? null : version === 4 ? "ipv4" : "ipv6";
}

/** Without the brackets of IPv6 and without the dot of the root. */
function plain(host: string): string {
  return host.replace(/^\[(.*)\]$/, "$1").replace(/\.$/, "");
}

/** A name as `URL.hostname` writes it: in lower case, and in ASCII (RFC 3490). */
function canonical(name: string): string {
  return URL.canParse(`https://${name}`) ? plain(new URL(`https://${name}`).hostname) : name.toLowerCase();
}
