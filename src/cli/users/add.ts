import { type Command, InvalidArgumentError, Option } from "commander";
import { ROLES, takesLicense } from "../../billing/roles.ts";
import { ClientError } from "../../client/errors.ts";
import type { AddUserRequest } from "../../contract/users.ts";
import { type Buying, connectBuying } from "../buying/buying.ts";
import { addBuyMissingOptions, type BuyMissingOptions } from "../buying/options.ts";
import { connect } from "../connection/connect.ts";
import type { Context } from "../context.ts";
import { CliError, usageError } from "../errors.ts";
import { addCommand, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { printResult } from "../kit/output.ts";
import { askFor, promptsAllowed } from "../kit/prompt.ts";
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
  readonly email?: string;
  readonly firstName?: string;
  readonly lastName?: string;
  readonly role?: number;
  readonly training: boolean;
}

/** Who is to be added, once everything that was missing is known. */
type Person = Readonly<Record<keyof typeof QUESTIONS, string>>;

/** Registers `users add`. */
export function registerAdd(group: Command, context: Context, run: Run<AddUserOptions>): void {
  const command = addCommand(group, {
    name: "add",
    description: "Add a user, using an available license",
    examples: [
      "users add --email ada@northwind.example --first-name Ada --last-name Lovelace --buy-missing",
      "users add --email tim@northwind.example --first-name Tim --last-name Lead --role manager",
    ],
  })
    .option("--email <email>", "email address (a terminal asks for it)", trimmedText)
    .option("--first-name <name>", "first name (a terminal asks for it)", trimmedText)
    .option("--last-name <name>", "last name (a terminal asks for it)", trimmedText)
    .addOption(new Option("--role <name>", "role (default: user)").choices(ROLE_WORDS).argParser(roleParser))
    .option("--no-training", "skip training, which uses no license; not for the role user");
  addBuyMissingOptions(command).action((flags: AddFlags, command: Command) =>
    interruptible(context, async () => {
      const options = { ...readGlobals(command), ...readMissing(flags) };
      const person = await personOf(flags, options, context);
      await run({ ...options, user: await userOf({ ...flags, ...person }) }, context);
    }),
  );
}

/** What is asked for where its flag is missing. */
const QUESTIONS = { email: "Email", firstName: "First name", lastName: "Last name" } as const;

/** Asks a person for what is missing, once it is known that somebody is signed in. */
async function personOf(flags: AddFlags, options: BuyMissingOptions, context: Context): Promise<Person> {
  const { email, firstName, lastName } = flags;
  if (email !== undefined && firstName !== undefined && lastName !== undefined) return { email, firstName, lastName };
  assertPromptable(flags, options, context);
  await connect(context, options, "users");
  return {
    email: email ?? (await ask("email", options, context)),
    firstName: firstName ?? (await ask("firstName", options, context)),
    lastName: lastName ?? (await ask("lastName", options, context)),
  };
}

/** @throws CliError `invalid_usage`, which names every flag that is missing, where there is no prompt or `--yes` is passed */
function assertPromptable(flags: AddFlags, options: BuyMissingOptions, context: Context): void {
  if (!options.yes && promptsAllowed(context, options)) return;
  const missing = (["email", "firstName", "lastName"] as const).filter((field) => flags[field] === undefined);
  const names = missing.map((field) => `${FLAGS[field]} ${field === "email" ? "<email>" : "<name>"}`).join(", ");
  throw usageError(
    `Missing ${missing.length === 1 ? "flag" : "flags"}: ${names}`,
    "Run `secureflag-licenses users add --help` to see its arguments and flags.",
  );
}

async function ask(field: keyof Person, options: BuyMissingOptions, context: Context): Promise<string> {
  const { addUserRequestSchema } = await import("../../contract/users.ts");
  const schema = addUserRequestSchema.shape[field];
  return await askFor(context, options, QUESTIONS[field], (text) => {
    const issue = schema.safeParse(text).error?.issues[0];
    if (issue) throw new InvalidArgumentError(`It ${issue.message}.`);
    return text;
  });
}

/** The flag of each field. */
const FLAGS: Readonly<Record<string, string>> = {
  email: "--email",
  firstName: "--first-name",
  lastName: "--last-name",
  adminNoTraining: "--no-training",
};

async function userOf(flags: AddFlags & Person): Promise<AddUserRequest> {
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
