import type { Command } from "commander";
import type { Context } from "../context.ts";
import { usageError } from "../errors.ts";
import { colorLevel } from "../kit/color.ts";
import { addCommand, type GlobalOptions, readGlobals } from "../kit/command.ts";
import { suggestion } from "../kit/failure.ts";
import { printResult, type View } from "../kit/output.ts";
import { columns } from "../kit/table.ts";
import { shorten } from "../kit/text.ts";
import { helpWidth } from "../kit/width.ts";
import type { Output } from "../outputs.ts";
import { HELP_TOPIC_NAMES } from "./page.ts";

/** What `help` was told: the words of a command, a topic, or nothing for the program's own help. */
export interface HelpOptions extends GlobalOptions {
  readonly topic: readonly string[];
}

/** Registers `help [command]` and the topics that are no command. */
export function register(program: Command, context: Context): void {
  const topics = HELP_TOPIC_NAMES.join(", ");
  addCommand(program, {
    name: "help",
    description: `Show the help of a command, or on ${topics}`,
    examples: ["help buy", "help exit-codes"],
  })
    .argument("[topic...]", `a command, or ${topics}`)
    .action(async (topic: string[], _flags: unknown, command: Command) => {
      await runHelp({ ...readGlobals(command), topic }, context, program);
    });
}

/**
 * Prints a topic, or the help of a command of the program.
 *
 * @throws CliError `invalid_usage` for what there is no help on
 */
export async function runHelp(options: HelpOptions, context: Context, program: Command): Promise<void> {
  const { topic } = options;
  const [name = ""] = topic;
  if (topic.length === 1 && isHelpTopic(name)) {
    const { data, render } = HELP_TOPICS[name];
    const width = helpWidth(context);
    await printResult<"help">(context, options, data, (view) => render({ ...view, width }));
    return;
  }
  const text = helpOf(find(program, topic), hasColors(options, context)).trimEnd();
  await printResult<"help">(context, options, { topic: topic.join(" ") || null, text }, () => text);
}

/** A command's help with its examples, which commander adds only where it prints by itself. */
function helpOf(command: Command, hasColors: boolean): string {
  let text = "";
  command.configureOutput({ writeOut: (part) => (text += part), getOutHasColors: () => hasColors });
  command.outputHelp();
  return text;
}

function hasColors({ json, color }: HelpOptions, { io, env }: Context): boolean {
  return !json && colorLevel({ env, isTerminal: io.stdoutIsTerminal, color }) > 0;
}

function find(program: Command, topic: readonly string[]): Command {
  return topic.reduce((command, name) => {
    const found = command.commands.find((candidate) => candidate.name() === name);
    if (found) return found;
    const below = command.createHelp().visibleCommands(command);
    const known = [...below.map((each) => each.name()), ...(command === program ? HELP_TOPIC_NAMES : [])];
    throw usageError(
      `There is no help on "${shorten(topic.join(" "))}"`,
      suggestion(name, known) ?? otherHelp(command === program ? [] : known),
    );
  }, program);
}

function otherHelp(topics: readonly string[]): string {
  return topics.length > 0
    ? `There is on: ${topics.join(", ")}.`
    : "Run `secureflag-licenses help` to see what there is.";
}

/** The table of `help exit-codes` (cli.md, Exit codes). */
export const EXIT_CODE_MEANINGS: readonly (readonly [code: number, meaning: string])[] = [
  [0, "done, or nothing needed doing"],
  [1, "a defect or an answer that makes no sense"],
  [2, "wrong usage: arguments, flags, configuration, input file"],
  [3, "the person said no"],
  [4, "not signed in, or the sign-in was refused or has expired"],
  [5, "signed in, but not allowed: role, scope, or a token's spending limit"],
  [6, "the payment was declined or failed"],
  [
    7,
    "stopped by a guard: over --max-total or --max-licenses, --if-purchased not met, price check failed, a quote file that no longer holds",
  ],
  [8, "the payment waits for a person's approval; the URL is in the output; `purchases resume` goes on later"],
  [9, "changed meanwhile: the quote went stale or another purchase came first, and it was not safe to go on alone"],
  [10, "backend unreachable, overloaded or outcome unknown; running the same command again is safe"],
  [130, "interrupted"],
];

