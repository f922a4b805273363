import type { Command } from "commander";
import { knownMe } from "../../client/missing.ts";
import type { Me } from "../../contract/identity.ts";
import type { Connection } from "../connection/connect.ts";
import { readTotp, totpOption } from "../connection/oneTimeCode.ts";
import type { GlobalOptions } from "../kit/command.ts";
import { amountText, idempotencyKey, shortText, wholeNumber } from "../kit/values.ts";
import type { BuyRequest, Guards } from "./engine/tools.ts";

/** The options of every command that buys, apart from what it buys. */
export interface BuyingOptions extends WaitOptions, Omit<BuyRequest, "wanted" | "quoteFile"> {
  readonly yes: boolean;
  readonly totp: string | null;
}

/** The options of a command that needs licenses and may buy those that are missing. */
export interface BuyMissingOptions extends BuyingOptions {
  /** Whether missing licenses may be bought; a person is still asked. */
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

/** Adds the guards, which stop a purchase. */
function addGuards(command: Command): Command {
  return command
    .option("--max-total <amount>", "maximum total, including tax (e.g. 500.00)", amountText)
    .option("--max-licenses <n>", "maximum number of licenses to buy", wholeNumber(0))
    .option("--if-purchased <n>", "buy only if exactly <n> licenses are purchased now", wholeNumber(0));
}

function readGuards({ maxTotal, maxLicenses, ifPurchased }: GuardFlags): Guards {
  return { maxTotal: maxTotal ?? null, maxLicenses: maxLicenses ?? null, ifPurchased: ifPurchased ?? null };
}

/** Adds the flags of a command that buys. */
export function addBuyingOptions(command: Command): Command {
  addOrderOptions(command)
    .option("--dry-run", "quote and check limits without buying")
    .option("--idempotency-key <key>", "idempotency key of your own: the same key never buys twice", idempotencyKey);
  return addWaitOptions(command).addOption(totpOption());
}

/** Adds the flags of a command that needs licenses and may buy those that are missing. */
export function addBuyMissingOptions(command: Command): Command {
  addOrderOptions(command.option("--buy-missing", "buy missing licenses; off a terminal, without a prompt")).option(
    "--dry-run",
    "show what would be done without doing it",
  );
  return addWaitOptions(command).addOption(totpOption());
}

/** Adds the flags that confirm, stop and describe a purchase. */
function addOrderOptions(command: Command): Command {
  return addGuards(command.option("--yes", "buy without a prompt"))
    .option("--po <number>", "purchase order number", shortText(100))
    .option("--note <text>", "note to keep with the purchase", shortText(500));
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

const MAX_WAIT_SECONDS = 86_400;

/** The options of a command that may wait for a person at the payment page. */
export interface WaitOptions extends GlobalOptions {
  /** `null`: 300 s if it can prompt, else 0. */
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
      "how long to wait for payment or approval (default: 300 in a terminal, else 0)",
      wholeNumber(0, MAX_WAIT_SECONDS),
    )
    .option("--no-open", "do not open the payment page in a browser");
}

/** Reads `--wait` and `--no-open`. */
export function readWait({ wait, open }: WaitFlags): Pick<WaitOptions, "waitSeconds" | "open"> {
  return { waitSeconds: wait ?? null, open };
}

/** Reads who a command acts as: the person and the token's name. */
export async function whoBuys(connection: Connection): Promise<string> {
  return buyerName(await knownMe(connection.client), connection);
}

/** Tokens of the environment, which name nobody. */
const TOKENS: Partial<Record<Connection["signIn"]["source"], string>> = {
  environment: "the token in SECUREFLAG_API_TOKEN",
  token_file: "the token in SECUREFLAG_API_TOKEN_FILE",
  trust: "the job's identity token",
};

/** Names the buyer, as shown before a decision. */
export function buyerName(me: Me | null, { signIn }: Pick<Connection, "signIn">): string {
  if (me !== null) return me.token.name === null ? me.user.email : `${me.user.email}, token ${me.token.name}`;
  return signIn.email ?? TOKENS[signIn.source] ?? "a token";
}
