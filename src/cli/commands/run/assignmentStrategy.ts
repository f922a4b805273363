import { ClientError } from "../../../client/errors.ts";
import { isMissing } from "../../../client/missing.ts";
import type { Context } from "../../context.ts";
import { CliError } from "../../errors.ts";
import { strategyWord } from "../../users/words.ts";
import type { StrategyOptions } from "../organizations.ts";
import { connectToOrganization } from "../shared/connect.ts";
import { doneBefore, printResult } from "../shared/output.ts";
import { withSpinner } from "../shared/spinner.ts";

const SIGN_IN_HINT = "Sign in with `secureflag-licenses login`, and unset SECUREFLAG_API_TOKEN.";

/**
 * Shows what an organization assigns to everybody who is added, or sets it.
 *
 * @throws CliError `forbidden` for setting it with an API token, `users_not_offered`; ClientError
 */
export async function run(options: StrategyOptions, context: Context): Promise<void> {
  const { strategy } = options;
  const { client, organizationId } = await connectToOrganization(context, options, "users");
  const asking = (
    strategy === null
      ? client.assignmentStrategy(organizationId)
      : client.setAssignmentStrategy(organizationId, strategy)
  ).catch((error: unknown) => {
    throw explained(error);
  });
  const words = strategy === null ? "Reading the assignment strategy" : "Setting the assignment strategy";
  const assignmentStrategy = await withSpinner(context, options, words, asking);
  const result = { organizationId, assignmentStrategy };
  const word = strategyWord(assignmentStrategy);
  const printing = printResult(context, options, "organizations assignment-strategy", result, () =>
    strategy === null ? word : `Assignment strategy set to ${word}; it applies to users added from now on.`,
  );
  if (strategy === null) await printing;
  else
    await doneBefore(
      printing,
      `The assignment strategy was set to ${word}`,
      "See `organizations assignment-strategy`.",
    );
}

function explained(error: unknown): unknown {
  if (!(error instanceof ClientError)) return error;
  const { code, message, requestId } = error;
  if (code === "forbidden") return new CliError(code, message, { hint: SIGN_IN_HINT, requestId, cause: error });
  if (!isMissing(error) || code === "not_found") return error;
  const missing = "This backend does not offer to show or set the assignment strategy";
  const hint = "Set it in SecureFlag's portal.";
  return new CliError("users_not_offered", missing, { hint, requestId, cause: error });
}
