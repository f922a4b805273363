import type { Command } from "commander";
import { knownMe } from "../../client/missing.ts";
import type { Me } from "../../contract/identity.ts";
import type { Connection } from "../connection/connect.ts";
import { readTotp, totpOption } from "../connection/oneTimeCode.ts";
import type { GlobalOptions } from "../kit/command.ts";
import { amountText, idempotencyKey, shortText, wholeNumber } from "../kit/values.ts";
import type { BuyRequest, Guards } from "./engine/tools.ts";

/** What every command that buys was told beside what it buys. */
export interface BuyingOptions extends WaitOptions, Omit<BuyRequest, "wanted" | "quoteFile"> {
  readonly yes: boolean;
  readonly totp: string | null;
}

/** What a command that takes licenses was told about buying those that are missing. */
export interface BuyMissingOptions extends BuyingOptions {
  /** Whether they may be bought: a script's consent, which a person is asked for again. */
  readonly buyMissing: boolean;
}

/** The guards as commander gives them. */
interface GuardFlags {
  readonly maxTotal?: string;
  readonly maxLicenses?: number;
  readonly ifPurchased?: number;
}

/** The flags of a command that buys as commander gives them. */
export interface BuyingFlags extends WaitFlags, GuardFlags {
  readonly yes?: boolean;
  readonly po?: string;
  readonly note?: string;
  readonly dryRun?: boolean;
  readonly idempotencyKey?: string;
  readonly totp?: string;
}

/** Adds the guards: what stops a purchase. */
function addGuards(command: Command): Command {
  return command
    .option("--max-total <amount>", "buy only up to this total with tax, such as 500.00", amountText)
    .option("--max-licenses <n>", "buy at most this many licenses", wholeNumber(0))
    .option("--if-purchased <n>", "buy only if this many licenses are purchased now", wholeNumber(0));
}

function readGuards({ maxTotal, maxLicenses, ifPurchased }: GuardFlags): Guards {
  return { maxTotal: maxTotal ?? null, maxLicenses: maxLicenses ?? null, ifPurchased: ifPurchased ?? null };
}

/** Adds the flags of a command that buys. */
export function addBuyingOptions(command: Command): Command {
  addOrderOptions(command)
    .option("--dry-run", "quote and check the guards, buy nothing")
    .option("--idempotency-key <key>", "a key of your own: it buys once", idempotencyKey);
  return addWaitOptions(command).addOption(totpOption());
}

/** Adds the flags of a command that takes licenses, and may buy those that are missing. */
export function addBuyMissingOptions(command: Command): Command {
  addOrderOptions(command.option("--buy-missing", "buy the licenses that are missing")).option(
    "--dry-run",
    "say what would be done, change nothing",
  );
  return addWaitOptions(command).addOption(totpOption());
}

/** Adds how a purchase is confirmed, what stops it, and what is kept with it. */
function addOrderOptions(command: Command): Command {
  return addGuards(command.option("--yes", "buy without asking"))
    .option("--po <number>", "purchase order number", shortText(100))
    .option("--note <text>", "a note on the purchase", shortText(500));
}

/** Reads the flags of a command that buys. */
export function readBuying(flags: BuyingFlags): Omit<BuyingOptions, keyof Omit<WaitOptions, "waitSeconds" | "open">> {
  return {
    yes: flags.yes === true,
    ...readGuards(flags),
    purchaseOrder: flags.po ?? null,
    note: flags.note ?? null,
    dryRun: flags.dryRun === true,
    explicitKey: flags.idempotencyKey ?? null,
    totp: readTotp(flags.totp),
    ...readWait(flags),
  };
}

const LONGEST_WAIT_SECONDS = 86_400;

/** What a command that may wait for a person at the payment page was told. */
export interface WaitOptions extends GlobalOptions {
  /** `null` is 300 s where a prompt could appear, else 0. */
  readonly waitSeconds: number | null;
  /** False with `--no-open`: the payment page is not opened in a browser. */
  readonly open: boolean;
}

/** The flags as commander gives them. */
export interface WaitFlags {
  readonly wait?: number;
  readonly open: boolean;
}

/** Adds `--wait` and `--no-open`. */
export function addWaitOptions(command: Command): Command {
  return command
    .option(
      "--wait <seconds>",
      "for a person at the payment page (default: 300 in a terminal, else 0)",
      wholeNumber(0, LONGEST_WAIT_SECONDS),
    )
    .option("--no-open", "do not open the payment page in a browser");
}

/** Reads `--wait` and `--no-open`. */
export function readWait({ wait, open }: WaitFlags): Pick<WaitOptions, "waitSeconds" | "open"> {
  return { waitSeconds: wait ?? null, open };
}

/** Who a command acts as: the person and the token's name. */
export async function whoBuys(connection: Connection): Promise<string> {
  return buyerName(await knownMe(connection.client), connection);
}

/** A buyer's name, as a person is shown it before they decide. */
export function buyerName(me: Me | null, { signIn }: Pick<Connection, "signIn">): string {
  if (me !== null) return me.token.name === null ? me.user.email : `${me.user.email}, token ${me.token.name}`;
  return signIn.email ?? (signIn.source === "environment" ? "the token in SECUREFLAG_API_TOKEN" : "a token");
}
