import { hkdfSync } from "node:crypto";
import { isIP } from "node:net";
import { DEFAULT_LICENSE_LIMIT } from "../../billing/quote.ts";
import { DEFAULT_GRACE_DAYS } from "../../billing/renewal.ts";
import type { Seller } from "../../contract/billingDetails.ts";
import { isLoopbackAuthority, type TlsFiles } from "../http/server.ts";
import type { RateLimit } from "./buckets.ts";
import { collectSettings, type GivenSettings, type SettingsReader } from "./given.ts";
import { LOG_LEVELS, type LogLevel } from "./log.ts";
import { type NotifySettings, notifySettings } from "./notifier.ts";
import { type PaymentSettings, paymentSettings, providerOf } from "./paymentSettings.ts";
import { sellerSetting } from "./sellerSetting.ts";
import { authorities, tlsFiles } from "./tlsSettings.ts";

/** How to reach the database. */
export interface DatabaseSettings {
  readonly url: string;
  /** PEM certificates of the authorities to trust instead of the system's. */
  readonly ca: string | null;
  /** Whether the server's certificate must be valid; `undefined` leaves it to the URL, for a server on this machine. */
  readonly isTlsRequired: boolean | undefined;
  readonly isPgbouncer: boolean;
}

/** A role of an instance. */
type Role = "http" | "jobs";

/** The settings of a service (src/backend/service/README.md, Settings and roles). */
export interface ServiceSettings {
  readonly database: DatabaseSettings;
  readonly payments: PaymentSettings;
  /** What receipts name as the seller; `null` to name none. */
  readonly seller: Seller | null;
  /** Where notifications are posted; `null` to write them to the log. */
  readonly notify: NotifySettings | null;
  /** The origin of pages and links. Port 0, on loopback, is replaced by the port picked. */
  readonly publicUrl: URL;
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  readonly tls: TlsFiles | null;
  /** The proxies whose `X-Forwarded-For` counts, as addresses or ranges. */
  readonly trustProxy: readonly string[];
  /** Whether issuers of identity tokens may be on this machine and in private networks. */
  readonly hasPrivateIssuers: boolean;
  /** The secrets from which all keys are derived, 32 bytes each, newest first. */
  readonly masterKeys: readonly Buffer[];
  readonly roles: readonly Role[];
  readonly connections: number;
  /** How many purchases, renewals or notifications are processed in the background at once. */
  readonly jobs: number;
  readonly licenseLimit: number;
  readonly graceDays: number;
  readonly drainSeconds: number;
  /** Per token, or per address without one. */
  readonly limit: RateLimit;
  readonly logLevel: LogLevel;
  /** Where `/metrics` is served; `null` if it is not served. */
  readonly metricsPort: number | null;
}

/** The longest drain: a service exits within 25 seconds. */
const MAX_DRAIN_SECONDS = 20;

/**
 * Reads the settings of the database alone.
 *
 * @throws BackendError `settings_invalid`, which lists all that are missing or invalid
 */
export function readDatabaseSettings(given: GivenSettings): Promise<DatabaseSettings> {
  return collectSettings(given, databaseSettings);
}

/**
 * Reads the secrets for a command that does not always need them.
 *
 * @returns an empty array if they are not set
 * @throws BackendError `settings_invalid`
 */
export function readMasterKeys(given: GivenSettings): Promise<readonly Buffer[]> {
  return collectSettings(given, async (reader) => masterKeys(reader, await reader.variable("SECRETS_KEY")));
}

/**
 * Reads the settings of the database, and the public URL, for commands that print a link.
 *
 * @throws BackendError `settings_invalid`
 */
export function readLinkSettings(given: GivenSettings): Promise<Pick<ServiceSettings, "database" | "publicUrl">> {
  return collectSettings(given, async (reader) => ({
    database: await databaseSettings(reader),
    publicUrl: await publicUrl(reader),
  }));
}

/**
 * Reads the settings of the database and of the payment provider, for a command that receives no webhooks.
 *
 * @throws BackendError `settings_invalid`
 */
