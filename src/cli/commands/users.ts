import { Argument, type Command, InvalidArgumentError, Option } from "commander";
import type { AddUserRequest } from "../../contract/users.ts";
import type { Context } from "../context.ts";
import { usageError } from "../errors.ts";
import { clean } from "../render/clean.ts";
import { shorten } from "../render/shorten.ts";
import { ROLE_WORDS, roleNumber } from "../users/words.ts";
import { addBuyMissingOptions, type BuyingFlags, type BuyMissingOptions, readBuying } from "./shared/buyOptions.ts";
import { addCommand } from "./shared/command.ts";
import { csvOption, readCsv } from "./shared/csvOption.ts";
import { interruptible, type Run } from "./shared/execute.ts";
import { type GlobalOptions, readGlobals } from "./shared/globals.ts";
import { someText, trimmedText } from "./shared/values.ts";

/** What `users list` was told. */
export interface ListUsersOptions extends GlobalOptions {
  readonly all: boolean;
  readonly csv: boolean;
}

/** What `users add` was told. */
export interface AddUserOptions extends BuyMissingOptions {
  readonly user: AddUserRequest;
}

/** What `users import` was told. */
export interface ImportUsersOptions extends BuyMissingOptions {
  /** A path, or `-` for stdin. */
  readonly file: string;
}

/** What `users remove` was told. */
export interface RemoveUserOptions extends GlobalOptions {
  readonly email: string;
  readonly yes: boolean;
  readonly dryRun: boolean;
}

/** What the commands of the group do. */
export interface UsersRuns {
  readonly list: Run<ListUsersOptions>;
  readonly add: Run<AddUserOptions>;
  readonly import: Run<ImportUsersOptions>;
  readonly remove: Run<RemoveUserOptions>;
}

interface MissingFlags extends BuyingFlags {
  readonly buyMissing?: boolean;
}

interface AddFlags extends MissingFlags {
  readonly email: string;
  readonly firstName: string;
  readonly lastName: string;
  readonly role?: number;
  readonly training: boolean;
}

const CSV_HELP = `
The file begins with a row that names its columns, in any
order: email, firstName, lastName, and perhaps role and
adminNoTraining. All are added or none; those who are users
already are left alone.`;

/** Registers `users list | add | import | remove`. */
export function register(program: Command, context: Context, runs: UsersRuns = load): void {
  const group = addCommand(program, {
    name: "users",
    group: "People",
    description: "List, add, import and remove users, who take licenses",
    examples: ["users list", "users import users.csv --dry-run"],
  });
  registerList(group, context, runs.list);
  registerAdd(group, context, runs.add);
  registerImport(group, context, runs.import);
  registerRemove(group, context, runs.remove);
}

function registerList(group: Command, context: Context, run: Run<ListUsersOptions>): void {
  addCommand(group, {
    name: "list",
    description: "List users, the first 100 unless told otherwise",
    examples: ["users list", "users list --all --csv > users.csv"],
  })
    .option("--all", "every user")
    .addOption(csvOption("print CSV, in the fields of SecureFlag's API"))
    .action((flags: { all?: boolean; csv?: boolean }, command: Command) => {
      const globals = readGlobals(command);
      const options = { ...globals, all: flags.all === true, csv: readCsv(flags, globals) };
      return interruptible(context, () => run(options, context));
    });
}

function registerAdd(group: Command, context: Context, run: Run<AddUserOptions>): void {
  const command = addCommand(group, {
    name: "add",
    description: "Add a user, who takes an available license",
    examples: [
      "users add --email ada@northwind.example --first-name Ada --last-name Lovelace --buy-missing",
      "users add --email tim@northwind.example --first-name Tim --last-name Lead --role manager",
    ],
  })
    .requiredOption("--email <email>", "the email address", trimmedText)
    .requiredOption("--first-name <name>", "the first name", trimmedText)
    .requiredOption("--last-name <name>", "the last name", trimmedText)
    .addOption(new Option("--role <name>", "the role, user unless it is said").choices(ROLE_WORDS).argParser(role))
    .option("--no-training", "an administrative role that takes no license");
  addBuyMissingOptions(command).action(async (flags: AddFlags, command: Command) => {
    const options = { ...readGlobals(command), ...readMissing(flags), user: await userOf(flags) };
    await interruptible(context, () => run(options, context));
  });
}

function registerImport(group: Command, context: Context, run: Run<ImportUsersOptions>): void {
  const command = addCommand(group, {
    name: "import",
    description: "Add the users of a CSV file, all or none",
    examples: ["users import users.csv --dry-run", "users import users.csv --buy-missing --max-total 500"],
  }).addArgument(new Argument("<csv>", "the file; - for stdin").argParser(someText));
  addBuyMissingOptions(command)
    .addHelpText("after", CSV_HELP)
    .action((file: string, flags: MissingFlags, command: Command) => {
      const options = { ...readGlobals(command), ...readMissing(flags), file };
      return interruptible(context, () => run(options, context));
    });
}

function registerRemove(group: Command, context: Context, run: Run<RemoveUserOptions>): void {
  addCommand(group, {
    name: "remove",
    description: "Remove a user, whose license is free at once",
    examples: ["users remove ada@northwind.example", "users remove ada@northwind.example --yes --json"],
  })
    .addArgument(new Argument("<email>", "whom to remove").argParser(trimmedText))
    .option("--yes", "remove without asking")
    .option("--dry-run", "say what would be done, remove nobody")
    .action((email: string, { yes = false, dryRun = false }: { yes?: boolean; dryRun?: boolean }, command: Command) =>
      interruptible(context, () => run({ ...readGlobals(command), email, yes, dryRun }, context)),
    );
}

function readMissing(flags: MissingFlags) {
  return { ...readBuying(flags), buyMissing: flags.buyMissing === true };
}

function role(text: string): number {
  const number = roleNumber(text);
  if (number !== null) return number;
  throw new InvalidArgumentError(`It must be one of ${ROLE_WORDS.join(", ")}.`);
}

/** The flags by the fields that they give. */
const FLAGS: Readonly<Record<string, string>> = {
  email: "--email",
  firstName: "--first-name",
  lastName: "--last-name",
  adminNoTraining: "--no-training",
};

async function userOf(flags: AddFlags): Promise<AddUserRequest> {
  // Loaded only now: no start without it is to wait for the schemas.
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
  throw usageError(
    `${FLAGS[field]}${value} ${issue.message}`,
    "Correct it and run the command again; nobody was added.",
  );
}

const load: UsersRuns = {
  list: async (options, context) => (await import("./run/usersList.ts")).run(options, context),
  add: async (options, context) => (await import("./run/usersAdd.ts")).run(options, context),
  import: async (options, context) => (await import("./run/usersImport.ts")).run(options, context),
  remove: async (options, context) => (await import("./run/usersRemove.ts")).run(options, context),
};