/** The variables that are read (cli.md, Environment). */
const VARIABLES: readonly (readonly [name: string, meaning: string])[] = [
  ["SECUREFLAG_API_URL", "the backend, as --api-url"],
  ["SECUREFLAG_API_TOKEN", "a token, before any stored sign-in"],
  ["SECUREFLAG_ORGANIZATION", "the organization's number, as --org; not needed when there is only one"],
  ["SECUREFLAG_PROFILE", "the profile, as --profile"],
  ["SECUREFLAG_CONFIG_DIR", "where settings, journal and sign-ins are, in place of the platform's own directory"],
  ["HTTPS_PROXY, NO_PROXY", "the proxy to an https backend; this machine is never reached through one"],
  ["NODE_EXTRA_CA_CERTS", "a file with certificates of a private authority"],
  ["NO_COLOR, FORCE_COLOR", "no color, or color where there is no terminal"],
  ["CI", "nothing is ever asked"],
  [
    "GITHUB_ACTIONS, GITHUB_OUTPUT, GITHUB_STEP_SUMMARY",
    "on GitHub Actions: errors as annotations, secrets masked, the outputs and the job summary of a top-up",
  ],
];

const CI = `In CI

Nothing is ever asked where stdin or stderr is no terminal,
where CI is set, or with --no-input: what is missing is an
error that names its flag. Nothing is bought without --yes.

Keep licenses topped up, from any number of jobs at once:

  export SECUREFLAG_API_URL=... SECUREFLAG_API_TOKEN=...
  secureflag-licenses top-up --available 5 --yes \\
    --max-licenses 10 --max-total 500

It buys what is missing to 5 available licenses, or says
that there is nothing to buy. A job that was killed is run
again; purchases that are still in progress count as there.

Review first, buy later:

  secureflag-licenses quote 5 --save quote.json
  secureflag-licenses buy --from quote.json --yes

The file stands in a pull request. It is bought once, from
whatever machine, and only while organization, backend,
count, unit price and term are the file's and the price is
no higher.

Buy a number: on GitHub, GitLab, CircleCI, Jenkins,
Buildkite and Azure the same \`buy\` in the same pipeline run
and job is one purchase, however often it is tried.
Elsewhere, and for two equal purchases in one job, say
--idempotency-key.

Exit codes to act on: 7 a guard stopped it, 8 a person has
to approve the payment (the address is in the output), 10
run the same command again. --dry-run shows what would
happen, in the same JSON. See \`help exit-codes\` and
\`help environment\`.`;

/** What `help` tells beside the commands: as data, and for people. */
interface HelpTopic {
  readonly data: Output<"help">;
  render(view: View): string | Promise<string>;
}

/** The topics of `help` that are no command. */
export const HELP_TOPICS = {
  "exit-codes": {
    data: EXIT_CODE_MEANINGS.map(([code, meaning]) => ({ code, meaning })),
    render: (view) =>
      table(
        "code",
        EXIT_CODE_MEANINGS.map(([code, meaning]) => [String(code), meaning]),
        4,
        view,
      ),
  },
  environment: {
    data: VARIABLES.map(([name, meaning]) => ({ name, meaning })),
    render: (view) => table("variable", VARIABLES, 24, view),
  },
  ci: { data: { topic: "ci", text: CI }, render: () => CI },
} satisfies Record<(typeof HELP_TOPIC_NAMES)[number], HelpTopic>;

/** Whether a word is a topic of its own. */
export function isHelpTopic(name: string): name is keyof typeof HELP_TOPICS {
  return Object.hasOwn(HELP_TOPICS, name);
}

async function table(
  head: string,
  rows: readonly (readonly [string, string])[],
  width: number,
  view: View,
): Promise<string> {
  return columns([head, "meaning"], rows, [width, view.width - width - 2], view);
}
