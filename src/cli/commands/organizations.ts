import { Argument, type Command } from "commander";
import type { Context } from "../context.ts";
import { addCommand } from "./shared/command.ts";
import { interruptible, type Run } from "./shared/execute.ts";
import { type GlobalOptions, readGlobals } from "./shared/globals.ts";
import { wholeNumber } from "./shared/values.ts";

/** What `organizations accept` is given. */
export interface AcceptOptions extends GlobalOptions {
  /** The organization whose invitation is accepted. */
  readonly id: number;
}

/** What the commands of the group do. */
export interface OrganizationsRuns {
  readonly list: Run<GlobalOptions>;
  readonly accept: Run<AcceptOptions>;
}

/** The largest number that a path of the contract takes. */
const MAX_ID = 9_999_999_999;

/** Registers `organizations list` and `accept`. */
export function register(program: Command, context: Context, runs: OrganizationsRuns = load): void {
  const group = addCommand(program, {
    name: "organizations",
    group: "Sign-in",
    description: "List your organizations, and accept invitations",
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
}

const load: OrganizationsRuns = {
  list: async (options, context) => (await import("./run/organizations.ts")).list(options, context),
  accept: async (options, context) => (await import("./run/organizations.ts")).accept(options, context),
};
