import { Argument, type Command, InvalidArgumentError } from "commander";
import { ClientError } from "../../client/errors.ts";
import { isMissing } from "../../client/missing.ts";
import type { AssignmentStrategy } from "../../contract/constants.ts";
import { connect, connectToOrganization } from "../connection/connect.ts";
import type { Context } from "../context.ts";
import { CliError } from "../errors.ts";
import { addCommand, type GlobalOptions, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { awaitPrinting, note, printResult } from "../kit/output.ts";
import { withSpinner } from "../kit/spinner.ts";
import { wholeNumber } from "../kit/values.ts";
import { STRATEGY_WORDS, strategyNamed, strategyWord } from "../users/view.ts";
import { registerBilling, type SetBillingOptions, setBilling, showBilling } from "./billing.ts";
import { type PaymentMethodOptions, registerPaymentMethod, runPaymentMethod } from "./paymentMethod.ts";
import { registerPolicy } from "./policy.ts";
import { renderAcceptedInvitation, renderOrganizations } from "./whoami.ts";

/** Options of `organizations accept`. */
export interface AcceptOptions extends GlobalOptions {
  /** The ID of the organization that invites. */
  readonly id: number;
}

/** Options of `organizations assignment-strategy`. */
export interface StrategyOptions extends GlobalOptions {
  /** The strategy to set; `null` shows the current one. */
  readonly strategy: AssignmentStrategy | null;
}

/** The functions that run the commands of the group. */
export interface OrganizationsRuns {
  readonly list: Run<GlobalOptions>;
  readonly accept: Run<AcceptOptions>;
  readonly assignmentStrategy: Run<StrategyOptions>;
  readonly paymentMethod: Run<PaymentMethodOptions>;
  readonly billing: Run<GlobalOptions>;
  readonly setBilling: Run<SetBillingOptions>;
}

/** The largest ID that a path of the contract takes. */
const MAX_ID = 9_999_999_999;

/** Registers `organizations list | accept | assignment-strategy | payment-method | policy | billing`. */
export function register(program: Command, context: Context, runs: OrganizationsRuns = RUNS): void {
  const group = addCommand(program, {
    name: "organizations",
    description: "List your organizations, accept invitations, and manage their settings",
    examples: ["organizations list", "organizations accept 4201"],
  });
  addCommand(group, {
    name: "list",
    description: "List the organizations that you belong to or are invited to",
    examples: ["organizations list", "organizations list --json"],
  }).action((_flags: unknown, command: Command) =>
    interruptible(context, () => runs.list(readGlobals(command), context)),
  );
  addCommand(group, {
    name: "accept",
    description: "Accept the invitation of an organization",
    examples: ["organizations accept 4201", "organizations accept 4201 --json"],
  })
    .addArgument(new Argument("<id>", "organization ID").argParser(wholeNumber(1, MAX_ID)))
    .action((id: number, _flags: unknown, command: Command) =>
      interruptible(context, () => runs.accept({ ...readGlobals(command), id }, context)),
    );
  addCommand(group, {
    name: "assignment-strategy",
    description: "Show or set what users are assigned when they are added",
    summary: "Show or set what new users are assigned",
    examples: ["organizations assignment-strategy", "organizations assignment-strategy initial-plan"],
  })
    .addArgument(
      new Argument("[strategy]", "strategy to set; omit it to show the current one")
        .choices(STRATEGY_WORDS)
        .argParser(strategyOf),
    )
    .addHelpText("after", STRATEGY_HELP)
    .action((strategy: AssignmentStrategy | undefined, _flags: unknown, command: Command) =>
      interruptible(context, () =>
        runs.assignmentStrategy({ ...readGlobals(command), strategy: strategy ?? null }, context),
      ),
    );
  registerPaymentMethod(group, context, runs.paymentMethod);
  registerPolicy(group, context);
  registerBilling(group, context, { show: runs.billing, set: runs.setBilling });
}

const STRATEGY_HELP = `
This is a setting of the organization. It applies to all
users who are added afterwards:
  none          nothing
  initial-plan  the organization's training plan, or
                initial-path if there is none
  initial-path  a path for the user's technology, 60 days
  initial-labs  two labs for the user's technology
Only a signed-in administrator can set it.`;

function strategyOf(text: string): AssignmentStrategy {
  const strategy = strategyNamed(text);
  if (strategy !== null) return strategy;
  throw new InvalidArgumentError(`It must be one of ${STRATEGY_WORDS.join(", ")}.`);
}

const RUNS: OrganizationsRuns = {
  list: listOrganizations,
  accept: acceptInvitation,
  assignmentStrategy: runStrategy,
  paymentMethod: runPaymentMethod,
  billing: showBilling,
  setBilling,
};

const SIGN_IN_HINT = "Unset SECUREFLAG_API_TOKEN and sign in with `secureflag-licenses login`.";

const LIST_HINT = "See `secureflag-licenses organizations list` for your invitations.";

/** Prints the organizations of the signed-in user; for people, also those that invite the user. */
export async function listOrganizations(options: GlobalOptions, context: Context): Promise<void> {
  const { client } = await connect(context, options, "public");
  const { organizations, invitations } = await withSpinner(context, options, "Reading organizations", client.me());
  await printResult<"organizations list">(context, options, organizations, (view) =>
    renderOrganizations(organizations, view, invitations),
  );
  if (invitations && invitations.length > 0) {
    note(context, options, "Accept an invitation with `secureflag-licenses organizations accept <id>`.");
  }
}

/**
 * Accepts the invitation of an organization, and prints the organization.
 *
 * @throws CliError `forbidden` with an API token, `not_found` without an invitation
 */
export async function acceptInvitation(options: AcceptOptions, context: Context): Promise<void> {
  const { client } = await connect(context, options, "public");
  const accepting = client.acceptInvitation(options.id).catch((error: unknown) => {
    throw withHint(error);
  });
  const organization = await withSpinner(context, options, "Accepting the invitation", accepting);
  const result = { ...organization, accepted: true } as const;
  const printing = printResult<"organizations accept">(context, options, result, () =>
    renderAcceptedInvitation(organization),
  );
  await awaitPrinting(printing, "The invitation was accepted", "See `secureflag-licenses organizations list`.");
}

/** Replaces hints that are meant for administrators. */
function withHint(error: unknown): unknown {
  if (!(error instanceof ClientError)) return error;
  const { code, message, requestId } = error;
  if (code === "forbidden") return new CliError(code, message, { hint: SIGN_IN_HINT, requestId, cause: error });
  if (code === "not_found") return new CliError(code, message, { hint: LIST_HINT, requestId, cause: error });
  return error;
}

const ADMINISTRATOR_HINT = "Unset SECUREFLAG_API_TOKEN and sign in with `secureflag-licenses login`.";

/**
 * Shows or sets what an organization assigns to users who are added.
 *
 * @throws CliError `forbidden` for setting it with an API token, `users_not_offered`; ClientError
 */
export async function runStrategy(options: StrategyOptions, context: Context): Promise<void> {
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
  const printing = printResult<"organizations assignment-strategy">(context, options, result, () =>
    strategy === null
      ? `Assignment strategy for new users: ${word}.`
      : `Set the assignment strategy for new users to ${word}.`,
  );
  if (strategy === null) await printing;
  else
    await awaitPrinting(
      printing,
      `The assignment strategy was set to ${word}`,
      "See `organizations assignment-strategy`.",
    );
}

function explained(error: unknown): unknown {
  if (!(error instanceof ClientError)) return error;
  const { code, message, requestId } = error;
  if (code === "forbidden") return new CliError(code, message, { hint: ADMINISTRATOR_HINT, requestId, cause: error });
  if (!isMissing(error) || code === "not_found") return error;
  const missing = "This backend does not support the assignment strategy";
  const hint = "Use the SecureFlag portal.";
  return new CliError("users_not_offered", missing, { hint, requestId, cause: error });
}
