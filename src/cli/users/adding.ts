import { backoffMs } from "../../client/retry.ts";
import type { LicenseCounts } from "../../contract/basics.ts";
import type { Purchase } from "../../contract/billing.ts";
import type { AssignmentStrategy } from "../../contract/constants.ts";
import { type Buying, buyAgainWhatIsMissing, buyAs, conclude } from "../buying/buying.ts";
import { madeBefore } from "../buying/engine/earlier.ts";
import { guardsAfter } from "../buying/engine/guards.ts";
import type { Concluded, PurchasingTools } from "../buying/engine/tools.ts";
import { summarize } from "../buying/jobSummary.ts";
import { type BuyingFlags, type BuyMissingOptions, readBuying } from "../buying/options.ts";
import type { Context } from "../context.ts";
import { CliError, codeOf } from "../errors.ts";
import { awaitPrinting, note, type OutputOptions } from "../kit/output.ts";
import { promptsAllowed } from "../kit/prompt.ts";
import { missingWords } from "../kit/words.ts";
import { LOOK_HINT, notBought, requestFor, type Shortage, shortageOf, stillMissing } from "./shortage.ts";
import { strategyWord } from "./view.ts";

/** The flags of a command that buys the licenses that it needs. */
export interface MissingFlags extends BuyingFlags {
  readonly buyMissing?: boolean;
}

/** Reads the flags of a command that buys the licenses that it needs. */
export function readMissing(flags: MissingFlags) {
  return { ...readBuying(flags), buyMissing: flags.buyMissing === true };
}

const MAX_ROUNDS = 6;

const MAX_PURCHASES = 3;

/** The result of adding users: the answer, or the failure after purchases were made for it. */
export type AddingEnd<Answer> = {
  /** The purchases in order: one, unless others took the licenses before they were used. */
  readonly made: readonly Concluded[];
} & ({ readonly answer: Answer; readonly failure: null } | { readonly answer: null; readonly failure: Error });

/**
 * Adds users, and buys missing licenses first if the options allow it. A purchase aims for as many available licenses as
 * the users take, so it is never made twice, whatever is killed or runs at the same time. If others buy at the same time,
 * their licenses are waited for a little; if others take what was bought, the rest is bought as far as the guards allow
 * in total.
 *
 * @param attempt adds the users; fails with `no_license_available` if licenses are missing
 * @param taken counts the licenses that the added users take
 * @throws CliError, ClientError if no users were added and nothing was bought: `no_license_available` if buying is not
 *   allowed
 */
export async function addWithLicenses<Answer>(
  attempt: () => Promise<Answer>,
  taken: (answer: Answer) => number,
  options: BuyMissingOptions,
  context: Context,
  buying: Buying,
): Promise<AddingEnd<Answer>> {
  const made: Concluded[] = [];
  try {
    const answer = await addInRounds(attempt, made, options, context, buying);
    const before = made.length > 0 ? null : await madeBefore(requestFor(taken(answer), options), buying.tools);
    return { answer, made: before ? [before] : made, failure: null };
  } catch (error) {
    // A purchase is printed, whatever happened after it.
    if (made.length === 0 || !(error instanceof Error)) throw error;
    return { answer: null, made, failure: error };
  }
}

/** Tries and buys in turn, and appends every purchase to `made`. */
async function addInRounds<Answer>(
  attempt: () => Promise<Answer>,
  made: Concluded[],
  options: BuyMissingOptions,
  context: Context,
  buying: Buying,
): Promise<Answer> {
  const { tools } = buying;
  for (let round = 1; ; round += 1) {
    const outcome = await tryToAdd(attempt, tools);
    if ("answer" in outcome) return outcome.answer;
    const { shortage } = outcome;
    if (round === MAX_ROUNDS || made.length === MAX_PURCHASES) throw stillMissing(shortage);
    if (round === 1 && canBuy(options, context)) tools.say(`${missingWords(shortage.missing)}.`);
    const bought = await buyFor(
      shortage,
      { ...options, ...guardsAfter(options, purchasesOf(made)) },
      context,
      buying,
    ).catch((error: unknown) => {
      throw withPurchases(made, error);
    });
    if (bought?.result.purchase && isNew(bought.result.purchase, made)) {
      made.push(bought);
      if (bought.failure) throw bought.failure;
    } else {
      const pause = backoffMs(round, (1 + context.random.fraction()) / 2);
      await tools.busy("Waiting for licenses of other purchases", context.clock.sleep(pause));
    }
  }
}

