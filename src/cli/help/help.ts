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

/** Options of `help`: the words of a command, a topic, or nothing for the program's own help. */
export interface HelpOptions extends GlobalOptions {
  readonly topic: readonly string[];
}

/** Registers `help [topic...]`. */
export function register(program: Command, context: Context): void {
  const topics = HELP_TOPIC_NAMES.join(", ");
  addCommand(program, {
    name: "help",
    description: `Show help for a command, or on ${topics}`,
    examples: ["help buy", "help schema purchases list"],
  })
    .argument("[topic...]", `a command, or ${topics}`)
    .addHelpText("after", SCHEMA_HELP)
    .action(async (topic: string[], _flags: unknown, command: Command) => {
      await runHelp({ ...readGlobals(command), topic }, context, program);
    });
}

const SCHEMA_HELP = `
\`help schema <command>\` prints the JSON Schema of what the
command prints with --json; \`help schema error\` prints that
of errors, and \`help schema\` lists all.`;

/**
 * Prints a topic, or the help of a command.
 *
 * @throws CliError `invalid_usage` for an unknown topic
 */
export async function runHelp(options: HelpOptions, context: Context, program: Command): Promise<void> {
  const { topic } = options;
  const [name = "", ...rest] = topic;
  if (name === "schema") return await (await import("./schema.ts")).runSchema(rest, options, context);
  if (topic.length === 1 && isHelpTopic(name)) {
    const { data, render } = HELP_TOPICS[name];
    const width = helpWidth(context);
    await printResult<"help">(context, options, data, (view) => render({ ...view, width }));
    return;
  }
  const text = helpOf(find(program, topic), hasColors(options, context)).trimEnd();
  await printResult<"help">(context, options, { topic: topic.join(" ") || null, text }, () => text);
}

/** Renders a command's help with the text after it, which Commander adds only when it prints by itself. */
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
      `Unknown help topic "${shorten(topic.join(" "))}"`,
      suggestion(name, known) ?? otherHelp(command === program ? [] : known),
    );
  }, program);
}

function otherHelp(topics: readonly string[]): string {
  return topics.length > 0 ? `Topics: ${topics.join(", ")}.` : "Run `secureflag-licenses help` for a list.";
}

/** The table of `help exit-codes` (src/cli/README.md, Exit codes). */
export const EXIT_CODE_MEANINGS: readonly (readonly [code: number, meaning: string])[] = [
  [0, "done, or nothing needed doing"],
  [1, "internal error, unexpected response, or differences found by `serve reconcile`"],
  [2, "wrong usage: arguments, flags, configuration, input file"],
  [3, "canceled at a prompt"],
  [4, "not signed in, the sign-in was refused or has expired, or no backend is set"],
  [5, "not allowed: role, scope, a spending limit, or the budget"],
  [6, "the payment was declined or failed"],
  [
    7,
    "stopped by a guard or a check: --max-total, --max-licenses, --if-purchased, --max-removals, the --fail-if flags, the price check, an outdated quote file, a changed event log",
  ],
  [
    8,
    "the purchase or its payment waits for approval; the command or URL is in the output; follow it with `purchases resume`",
  ],
  [9, "something changed in the meantime (a stale quote, another purchase), and it was not safe to go on alone"],
  [
    10,
    "backend unreachable or overloaded, or outcome unknown; run the same command again (with `api` and `tokens create`, check the result first)",
  ],
  [130, "interrupted"],
];

/** The table of `help environment` (src/cli/README.md, Environment). */
const VARIABLES: readonly (readonly [name: string, meaning: string])[] = [
  ["SECUREFLAG_API_URL", "backend, like --api-url"],
  ["SECUREFLAG_API_TOKEN", "token, used instead of a stored sign-in"],
  ["SECUREFLAG_API_TOKEN_FILE", "file that holds the token"],
  ["SECUREFLAG_TRUST", "trust that CI jobs sign in with, if there is no token and no stored sign-in"],
  ["SECUREFLAG_ID_TOKEN", "identity token of the CI job; on GitHub Actions it is requested"],
  ["SECUREFLAG_ORGANIZATION", "organization ID, like --org; not needed if you belong to one only"],
  ["SECUREFLAG_PROFILE", "profile, like --profile"],
  ["SECUREFLAG_CONFIG_DIR", "directory of settings, journal and sign-ins, instead of the platform's own"],
  [
    "SECUREFLAG_DATABASE_URL, SECUREFLAG_PUBLIC_URL, SECUREFLAG_SECRETS_KEY",
    "settings of `serve`; with _FILE after the name, the file that holds the value",
  ],
  ["SECUREFLAG_STRIPE_KEY", "Stripe key for `serve`, used with SECUREFLAG_STRIPE_WEBHOOK_SECRETS; likewise with _FILE"],
  ["HTTPS_PROXY, NO_PROXY", "proxy for https backends, and hosts to reach without it; never used for loopback"],
  ["NODE_EXTRA_CA_CERTS", "file with the certificates of a private authority"],
  ["NO_COLOR, FORCE_COLOR", "disable color, or force it off a terminal"],
  ["ACCESSIBLE", "plain lines for screen readers: no color, bars or redrawing; also with TERM=dumb"],
  ["CI", "disables prompts"],
  [
    "GITHUB_ACTIONS, GITHUB_OUTPUT, GITHUB_STEP_SUMMARY",
    "on GitHub Actions: annotations, masked secrets, outputs and job summary",
  ],
];

const CI = `In CI

There are no prompts if stdin or stderr is not a terminal,
if CI is set, or with --no-input: missing input is an error
that names the flag. Nothing is bought without --yes (for
\`users\`, --buy-missing).

Jobs need no stored secret where they have an identity
token, as on GitHub and GitLab: an administrator adds a
trust (\`tokens trust add --help\`), and jobs name it.

Keep licenses topped up, from any number of jobs at once:

  export SECUREFLAG_API_URL=... SECUREFLAG_ORGANIZATION=...
  export SECUREFLAG_TRUST=...  # or SECUREFLAG_API_TOKEN=...
  secureflag-licenses top-up --available 5 --yes \\
    --max-licenses 10 --max-total 500

It buys enough to reach 5 available licenses, or reports
that nothing is missing. If a job was killed, run it again:
licenses of purchases in progress count toward the target.

Review first, buy later:

  secureflag-licenses quote 5 --save quote.json
  secureflag-licenses buy --from quote.json --yes

Review the file in a pull request. It is bought once, from
any machine, and only if the backend, the organization, its
licenses, unit price and term still match the file and the
total is no higher.

Buy a fixed number: on GitHub, GitLab, CircleCI, Jenkins,
Buildkite and Azure, the same \`buy\` in the same pipeline
run and job is one purchase, however often it is retried.
Elsewhere, and for two equal purchases in one job, pass
--idempotency-key.

Exit codes to act on: 7, a guard stopped it; 8, a person
must approve the purchase (the output says where and how);
10, run the same command again. --dry-run shows what would
happen, with the same JSON.`;

/** A topic, as data and for people. */
interface HelpTopic {
  readonly data: Output<"help">;
  render(view: View): string | Promise<string>;
}

/** The topics of `help` that are tables and texts. */
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
    render: (view) => table("variable", VARIABLES, 25, view),
  },
  ci: { data: { topic: "ci", text: CI }, render: () => CI },
} satisfies Record<Exclude<(typeof HELP_TOPIC_NAMES)[number], "schema">, HelpTopic>;

/** Reports whether a word is one of these topics. */
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