export function readPaymentSettings(given: GivenSettings): Promise<Pick<ServiceSettings, "database" | "payments">> {
  return collectSettings(given, async (reader) => ({
    database: await databaseSettings(reader),
    payments: await paymentSettings(reader, { takesWebhooks: false, seller: null }),
  }));
}

/**
 * Reads which payment provider to use.
 *
 * @throws BackendError `settings_invalid`
 */
export function readProvider(given: GivenSettings): Promise<PaymentSettings["provider"]> {
  return collectSettings(given, async (reader) => providerOf(reader) ?? "stripe");
}

/**
 * Reads the settings of a service.
 *
 * @throws BackendError `settings_invalid`
 */
export function readServiceSettings(given: GivenSettings): Promise<ServiceSettings> {
  return collectSettings(given, async (reader) => {
    const seller = await sellerSetting(reader);
    const settings = {
      database: await databaseSettings(reader),
      payments: await paymentSettings(reader, { takesWebhooks: true, seller: seller.name }),
      seller: seller.details,
      notify: await notifySettings(reader),
      publicUrl: await publicUrl(reader),
      host: reader.flag("host") ?? "127.0.0.1",
      port: reader.number("port", { usual: 8080, min: 0, max: 65_535 }),
      tls: await tlsFiles(reader),
      trustProxy: trustedProxies(reader),
      hasPrivateIssuers: reader.isSet("private-issuers"),
      masterKeys: await masterKeys(reader, await reader.required("SECRETS_KEY")),
      roles: roles(reader),
      connections: reader.number("pool", { usual: 10, min: 1, max: 1_000 }),
      jobs: reader.number("jobs", { usual: 8, min: 1, max: 100 }),
      licenseLimit: reader.number("license-limit", { usual: DEFAULT_LICENSE_LIMIT, min: 1, max: 1_000_000 }),
      graceDays: reader.number("grace-days", { usual: DEFAULT_GRACE_DAYS, min: 0, max: 365 }),
      drainSeconds: reader.number("drain-seconds", { usual: 5, min: 0, max: MAX_DRAIN_SECONDS }),
      limit: {
        rate: reader.number("rate", { usual: 50, min: 1, max: 100_000 }),
        burst: reader.number("burst", { usual: 200, min: 1, max: 1_000_000 }),
      },
      logLevel: logLevel(reader),
      metricsPort:
        reader.flag("metrics-port") === null ? null : reader.number("metrics-port", { usual: 0, min: 0, max: 65_535 }),
    };
    refuseExposure(reader, settings);
    return settings;
  });
}

/** Whether a host, as a URL or a listening server names it, is this machine. */
function isLoopback(host: string): boolean {
  return isLoopbackAuthority(isIP(host) === 6 ? `[${host}]` : host);
}

const PLACEHOLDER = "postgresql://127.0.0.1/unset";

async function databaseSettings(reader: SettingsReader): Promise<DatabaseSettings> {
  const text = (await reader.required("DATABASE_URL", "database")) ?? PLACEHOLDER;
  const ca = await authorities(reader, "database-ca");
  const isPgbouncer = reader.isSet("pgbouncer");
  // A URL without a host is for a socket; the URL parser rejects one that has a user.
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^postgres(ql)?:$/.test(url.protocol)) {
    reader.refuse("--database must be a URL such as postgresql://user@host:5432/database");
    return { url: text, ca, isTlsRequired: true, isPgbouncer };
  }
  if (url.password !== "" && reader.flag("database")) {
    reader.refuse(
      "--database cannot contain a password, which other processes could read: set SECUREFLAG_DATABASE_URL",
    );
  }
  const host = url.searchParams.get("host") ?? url.hostname;
  const isHere = host === "" || host.startsWith("/") || host.startsWith("%2F") || isLoopback(host);
  if (isHere && ca === null) return { url: text, ca, isTlsRequired: undefined, isPgbouncer };
  // The driver lets these parameters turn off certificate verification.
  for (const name of [...url.searchParams.keys()]) if (name.startsWith("ssl")) url.searchParams.delete(name);
  return { url: url.href, ca, isTlsRequired: true, isPgbouncer };
}

