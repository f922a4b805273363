import type { Client } from "../../client/client.ts";
import { isMissing } from "../../client/missing.ts";
import { BASE_PATH } from "../../contract/constants.ts";
import type { Me } from "../../contract/identity.ts";
import type { Context } from "../context.ts";
import { CliError } from "../errors.ts";
import { tokenVariable } from "../io.ts";
import type { GlobalOptions } from "../kit/command.ts";
import { withSpinner } from "../kit/spinner.ts";
import { clean, shorten } from "../kit/text.ts";
import { createTargetClient, type SignIn } from "./client.ts";
import type { OneTimeCodeOptions } from "./oneTimeCode.ts";
import { findSignIn } from "./signIn.ts";
import { assertOffered, type Need, resolveTarget, type Target } from "./target.ts";

const JOIN_ONE = "Ask an administrator to add you, or sign in as another user: `secureflag-licenses login`.";

const NAME_ONE = "Pass --org <id> or set SECUREFLAG_ORGANIZATION.";

/** A signed-in way to a backend. */
export interface Connection {
  readonly client: Client;
  readonly target: Target;
  readonly signIn: SignIn;
  /**
   * The organization: the one that is set, else the only one that `/me` lists.
   *
   * @throws CliError `organization_required` with the list
   */
  organizationId(): Promise<number>;
}

/**
 * Finds backend and sign-in, and connects them. Sends nothing yet.
 *
 * @param need what the command needs of the backend
 * @throws CliError `invalid_usage`, `profile_unknown`, `not_signed_in`, `billing_not_offered`, `users_not_offered`
 */
export async function connect(
  context: Context,
  options: GlobalOptions & OneTimeCodeOptions,
  need: Need,
): Promise<Connection> {
  const target = await resolveTarget(context, options);
  assertOffered(target, tokenVariable(context.env) !== null, need);
  const signIn = await findSignIn(context, target, options);
  const client = await createTargetClient(context, options, target.apiUrl, signIn);
  let known = target.organizationId;
  const organizationId = async () => {
    known ??= await onlyOrganization(client);
    return known;
  };
  return { client, target, signIn, organizationId };
}

/**
 * Connects a command that is about one organization.
 *
 * @throws CliError as `connect`, and `organization_required`
 */
export async function connectToOrganization(
  context: Context,
  options: GlobalOptions & OneTimeCodeOptions,
  need: Need,
): Promise<{ connection: Connection; client: Client; organizationId: number }> {
  const connection = await connect(context, options, need);
  const finding = withSpinner(context, options, "Finding the organization", connection.organizationId());
  return { connection, client: connection.client, organizationId: await finding };
}

async function onlyOrganization(client: Pick<Client, "me">): Promise<number> {
  const { organizations, invitations = [] } = await client.me().catch((error: unknown) => {
    throw isMissing(error) ? organizationNotReported(error) : error;
  });
  const [only, another] = organizations;
  if (only && !another) return only.id;
  const list = organizations.map(({ id, name }) => `${id} (${clean(name)})`).join(", ");
  throw only
    ? new CliError("organization_required", `You belong to several organizations: ${list}`, { hint: NAME_ONE })
    : new CliError("organization_required", "You belong to no organization", { hint: waysToJoin(invitations) });
}

function waysToJoin([invitation]: NonNullable<Me["invitations"]>): string {
  if (!invitation) return JOIN_ONE;
  const accept = `secureflag-licenses organizations accept ${invitation.id}`;
  return `${shorten(clean(invitation.name))} invites you. Accept with \`${accept}\`.`;
}

/** The failure of a backend without `GET /me` where the organization has to be known. */
export function organizationNotReported(cause: unknown): CliError {
  return new CliError("organization_required", "The backend does not report which organizations you belong to", {
    hint: `Check the API URL: a sandbox's ends with ${BASE_PATH}. ${NAME_ONE}`,
    cause,
  });
}
