import type { Command } from "commander";
import type { Context } from "../context.ts";
import { someText } from "../kit/values.ts";

/** Settings passed to the backend, which validates all of them at once. */
export interface GivenSettings {
  /** By flag name, without the dashes. */
  readonly flags: Readonly<Record<string, string | boolean | undefined>>;
  readonly env: Context["env"];
}

/** Adds the flags of a database. */
export function addDatabaseFlags(command: Command): Command {
  return command
    .option("--database <url>", "URL of the database (or set SECUREFLAG_DATABASE_URL)", someText)
    .option("--database-ca <file>", "CA certificates to trust for the database", someText)
    .option("--pgbouncer", "connect through PgBouncer in transaction mode");
}

/** Adds the flag of the public URL. */
export function addPublicUrlFlag(command: Command): Command {
  return command.option("--public-url <url>", "origin of pages and links (or set SECUREFLAG_PUBLIC_URL)", someText);
}

/** Adds the flag that allows test cards and test data. */
function addTestModeFlag(command: Command): Command {
  return command.option("--test-mode", "allow test keys, cards and data; no money moves");
}

/** Adds the flags of the payment provider for an operator command. */
export function addPaymentFlags(command: Command): Command {
  return addProviderFlag(command, "stripe or sandbox (default: the service's)");
}

function addProviderFlag(command: Command, choices: string): Command {
  return addTestModeFlag(command.option("--payments <provider>", `payment provider: ${choices}`, someText));
}

/** Adds the flag that limits requests to Stripe. */
export function addStripeRateFlag(command: Command): Command {
  return command.option("--stripe-rate <n>", "maximum requests to Stripe per second (default: 40)", someText);
}

/** Adds the flags of the payment provider for commands that sell through it. */
function addSellingFlags(command: Command): Command {
  return addStripeRateFlag(addProviderFlag(command, "stripe (default) or sandbox"))
    .option("--minimum-charge <list>", "minimum charges Stripe does not list, such as KES=50", someText)
    .option("--seller <seller>", "seller: a name, or JSON for receipts (or set SECUREFLAG_SELLER)", someText);
}

/** Adds the flags of the service. */
export function addServiceFlags(command: Command): Command {
  const listening = addPublicUrlFlag(addDatabaseFlags(command))
    .option("--host <address>", "address to listen on (default: 127.0.0.1)", someText)
    .option("--port <n>", "port to listen on (default: 8080; 0 picks a free one)", someText)
    .option("--tls-cert <file>", "TLS certificate chain, PEM", someText)
    .option("--tls-key <file>", "TLS private key, PEM", someText)
    .option("--trust-proxy <ranges>", "comma-separated proxies to trust for `X-Forwarded-For`", someText)
    .option("--private-issuers", "allow trusts whose issuer is in a private network");
  return addSellingFlags(listening)
    .option("--notify-url <url>", "where to post notifications (or set SECUREFLAG_NOTIFY_URL)", someText)
    .option("--pool <n>", "maximum database connections (default: 10)", someText)
    .option("--jobs <n>", "concurrent background jobs (default: 8)", someText)
    .option("--roles <roles>", "roles of the instance: http, jobs, or both (default)", someText)
    .option("--license-limit <n>", "maximum licenses per purchase (default: 10000)", someText)
    .option("--grace-days <n>", "days that licenses stay usable while a renewal is unpaid (default: 14)", someText)
    .option("--rate <n>", "sustained requests per second per token (default: 50)", someText)
    .option("--burst <n>", "maximum burst of requests per token (default: 200)", someText)
    .option("--metrics-port <n>", "port for `/metrics` (default: none; 0 picks a free one)", someText)
    .option("--log-level <level>", "log level: error, warn, info or debug (default: info)", someText)
    .option("--drain-seconds <n>", "seconds to keep serving after SIGTERM (default: 5)", someText);
}

/** Returns the settings passed to a command; flags of `serve` may also come before its subcommand. */
export function givenSettings(command: Command, { env }: Pick<Context, "env">): GivenSettings {
  const values: Record<string, string | boolean | undefined> = command.optsWithGlobals();
  const dashed = Object.entries(values).map(([name, value]) => [
    name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`),
    value,
  ]);
  return { flags: Object.fromEntries(dashed), env };
}