async function tryToAdd<Answer>(
  attempt: () => Promise<Answer>,
  { setInterruption }: PurchasingTools,
): Promise<{ readonly answer: Answer } | { readonly shortage: Shortage }> {
  setInterruption({
    message: "The users may have been added.",
    hint: "Running the same command again is safe: it names users who already exist.",
  });
  try {
    return { answer: await attempt() };
  } catch (error) {
    const shortage = shortageOf(error);
    if (shortage === null) throw error;
    return { shortage };
  } finally {
    setInterruption(null);
  }
}

function purchasesOf(made: readonly Concluded[]): Purchase[] {
  return made.flatMap(({ result }) => result.purchase ?? []);
}

/** Reports whether a purchase is not in the list yet: buying may find an earlier one again. */
function isNew({ id }: Purchase, made: readonly Concluded[]): boolean {
  return purchasesOf(made).every((earlier) => earlier.id !== id);
}

/** Reports whether licenses may be bought: a person is asked, a script passed `--buy-missing`. */
function canBuy(options: BuyMissingOptions, context: Context): boolean {
  return options.buyMissing || isAsked(options, context);
}

function isAsked(options: BuyMissingOptions, context: Context): boolean {
  return !options.yes && promptsAllowed(context, options);
}

/**
 * Buys the missing licenses.
 *
 * @returns `null` if others changed the subscription, and nothing was bought
 * @throws CliError `no_license_available` if buying is not allowed; what buying throws
 */
async function buyFor(
  shortage: Shortage,
  options: BuyMissingOptions,
  context: Context,
  buying: Buying,
): Promise<Concluded | null> {
  const { tools } = buying;
  if (!canBuy(options, context)) throw await notBought(shortage, tools);
  const request = requestFor(shortage.needed, options, shortage.version);
  const buyAgain = buyAgainWhatIsMissing(request.wanted, tools);
  try {
    return await buyAs(request, { ...options, yes: !isAsked(options, context) }, context, buying, { buyAgain });
  } catch (error) {
    if (codeOf(error) === "subscription_changed") return null;
    throw error;
  }
}

/** Rewords the reason why nothing was bought for the case that something was bought before. */
function withPurchases(made: readonly Concluded[], error: unknown): unknown {
  const code = codeOf(error);
  const more = made.length === 0 ? "" : "more ";
  if (code === "declined_by_person" || code === "interrupted") {
    return new CliError(code, `Canceled. Nothing ${more}was bought. No users were added`, { cause: error });
  }
  if (made.length === 0 || !(error instanceof Error) || code === null) return error;
  const message = `Others took the licenses that were bought. ${error.message.replace(/\.$/, "")}. No users were added`;
  return new CliError(code, message, { hint: LOOK_HINT, cause: error });
}

/** The part of the answer that every command that adds users prints. */
interface AddedAnswer {
  readonly organizationLicenses: LicenseCounts;
  readonly assignmentStrategy?: AssignmentStrategy | undefined;
}

/** Builds the output that all commands that add users have in common. */
export function addingOutput({ answer, made }: AddingEnd<AddedAnswer>) {
  const purchases = purchasesOf(made);
  const earlierPurchases = purchases.slice(0, -1);
  return {
    purchase: purchases.at(-1) ?? null,
    licenses: answer?.organizationLicenses ?? made.at(-1)?.result.licenses ?? null,
    dryRun: false,
    ...(answer?.assignmentStrategy && { assignmentStrategy: answer.assignmentStrategy }),
    ...(earlierPurchases.length > 0 && { earlierPurchases }),
  };
}

/** Notes on stderr what the added users are assigned. */
export function noteStrategy(
  context: Context,
  options: OutputOptions,
  { assignmentStrategy }: { readonly assignmentStrategy?: AssignmentStrategy | undefined },
): void {
  if (assignmentStrategy === undefined) return;
  const change = "Change it with `secureflag-licenses organizations assignment-strategy`.";
  note(context, options, `Assignment strategy for new users: ${strategyWord(assignmentStrategy)}. ${change}`);
}

/**
 * Finishes a command that adds users: prints its result, then throws the failure after a purchase, if any.
 *
 * @param print prints the result; returns whether it was taken
 * @throws as `conclude`
 */
export async function concludeAdding(
  { answer, made, failure }: AddingEnd<unknown>,
  { tools }: Buying,
  options: BuyMissingOptions,
  context: Context,
  print: () => Promise<boolean>,
): Promise<void> {
  const last = made.at(-1);
  const purchase = last?.result.purchase ?? null;
  if (purchase !== null && last?.failure) await summarize(context, options, tools.client.origin, [purchase]);
  const ended = { result: { purchase, dryRun: false }, endedKey: last?.endedKey ?? null, failure };
  const concluding = conclude(ended, tools.journal, options, context, print);
  const hint =
    "See `secureflag-licenses users list --all` and `purchases list`. Running the same command again is safe.";
  await (answer === null ? concluding : awaitPrinting(concluding, "The users were added", hint));
}
