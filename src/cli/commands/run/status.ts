import type { Context } from "../../context.ts";
import { CliError } from "../../errors.ts";
import { licenses } from "../../render/words.ts";
import { type Connection, connect } from "../shared/connect.ts";
import { printResult, warn } from "../shared/output.ts";
import { withSpinner } from "../shared/spinner.ts";
import type { StatusOptions } from "../status.ts";

/**
 * Prints the subscription, and warns on stderr of what an administrator should act on.
 *
 * @throws CliError `too_few_available` with nothing printed; what connecting and reading throw
 */
export async function run(options: StatusOptions, context: Context): Promise<void> {
  const connection = await connect(context, options, "billing");
  const reading = connection.organizationId().then((id) => connection.client.subscription(id));
  // Asked meanwhile: what it says is worth a warning, and its failing is none.
  const expiring = tokenExpiry(options, connection);
  const subscription = await withSpinner(context, options, "Reading the subscription", reading);
  const { available } = subscription.licenses;
  const least = options.failIfAvailableBelow;
  if (least !== null && available < least) {
    throw new CliError(
      "too_few_available",
      `${licenses(available)} ${available === 1 ? "is" : "are"} available, fewer than ${least}`,
      {
        hint: `Buy more with \`secureflag-licenses buy ${least - available}\`.`,
      },
    );
  }
  await printResult(context, options, "status", subscription, async (view) => {
    const { renderStatus } = await import("../../render/status.ts");
    return renderStatus(subscription, view);
  });
  if (options.json || options.quiet) return;
  const { subscriptionWarnings } = await import("../../render/warnings.ts");
  const expiry = await expiring;
  for (const warning of [...subscriptionWarnings(subscription), ...(expiry === null ? [] : [expiry])])
    warn(context, options, warning);
}

/** Whether the API token in use ends soon. A person's sign-in renews itself. */
async function tokenExpiry(options: StatusOptions, { client, signIn }: Connection): Promise<string | null> {
  if (options.json || options.quiet || signIn.isSession) return null;
  const { tokenWarning } = await import("../../render/warnings.ts");
  return await client.me().then(
    ({ token }) => tokenWarning(token),
    () => null,
  );
}
