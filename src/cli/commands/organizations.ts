import { Argument, type Command, InvalidArgumentError } from "commander";
import type { AssignmentStrategy } from "../../contract/assignmentStrategies.ts";
import type { Context } from "../context.ts";
import { STRATEGY_WORDS, strategyNamed } from "../users/words.ts";
import { addCommand } from "./shared/command.ts";
import { interruptible, type Run } from "./shared/execute.ts";
import { type GlobalOptions, readGlobals } from "./shared/globals.ts";
import { wholeNumber } from "./shared/values.ts";

/** What `organizations accept` is given. */
export interface AcceptOptions extends GlobalOptions {
  /** The organization whose invitation is accepted. */
  readonly id: number;
}

/** What `organizations assignment-strategy` is given. */
export interface StrategyOptions extends GlobalOptions {
  /** The strategy to set; `null` shows the one that is set. */
  readonly strategy: AssignmentStrategy | null;
}

/** What the commands of the group do. */
export interface OrganizationsRuns {
  readonly list: Run<GlobalOptions>;
  readonly accept: Run<AcceptOptions>;
  readonly assignmentStrategy: Run<StrategyOptions>;
}

/** The largest number that a path of the contract takes. */
const MAX_ID = 9_999_999_999;

/** Registers `organizations list | accept | assignment-strategy`. */
export function register(program: Command, context: Context, runs: OrganizationsRuns = load): void {
  const group = addCommand(program, {
    name: "organizations",
    group: "Sign-in",
    description: "List your organizations, accept invitations, set what new users start with",
    summary: "List your organizations, and accept invitations",
    examples: ["organizations list", "organizations accept 4201"],
  });
  addCommand(group, {
    name: "list",
    description: "List the organizations that you belong to",
    examples: ["organizations list", "organizations list --json"],
  }).action((_flags: unknown, command: Command) =>
    interruptible(context, () => runs.list(readGlobals(command), context)),
  );
  addCommand(group, {
    name: "accept",
    description: "Accept the invitation of an organization",
    examples: ["organizations accept 4201", "organizations accept 4201 --json"],
  })
    .addArgument(new Argument("<id>", "the organization's number").argParser(wholeNumber(1, MAX_ID)))
    .action((id: number, _flags: unknown, command: Command) =>
      interruptible(context, () => runs.accept({ ...readGlobals(command), id }, context)),
    );
  addCommand(group, {
    name: "assignment-strategy",
    description: "Show or set what is assigned to users when they are added",
    summary: "Show or set what new users are assigned",
    examples: ["organizations assignment-strategy", "organizations assignment-strategy initial-plan"],
  })
    .addArgument(
      new Argument("[strategy]", "the strategy to set; shows the current one if omitted")
        .choices(STRATEGY_WORDS)
        .argParser(strategyOf),
    )
    .addHelpText("after", STRATEGY_HELP)
    .action((strategy: AssignmentStrategy | undefined, _flags: unknown, command: Command) =>
      interruptible(context, () =>
        runs.assignmentStrategy({ ...readGlobals(command), strategy: strategy ?? null }, context),
      ),
    );
}

const STRATEGY_HELP = `
It is a setting of the organization and applies to everybody
who is added from then on:
  none          nothing is assigned
  initial-plan  the organization's training plan; without
                one as initial-path
  initial-path  a path by the user's technology, 60 days
  initial-labs  two labs by the user's technology
Only a signed-in administrator can set it.`;

function strategyOf(text: string): AssignmentStrategy {
  const strategy = strategyNamed(text);
  if (strategy !== null) return strategy;
  throw new InvalidArgumentError(`It must be one of ${STRATEGY_WORDS.join(", ")}.`);
}

const load: OrganizationsRuns = {
  list: async (options, context) => (await import("./run/organizations.ts")).list(options, context),
  accept: async (options, context) => (await import("./run/organizations.ts")).accept(options, context),
  assignmentStrategy: async (options, context) => (await import("./run/assignmentStrategy.ts")).run(options, context),
};
