import type { Context } from "../../context.ts";
import { CliError } from "../../errors.ts";
import { connect } from "../shared/connect.ts";
import { printResult } from "../shared/output.ts";
import { withSpinner } from "../shared/spinner.ts";
import type { StatusOptions } from "../status.ts";

/**
 * Prints the subscription.
 *
 * @throws CliError `too_few_available` with nothing printed; what connecting and reading throw
 */
export async function run(options: StatusOptions, context: Context): Promise<void> {
  const { client, organizationId } = await connect(context, options);
  const reading = organizationId().then((id) => client.subscription(id));
  const subscription = await withSpinner(context, options, "Reading the subscription", reading);
  const { available } = subscription.licenses;
  const least = options.failIfAvailableBelow;
  if (least !== null && available < least) {
    throw new CliError("too_few_available", `${available} licenses are available, fewer than ${least}`, {
      hint: `Buy more with \`secureflag-licenses buy ${least - available}\`.`,
    });
  }
  await printResult(context, options, "status", subscription, async (view) => {
    const { renderStatus } = await import("../../render/status.ts");
    return renderStatus(subscription, view);
  });
}