async function publicUrl(reader: SettingsReader): Promise<URL> {
  const text = await reader.required("PUBLIC_URL", "public-url");
  const url = new URL(URL.canParse(text ?? "") ? String(text) : "http://127.0.0.1");
  if (text === null) return url;
  const isOrigin = URL.canParse(text) && /^https?:\/\/[^/?#@]+\/?$/.test(text);
  if (!isOrigin) reader.refuse("--public-url must be an origin such as https://billing.example.com");
  else if (url.protocol !== "https:" && !isLoopback(url.hostname)) reader.refuse("--public-url must be https");
  return url;
}

function trustedProxies(reader: SettingsReader): string[] {
  const ranges = (reader.flag("trust-proxy") ?? "").split(",").map((range) => range.trim());
  const given = ranges.filter((range) => range !== "");
  for (const range of given) {
    if (!isRange(range)) reader.refuse(`--trust-proxy must be addresses or ranges such as 10.0.0.0/8, not '${range}'`);
  }
  return given;
}

/** Whether a text is an address or a range in CIDR notation. The range of all addresses would trust every client. */
function isRange(text: string): boolean {
  const [address = "", prefix, ...more] = text.split("/");
  const bits = { 0: 0, 4: 32, 6: 128 }[isIP(address)] ?? 0;
  if (bits === 0 || more.length > 0) return false;
  return prefix === undefined || (/^[1-9]\d{0,2}$/.test(prefix) && Number(prefix) <= bits);
}

const KEY_BYTES = 32;

function masterKeys(reader: SettingsReader, text: string | null): Buffer[] {
  if (text === null) return [];
  const secrets = text.split(",").map((key) => key.trim());
  const isWhole = (key: string) =>
    /^[A-Za-z0-9+/]+={0,2}$/.test(key) && Buffer.from(key, "base64").length === KEY_BYTES;
  if (!secrets.every(isWhole)) {
    reader.refuse(
      `SECUREFLAG_SECRETS_KEY must be ${KEY_BYTES} bytes in base64, optionally followed by older keys, separated by commas`,
    );
  }
  return secrets.map((key) => Buffer.from(key, "base64"));
}

/** Derives the key that signs pages and forms from a master key (RFC 5869), so that neither reveals the other. */
export function pageKeyOf(masterKey: Buffer): Buffer {
  return Buffer.from(hkdfSync("sha256", masterKey, "", "secureflag-licenses pages", KEY_BYTES));
}

function logLevel(reader: SettingsReader): LogLevel {
  const text = reader.flag("log-level");
  const level = LOG_LEVELS.find((each) => each === text);
  if (text !== null && level === undefined) reader.refuse(`--log-level must be one of ${LOG_LEVELS.join(", ")}`);
  return level ?? "info";
}

const ROLES: readonly Role[] = ["http", "jobs"];

function roles(reader: SettingsReader): Role[] {
  const text = reader.flag("roles");
  if (text === null) return [...ROLES];
  const given = text.split(",").map((role) => role.trim());
  const known = ROLES.filter((role) => given.includes(role));
  if (known.length === 0 || given.some((role) => !(ROLES as readonly string[]).includes(role))) {
    reader.refuse("--roles must be http, jobs, or both: http,jobs");
  }
  return known;
}

/** Refuses plain HTTP beyond this machine unless it is behind a proxy. */
function refuseExposure(
  reader: SettingsReader,
  { host, publicUrl: url, tls, trustProxy }: Pick<ServiceSettings, "host" | "publicUrl" | "tls" | "trustProxy">,
): void {
  const isEncrypted = tls !== null || reader.flag("tls-cert") !== null || reader.flag("tls-key") !== null;
  if (isEncrypted || trustProxy.length > 0 || (isLoopback(host) && isLoopback(url.hostname))) return;
  reader.refuse("--tls-cert and --tls-key, or --trust-proxy, are required unless --host and --public-url are loopback");
}
