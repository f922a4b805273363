import { lookup as systemLookup } from "node:dns";
import { once } from "node:events";
import { get as getPlain, type IncomingMessage } from "node:http";
import { get as getSecure } from "node:https";
import { isIP, type LookupFunction } from "node:net";
import ipaddr from "ipaddr.js";
import { createLocalJWKSet, type JSONWebKeySet } from "jose";
import type { BackendDeps } from "../deps.ts";
import { BackendError } from "../errors.ts";

/** Finds the key of a signature in the key set of an issuer. */
type FindKey = ReturnType<typeof createLocalJWKSet>;

/** The keys of issuers, as they publish them (OpenID Connect Discovery 1.0, section 4). */
export interface IssuerKeys {
  /**
   * Returns the keys of an issuer, at most 10 minutes old. Parallel calls share one read.
   *
   * @param unlike keys in which a key was missing; they are read again, but at most once a minute
   * @throws BackendError `unavailable` if they cannot be read
   */
  read(issuer: string, unlike?: FindKey): Promise<FindKey>;
}

const MAX_DOCUMENT_BYTES = 64 * 1024;

/** For both documents together. */
const TIMEOUT_MS = 5_000;

const MAX_AGE_MS = 10 * 60_000;

const MIN_AGE_MS = 60_000;

/** How long an issuer that could not be read is left alone. */
const PAUSE_MS = 10_000;

const MAX_ISSUERS = 1_000;

interface Entry {
  readonly keys: Promise<FindKey>;
  /** Machine clock, milliseconds. */
  readonly readAt: number;
  /** `null` while they are being read. */
  result: FindKey | "failed" | null;
}

/**
 * Creates the cache of issuers' keys.
 *
 * @param lookup resolves host names
 */
export function createIssuerKeys(
  { now, issuersAt, log }: Pick<BackendDeps, "now" | "issuersAt" | "log">,
  lookup: typeof systemLookup = systemLookup,
): IssuerKeys {
  /** By issuer, the oldest first. */
  const entries = new Map<string, Entry>();

  function isCurrent({ result, readAt }: Entry, unlike: FindKey | undefined): boolean {
    if (result === null) return true;
    const maxAge = result === "failed" ? PAUSE_MS : result === unlike ? MIN_AGE_MS : MAX_AGE_MS;
    return now() - readAt < maxAge;
  }

  function start(issuer: string): Entry {
    const reading = readKeys(issuer, issuersAt, lookup).then(
      (keys) => {
        entry.result = keys;
        return keys;
      },
      (error: unknown) => {
        entry.result = "failed";
        log(`keys of the issuer ${issuer}`, error);
        throw unavailable();
      },
    );
    const entry: Entry = { keys: reading, readAt: now(), result: null };
    entries.delete(issuer);
    entries.set(issuer, entry);
    for (const oldest of entries.keys()) if (entries.size > MAX_ISSUERS) entries.delete(oldest);
    return entry;
  }

  return {
    async read(issuer, unlike) {
      const entry = entries.get(issuer);
      return (entry && isCurrent(entry, unlike) ? entry : start(issuer)).keys;
    },
  };
}

function unavailable(): BackendError {
  return new BackendError(
    "unavailable",
    "The keys of the identity token's issuer cannot be read; try again later",
    {},
    { "Retry-After": String(PAUSE_MS / 1_000) },
  );
}

/** Where issuers may be; see `BackendDeps.issuersAt`. */
type Places = BackendDeps["issuersAt"];

/**
 * Reports whether an issuer may be trusted by its URL alone: https, or http on loopback where issuers may be there; and no
 * address that is out of bounds. The address of a name is checked when it is connected to.
 */
export function isIssuerAllowed(issuer: string, issuersAt: Places): boolean {
  const { protocol, hostname } = new URL(issuer);
  const host = hostname.replace(/^\[(.*)\]$/, "$1");
  if (isIP(host) !== 0) return isAddressAllowed(host, protocol, issuersAt);
  return protocol === "https:" || (host === "localhost" && issuersAt !== "public");
}

/** The private networks of IPv4 and IPv6, and those between a carrier and its customers. */
const PRIVATE = ["private", "uniqueLocal", "carrierGradeNat"];

/** The only addresses of IPv6 that are on the internet (RFC 4291, section 2.4). */
const GLOBAL_UNICAST = ipaddr.IPv6.parseCIDR("2000::/3");

/** Link-local addresses, such as those of the metadata of cloud machines, are never allowed. */
function isAddressAllowed(text: string, protocol: string, issuersAt: Places): boolean {
  if (!ipaddr.isValid(text)) return false;
  // An IPv4 address that is written as IPv6 is what it stands for.
  const address = ipaddr.process(text);
  const range = address.range();
  if (range === "loopback") return issuersAt !== "public";
  if (protocol !== "https:") return false;
  if (PRIVATE.includes(range)) return issuersAt === "private";
  return range === "unicast" && (address instanceof ipaddr.IPv4 || address.match(GLOBAL_UNICAST));
}

/** Why an issuer was not read; for the operator's log. */
class IssuerError extends Error {
  override readonly name = "IssuerError";
}

async function readKeys(issuer: string, issuersAt: Places, lookup: typeof systemLookup): Promise<FindKey> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const read = (address: string) => readObject(address, { issuersAt, lookup, signal });
  const described = await read(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`);
  if (described.issuer !== issuer) throw new IssuerError("it describes another issuer");
  if (typeof described.jwks_uri !== "string") throw new IssuerError("it names no keys");
  const keys = await read(described.jwks_uri);
  // What is no set of keys is refused here.
  return createLocalJWKSet(keys as unknown as JSONWebKeySet);
}

interface Reading {
  readonly issuersAt: Places;
  readonly lookup: typeof systemLookup;
  readonly signal: AbortSignal;
}

/** Reads a JSON object of at most 64 KB, without following redirects. */
async function readObject(address: string, { issuersAt, lookup, signal }: Reading): Promise<Record<string, unknown>> {
  if (!URL.canParse(address) || !isIssuerAllowed(address, issuersAt)) throw new IssuerError(`not allowed: ${address}`);
  const url = new URL(address);
  const request = (url.protocol === "https:" ? getSecure : getPlain)(url, {
    // Every connection looks the name up again, and is checked.
    agent: false,
    lookup: checkedLookup(lookup, (found) => isAddressAllowed(found, url.protocol, issuersAt)),
    signal,
    headers: { Accept: "application/json", "Accept-Encoding": "identity" },
  });
  // Errors after the response began are the response's, too.
  request.on("error", () => {});
  const [response] = (await once(request, "response")) as [IncomingMessage];
  try {
    if (response.statusCode !== 200)
      throw new IssuerError(`${address} responded with HTTP status ${response.statusCode}`);
    const value: unknown = JSON.parse(await textOf(response));
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
    throw new IssuerError(`${address} is not a JSON object`);
  } finally {
    request.destroy();
  }
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_DOCUMENT_BYTES) throw new IssuerError("it is larger than 64 KB");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

/** Resolves names for the connection itself, so that a name cannot change its address between a check and the connection. */
function checkedLookup(lookup: typeof systemLookup, isAllowed: (address: string) => boolean): LookupFunction {
  return (hostname, options, callback) =>
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      const [first] = addresses ?? [];
      if (error || !first) return callback(error ?? new IssuerError(`${hostname} has no address`), "");
      const refused = addresses.find(({ address }) => !isAllowed(address));
      if (refused) return callback(new IssuerError(`${hostname} is at ${refused.address}, which is not allowed`), "");
      return options.all ? callback(null, addresses) : callback(null, first.address, first.family);
    });
}
