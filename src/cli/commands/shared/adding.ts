import { backoffMs } from "../../../client/retry.ts";
import type { Context } from "../../context.ts";
import { CliError, codeOf } from "../../errors.ts";
import { promptsAllowed } from "../../prompts/asking.ts";
import { madeBefore } from "../../purchasing/earlier.ts";
import type { Concluded, PurchasingTools } from "../../purchasing/tools.ts";
import { type Buying, buyAgainWhatIsMissing, buyAs } from "./buying.ts";
import type { BuyMissingOptions } from "./buyOptions.ts";
import { conclude } from "./conclude.ts";
import { summarize } from "./jobSummary.ts";
import { missingWords, notBought, requestFor, type Shortage, shortageOf, stillMissing } from "./shortage.ts";

const MOST_ROUNDS = 6;

/** How adding users ended: with the backend's answer, or with a purchase for it that is told first. */
export type AddingEnd<Answer> =
  | { readonly answer: Answer; readonly bought: Concluded | null; readonly failure: null }
  | { readonly answer: null; readonly bought: Concluded; readonly failure: Error };

/**
 * Adds users. Where licenses are missing it buys them as the command was told to, once at most, and then adds: the
 * purchase aims for as many available licenses as the users take, so that it is never made twice, whatever is killed or
 * runs at the same time. Where others buy at the same time, theirs are waited for a little.
 *
 * @param attempt adds the users, or says that licenses are missing
 * @param taken how many licenses those who were added take
 * @throws CliError, ClientError with nobody added and nothing bought: `no_license_available` where nothing may be bought
 */
export async function addWithLicenses<Answer>(
  attempt: () => Promise<Answer>,
  taken: (answer: Answer) => number,
  options: BuyMissingOptions,
  context: Context,
  buying: Buying,
): Promise<AddingEnd<Answer>> {
  for (let round = 1; ; round += 1) {
    const outcome = await tryToAdd(attempt, buying.tools);
    if ("answer" in outcome) {
      const request = requestFor(taken(outcome.answer), options);
      return { answer: outcome.answer, bought: await madeBefore(request, buying.tools), failure: null };
    }
    const { shortage } = outcome;
    const bought = await buyFor(shortage, round, options, context, buying);
    if (bought?.failure) return { answer: null, bought, failure: bought.failure };
    if (bought?.result.purchase) return await addAfter(bought, attempt, buying.tools);
    if (round === MOST_ROUNDS) throw stillMissing(shortage);
    const pause = backoffMs(round, (1 + context.random.fraction()) / 2);
    await buying.tools.busy("Waiting for licenses that others buy", context.clock.sleep(pause));
  }
}

async function tryToAdd<Answer>(
  attempt: () => Promise<Answer>,
  { setInterruption }: PurchasingTools,
): Promise<{ readonly answer: Answer } | { readonly shortage: Shortage }> {
  setInterruption({
    message: "Whoever was to be added may be added already.",
    hint: "Running the same command again is safe: it names those who are users already.",
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

/** Adds users whose licenses were bought. The purchase was made, so that it is told whatever comes now. */
async function addAfter<Answer>(
  bought: Concluded,
  attempt: () => Promise<Answer>,
  tools: PurchasingTools,
): Promise<AddingEnd<Answer>> {
  try {
    const outcome = await tryToAdd(attempt, tools);
    if ("answer" in outcome) return { answer: outcome.answer, bought, failure: null };
    return { answer: null, bought, failure: stillMissing(outcome.shortage) };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return { answer: null, bought, failure: error };
  }
}

/**
 * Buys what is missing where that is wanted: a person is asked, a script has said so with `--buy-missing`.
 *
 * @param round how often adding was tried, from 1
 * @returns `null` where others kept changing the subscription, and nothing was bought
 * @throws CliError `no_license_available` where nothing may be bought; `declined_by_person`; what buying throws
 */
async function buyFor(
  shortage: Shortage,
  round: number,
  options: BuyMissingOptions,
  context: Context,
  buying: Buying,
): Promise<Concluded | null> {
  const { tools } = buying;
  const isAsked = !options.yes && promptsAllowed(context, options);
  if (!isAsked && !options.buyMissing) throw await notBought(shortage, tools);
  if (round === 1) tools.say(`${missingWords(shortage.missing)}.`);
  const request = requestFor(shortage.needed, options);
  const buyAgain = buyAgainWhatIsMissing(request.wanted, tools);
  try {
    return await buyAs(request, { ...options, yes: !isAsked }, context, buying, { buyAgain });
  } catch (error) {
    const code = codeOf(error);
    if (code === "subscription_changed" && round < MOST_ROUNDS) return null;
    if (code !== "declined_by_person") throw error;
    throw new CliError(code, "Nothing was bought, and nobody was added", { cause: error });
  }
}

/**
 * Ends a command that added users: prints its result, then ends with what went wrong after a purchase was made.
 *
 * @param print prints the result; gives whether it was taken
 * @throws as `conclude`
 */
export async function concludeAdding(
  { answer, bought, failure }: AddingEnd<unknown>,
  { tools }: Buying,
  options: BuyMissingOptions,
  context: Context,
  print: () => Promise<boolean>,
): Promise<void> {
  const purchase = bought?.result.purchase ?? null;
  if (purchase !== null && bought?.failure) await summarize(context, options, tools.client.origin, [purchase]);
  const ended = { result: { purchase, dryRun: false }, endedKey: bought?.endedKey ?? null, failure };
  await conclude(ended, tools.journal, context, print).catch((error: unknown) => {
    throw answer === null ? error : notPrinted(error);
  });
}

/** What was done stays done where nobody could be told. */
function notPrinted(cause: unknown): unknown {
  const code = codeOf(cause);
  if (code !== "output_not_written" && code !== "result_not_printed") return cause;
  return new CliError(code, "Whoever was to be added was added, but the result could not be printed", {
    hint: "Look at `secureflag-licenses users list --all` and `purchases list`. Running the same command again is safe.",
    cause,
  });
}
