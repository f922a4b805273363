import type { Command } from "commander";
import type { Context } from "../context.ts";
import { someText } from "../kit/values.ts";

/** Settings as they are given to the backend, which checks all of them at once. */
export interface GivenSettings {
  /** By the name of the flag without its dashes. */
  readonly flags: Readonly<Record<string, string | boolean | undefined>>;
  readonly env: Context["env"];
}

/** Adds the flags of a database. */
export function addDatabaseFlags(command: Command): Command {
  return command
    .option("--database <url>", "URL of the database (or set SECUREFLAG_DATABASE_URL)", someText)
    .option("--database-ca <file>", "CA certificates to trust for the database", someText)
    .option("--pgbouncer", "the database is behind PgBouncer in transaction mode");
}

/** Adds the flag of the public URL. */
export function addPublicUrlFlag(command: Command): Command {
  return command.option("--public-url <url>", "origin of pages and links (or set SECUREFLAG_PUBLIC_URL)", someText);
}

/** Adds the flag that allows what is only for tests. */
export function addTestModeFlag(command: Command): Command {
  return command.option("--test-mode", "allow test cards and test data; no money moves");
}

/** Adds the flags of the payment provider. */
export function addPaymentFlags(command: Command): Command {
  return addTestModeFlag(command.option("--payments <provider>", "payment provider: sandbox", someText));
}

/** Adds the flags of the service. */
export function addServiceFlags(command: Command): Command {
  const listening = addPublicUrlFlag(addDatabaseFlags(command))
    .option("--host <address>", "address to listen on (default: 127.0.0.1)", someText)
    .option("--port <n>", "port to listen on (default: 8080; 0 picks a free one)", someText)
    .option("--tls-cert <file>", "certificate with its chain", someText)
    .option("--tls-key <file>", "private key of the certificate", someText)
    .option("--trust-proxy <ranges>", "proxies that may name the client's address, separated by commas", someText);
  return addPaymentFlags(listening)
    .option("--pool <n>", "connections to the database (default: 10)", someText)
    .option("--jobs <n>", "background jobs at a time (default: 8)", someText)
    .option("--roles <roles>", "what the instance does: http, jobs, or both (default)", someText)
    .option("--license-limit <n>", "licenses per purchase at most (default: 10000)", someText)
    .option("--grace-days <n>", "days that licenses stay usable while a renewal is unpaid (default: 14)", someText)
    .option("--rate <n>", "sustained requests per second of a token (default: 50)", someText)
    .option("--burst <n>", "requests of a token in a burst (default: 200)", someText)
    .option("--metrics-port <n>", "port for `/metrics` (default: none; 0 picks a free one)", someText)
    .option("--log-level <level>", "error, warn, info or debug (default: info)", someText)
    .option("--drain-seconds <n>", "seconds to keep serving after SIGTERM (default: 5)", someText);
}

/** The settings that a command was called with; those of `serve` may also come before its subcommand. */
export function givenSettings(command: Command, { env }: Pick<Context, "env">): GivenSettings {
  const values: Record<string, string | boolean | undefined> = command.optsWithGlobals();
  const dashed = Object.entries(values).map(([name, value]) => [
    name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`),
    value,
  ]);
  return { flags: Object.fromEntries(dashed), env };
}
