import { DEFAULT_LICENSE_LIMIT } from "../../billing/quote.ts";
import { connectToOrganization } from "../connection/connect.ts";
import { assertOffered, resolveTarget } from "../connection/target.ts";
import type { Context } from "../context.ts";
import { CliError, codeOf } from "../errors.ts";
import { tokenVariable } from "../io.ts";
import { type View, viewOf } from "../kit/output.ts";
import { askFor, choose } from "../kit/prompt.ts";
import { withSpinner } from "../kit/spinner.ts";
import { fields } from "../kit/table.ts";
import { wholeNumber } from "../kit/values.ts";
import { counts, dateAhead, organizationAndMode, withTax } from "../kit/words.ts";
import { wrap } from "../kit/wrap.ts";
import { type Buying, purchasingTools } from "./buying.ts";
import { type Offer, priceOffer } from "./engine/offer.ts";
import type { BuyingOptions } from "./options.ts";

/** What a person at the terminal wants, and the connection that was made to ask. */
export interface Guided {
  readonly licenses: number;
  readonly buying: Buying;
}

/**
 * Leads a person to a purchase: offers to sign in where nobody is, shows the subscription and the price of one license, and
 * asks how many. Everything is shown on stderr.
 *
 * @throws CliError `declined_by_person`, `interrupted`; what signing in, connecting and quoting throw
 */
export async function askWhatToBuy(options: BuyingOptions, context: Context): Promise<Guided> {
  try {
    const { buying, offer } = await signedIn(options, context, () => priceOne(options, context));
    context.io.note(`${renderPrice(offer, await viewOf(context, options, "stderr"))}\n`);
    const most = Math.max(1, Math.min(DEFAULT_LICENSE_LIMIT, options.maxLicenses ?? DEFAULT_LICENSE_LIMIT));
    const licenses = await askFor(context, options, "How many licenses do you want to buy?", wholeNumber(1, most));
    return { licenses, buying };
  } catch (error) {
    const code = codeOf(error);
    if (code !== "declined_by_person" && code !== "interrupted") throw error;
    throw new CliError(code, "Canceled. Nothing was bought", { cause: error });
  }
}

async function priceOne(options: BuyingOptions, context: Context): Promise<{ buying: Buying; offer: Offer }> {
  const { connection, client, organizationId } = await connectToOrganization(context, options, "billing");
  const offer = await withSpinner(context, options, "Pricing", priceOffer(client, organizationId, 1));
  const tools = await purchasingTools(context, options, { client, organizationId });
  return { buying: { connection, tools }, offer };
}

/** Does what needs a sign-in. If nobody is signed in, or the stored sign-in is refused, lets the person sign in first. */
async function signedIn<Result>(
  options: BuyingOptions,
  context: Context,
  work: () => Promise<Result>,
): Promise<Result> {
  const { env } = context;
  const target = await resolveTarget(context, options);
  assertOffered(target, tokenVariable(env) !== null, "billing");
  try {
    return await work();
  } catch (error) {
    const isSignedOut = codeOf(error) === "not_signed_in" || codeOf(error) === "unauthenticated";
    const isOfPerson = tokenVariable(env) === null && !env.SECUREFLAG_TRUST && !env.SECUREFLAG_ID_TOKEN;
    if (!isSignedOut || !isOfPerson || !(error instanceof Error)) throw error;
    const { width } = await viewOf(context, options, "stderr");
    context.io.note(`${wrap(`${error.message.replace(/\.$/, "")}.`, width)}\n`);
  }
  await signIn(options, context);
  return await work();
}

const WAYS = ["Sign in with your browser", "Sign in with email and password"] as const;

async function signIn(options: BuyingOptions, context: Context): Promise<void> {
  const isWeb = (await choose(context, options, WAYS)) === 0;
  const email = isWeb ? null : await askFor(context, options, "Email", (text) => text || null);
  // Imported here, because most purchases are made by who is signed in.
  const { signInAndStore } = await import("../account/signInAndStore.ts");
  const plain = { passwordStdin: false, insecureStorage: false, withToken: false };
  await signInAndStore({ ...options, ...plain, email, web: isWeb, totp: null }, context);
}

/** Renders the subscription in short, and what one license costs until the renewal. */
function renderPrice({ subscription, quote }: Offer, view: View): string {
  const { licenses, term, renewal } = subscription;
  const { total, dueNow: net, tax } = quote;
  return fields(
    [
      ["Organization", organizationAndMode(subscription, view)],
      ["Licenses", counts(licenses)],
      [renewal.autoRenew ? "Renewal" : "Ends", dateAhead(term.renewalDate, term.daysRemaining)],
      ["Price", `${view.style.bold(withTax({ total, net, tax }))} a license until ${term.renewalDate}`],
    ],
    view,
  );
}
