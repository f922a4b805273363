import { ROLES, takesLicense } from "../../../billing/roles.ts";
import type { AddUserRequest } from "../../../contract/users.ts";
import type { Context } from "../../context.ts";
import { CliError } from "../../errors.ts";
import type { Output } from "../../outputs.ts";
import { readAllUsers, withEmail } from "../../users/pages.ts";
import { addingOutput, addWithLicenses, concludeAdding, noteStrategy } from "../shared/adding.ts";
import { rehearseRoles } from "../shared/administrators.ts";
import { type Buying, connectBuying } from "../shared/buying.ts";
import { printResult } from "../shared/output.ts";
import { rehearseLicenses } from "../shared/shortage.ts";
import type { AddUserOptions } from "../users.ts";

/**
 * Adds a user and prints them, with the purchase that was made for their license.
 *
 * @throws CliError `no_license_available` with nobody added; `invalid_request` for who is a user already; the failure of
 *   a purchase that was printed
 */
export async function run(options: AddUserOptions, context: Context): Promise<void> {
  const buying = await connectBuying(options, context, "users");
  if (options.dryRun) {
    await print(await rehearse(options, context, buying), options, context);
    return;
  }
  const { connection, tools } = buying;
  const adding = () => tools.busy("Adding the user", connection.client.addUser(tools.organizationId, options.user));
  const taken = takesLicense(withDefaults(options.user)) ? 1 : 0;
  const ended = await addWithLicenses(adding, () => taken, options, context, buying);
  const output = { user: ended.answer?.user ?? null, ...addingOutput(ended) };
  await concludeAdding(ended, buying, options, context, () => print(output, options, context));
  noteStrategy(context, options, output);
}

async function rehearse(options: AddUserOptions, context: Context, buying: Buying): Promise<Output<"users add">> {
  const { connection, tools } = buying;
  const user = withDefaults(options.user);
  const users = await tools.busy("Reading users", readAllUsers(connection.client, tools.organizationId));
  if (withEmail(users, user.email).length > 0) {
    throw new CliError("invalid_request", `${user.email} is a user of this organization already`, {
      hint: "Nothing would be done. See `secureflag-licenses users list --all`.",
    });
  }
  await rehearseRoles(connection.client, [user.role]);
  const needed = takesLicense(user) ? 1 : 0;
  const { licenses, quote } = await rehearseLicenses(needed, options, context, buying);
  return { user: planned(user), purchase: null, licenses, dryRun: true, ...(quote && { quote }) };
}

function withDefaults({ role = ROLES.user, adminNoTraining = false, ...user }: AddUserRequest) {
  return { ...user, role, adminNoTraining };
}

/** A user who does not exist yet. */
function planned({ email, firstName, lastName, role, adminNoTraining }: ReturnType<typeof withDefaults>) {
  return {
    idUser: null,
    email,
    username: null,
    firstName,
    lastName,
    role,
    status: "INVITED" as const,
    adminNoTraining,
    joinedDateTime: null,
    licenseStart: null,
    licenseEnd: null,
    defaultOrganization: null,
    team: null,
    stripeCustomerId: null,
    stripeSubscriptionId: null,
    stripeSubscriptionAutorenewal: false,
    uuid: null,
  };
}

function print(output: Output<"users add">, options: AddUserOptions, context: Context): Promise<boolean> {
  return printResult(context, options, "users add", output, async (view) => {
    const { renderAddedUser } = await import("../../render/users.ts");
    return renderAddedUser(output, view);
  });
}
