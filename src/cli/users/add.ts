import { type Command, Option } from "commander";
import { ROLES, takesLicense } from "../../billing/roles.ts";
import { ClientError } from "../../client/errors.ts";
import type { AddUserRequest } from "../../contract/users.ts";
import { type Buying, connectBuying } from "../buying/buying.ts";
import { addBuyMissingOptions, type BuyMissingOptions } from "../buying/options.ts";
import type { Context } from "../context.ts";
import { CliError, usageError } from "../errors.ts";
import { addCommand, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { printResult } from "../kit/output.ts";
import { clean, shorten } from "../kit/text.ts";
import { trimmedText } from "../kit/values.ts";
import type { Output } from "../outputs.ts";
import {
  addingOutput,
  addWithLicenses,
  concludeAdding,
  type MissingFlags,
  noteStrategy,
  readMissing,
} from "./adding.ts";
import { readAllUsers, withEmail } from "./list.ts";
import { rehearseLicenses, rehearseRoles } from "./shortage.ts";
import { ROLE_WORDS, renderAddedUser, roleParser } from "./view.ts";

/** Options of `users add`. */
export interface AddUserOptions extends BuyMissingOptions {
  readonly user: AddUserRequest;
}

interface AddFlags extends MissingFlags {
  readonly email: string;
  readonly firstName: string;
  readonly lastName: string;
  readonly role?: number;
  readonly training: boolean;
}

/** Registers `users add`. */
export function registerAdd(group: Command, context: Context, run: Run<AddUserOptions>): void {
  const command = addCommand(group, {
    name: "add",
    description: "Add a user, who takes an available license",
    examples: [
      "users add --email ada@northwind.example --first-name Ada --last-name Lovelace --buy-missing",
      "users add --email tim@northwind.example --first-name Tim --last-name Lead --role manager",
    ],
  })
    .requiredOption("--email <email>", "email address", trimmedText)
    .requiredOption("--first-name <name>", "first name", trimmedText)
    .requiredOption("--last-name <name>", "last name", trimmedText)
    .addOption(new Option("--role <name>", "role (default: user)").choices(ROLE_WORDS).argParser(roleParser))
    .option("--no-training", "add an administrative user who takes no license");
  addBuyMissingOptions(command).action(async (flags: AddFlags, command: Command) => {
    const options = { ...readGlobals(command), ...readMissing(flags), user: await userOf(flags) };
    await interruptible(context, () => run(options, context));
  });
}

/** The flag of each field. */
const FLAGS: Readonly<Record<string, string>> = {
  email: "--email",
  firstName: "--first-name",
  lastName: "--last-name",
  adminNoTraining: "--no-training",
};

async function userOf(flags: AddFlags): Promise<AddUserRequest> {
  // Imported here, so that other commands do not wait for the schemas.
  const { addUserRequestSchema } = await import("../../contract/users.ts");
  const { email, firstName, lastName, training } = flags;
  const user = {
    email,
    firstName,
    lastName,
    ...(flags.role !== undefined && { role: flags.role }),
    ...(!training && { adminNoTraining: true }),
  };
  const issue = addUserRequestSchema.safeParse(user).error?.issues[0];
  if (!issue) return user;
  const field = String(issue.path[0]);
  const value = field === "email" ? ` "${shorten(clean(email))}"` : "";
  throw usageError(`${FLAGS[field]}${value} ${issue.message}`, "No users were added.");
}

/**
 * Adds a user and prints it, with the purchase that was made for its license.
 *
 * @throws CliError `no_license_available` if nothing was added; `invalid_request` if the user already exists; the failure
 *   of a purchase that was printed
 */
export async function runAdd(options: AddUserOptions, context: Context): Promise<void> {
  const buying = await connectBuying(options, context, "users");
  if (options.dryRun) {
    await print(await rehearse(options, context, buying), options, context);
    return;
  }
  const { connection, tools } = buying;
  const adding = () => {
    const answer = connection.client.addUser(tools.organizationId, options.user).catch((error: unknown) => {
      throw withListHint(error);
    });
    return tools.busy("Adding the user", answer);
  };
  const taken = takesLicense(withDefaults(options.user)) ? 1 : 0;
  const ended = await addWithLicenses(adding, () => taken, options, context, buying);
  const { user = null, pending = null } = ended.answer ?? {};
  const output = { user, ...addingOutput(ended), ...(pending && { pending }) };
  await concludeAdding(ended, buying, options, context, () => print(output, options, context));
  if (user) noteStrategy(context, options, output);
}

/** Points to the list of users: an invalid request is nearly always a user who already exists. */
function withListHint(error: unknown): unknown {
  if (!(error instanceof ClientError) || error.code !== "invalid_request") return error;
  const { message, requestId } = error;
  return new CliError("invalid_request", message, { hint: LIST_HINT, requestId, cause: error });
}

const LIST_HINT = "No users were added. See `secureflag-licenses users list --all`.";

async function rehearse(options: AddUserOptions, context: Context, buying: Buying): Promise<Output<"users add">> {
  const { connection, tools } = buying;
  const user = withDefaults(options.user);
  const users = await tools.busy("Reading users", readAllUsers(connection.client, tools.organizationId));
  if (withEmail(users, user.email).length > 0) {
    throw new CliError("invalid_request", `${user.email} is already a user of this organization`, {
      hint: "See `secureflag-licenses users list --all`.",
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

/** The user that would be added. */
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
    lastLogin: null,
    addedDateTime: null,
  };
}

function print(output: Output<"users add">, options: AddUserOptions, context: Context): Promise<boolean> {
  return printResult<"users add">(context, options, output, (view) => renderAddedUser(output, view));
}
