import { ClientError } from "../../../client/errors.ts";
import type { Context } from "../../context.ts";
import { CliError } from "../../errors.ts";
import type { AcceptOptions } from "../organizations.ts";
import { connect } from "../shared/connect.ts";
import type { GlobalOptions } from "../shared/globals.ts";
import { doneBefore, printResult } from "../shared/output.ts";
import { withSpinner } from "../shared/spinner.ts";

const SIGN_IN_HINT = "Sign in with `secureflag-licenses login`, and unset SECUREFLAG_API_TOKEN.";
const LIST_HINT = "See `secureflag-licenses organizations list` for your invitations.";

/** Prints the organizations that the signed-in user belongs to, and for people those that invite them. */
export async function list(options: GlobalOptions, context: Context): Promise<void> {
  const { client } = await connect(context, options, "public");
  const { organizations, invitations } = await withSpinner(context, options, "Reading organizations", client.me());
  await printResult(context, options, "organizations list", organizations, async (view) => {
    const { renderOrganizations } = await import("../../render/identity.ts");
    return renderOrganizations(organizations, view, invitations);
  });
}

/**
 * Accepts the invitation of an organization, and prints the organization.
 *
 * @throws CliError `forbidden` with an API token; `not_found` without an invitation
 */
export async function accept(options: AcceptOptions, context: Context): Promise<void> {
  const { client } = await connect(context, options, "public");
  const accepting = client.acceptInvitation(options.id).catch((error: unknown) => {
    throw withHint(error);
  });
  const organization = await withSpinner(context, options, "Accepting the invitation", accepting);
  const result = { ...organization, accepted: true } as const;
  const printing = printResult(context, options, "organizations accept", result, async () => {
    const { renderAcceptedInvitation } = await import("../../render/identity.ts");
    return renderAcceptedInvitation(organization);
  });
  await doneBefore(printing, "The invitation was accepted", "See `secureflag-licenses organizations list`.");
}

/** What helps here is not what helps an administrator. */
function withHint(error: unknown): unknown {
  if (!(error instanceof ClientError)) return error;
  const { code, message, requestId } = error;
  if (code === "forbidden") return new CliError(code, message, { hint: SIGN_IN_HINT, requestId, cause: error });
  if (code === "not_found") return new CliError(code, message, { hint: LIST_HINT, requestId, cause: error });
  return error;
}
