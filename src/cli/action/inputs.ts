import type { Context } from "../context.ts";
import { usageError } from "../errors.ts";

/** What a step asks for with its inputs. */
export interface StepInputs {
  /** The arguments of the program. */
  readonly argv: readonly string[];
  /** The variables to run it with; `undefined` for one that must not be set. */
  readonly env: Context["env"];
  /** The words of an installed program to run instead of the one that comes with the action. */
  readonly command: readonly string[];
}

/** What a plan needs beside the arguments. */
export interface PlanInputs {
  /** The token of the GitHub API; empty without one. */
  readonly githubToken: string;
  /** What tells this step's comment from those of others: the inputs that stay the same while numbers change. */
  readonly identity: readonly string[];
}

/** The default of every input in action.yml, so that an input that was left out differs from an empty one. */
const LEFT_OUT = "unset";

/** The value that lifts a limit. */
const NO_LIMIT = "none";

/** The inputs that are passed on as flags. */
const FLAGS = {
  available: "--available",
  purchased: "--purchased",
  "when-below": "--when-below",
  "if-purchased": "--if-purchased",
  "max-licenses": "--max-licenses",
  "max-total": "--max-total",
  po: "--po",
  note: "--note",
  wait: "--wait",
  "api-url": "--api-url",
  organization: "--org",
} as const;

const INPUTS = [...flagged(), "trust", "api-token", "dry-run", "plan", "github-token", "command"] as const;

type Input = (typeof INPUTS)[number];

/** What was passed for each input; `null` for one that was left out. */
type Given = Readonly<Record<Input, string | null>>;

function flagged(): readonly (keyof typeof FLAGS)[] {
  return Object.keys(FLAGS) as (keyof typeof FLAGS)[];
}

/**
 * Reads the inputs of the step that runs the action (src/cli/README.md, GitHub Actions).
 *
 * @param env has each input as GitHub's runner passes it: `INPUT_` and the name in capitals, hyphens kept; also with
 *   underscores, for a step that runs the action without that
 * @throws CliError `invalid_usage`
 */
export function readInputs(env: Context["env"]): StepInputs {
  const given = readGiven(env);
  assertPresent(given);
  assertTarget(given);
  if (given.trust !== null && given["api-token"] !== null) {
    throw usageError("trust cannot be used with api-token", "Set trust or api-token, not both.");
  }
  const isPlan = readBoolean(given, "plan");
  const isDryRun = readBoolean(given, "dry-run");
  const rehearsal = isPlan ? ["--plan"] : isDryRun ? ["--dry-run"] : [];
  return {
    argv: ["top-up", "--yes", ...flagged().flatMap((name) => flag(name, given[name])), ...rehearsal],
    env: signIn(given),
    command: given.command?.split(/\s+/) ?? [],
  };
}

/** Reads how to show a plan, even where other inputs are wrong; `null` for a step that buys. */
export function readPlan(env: Context["env"]): PlanInputs | null {
  const given = readGiven(env);
  return given.plan === "true" ? planOf(given, env) : null;
}

function readGiven(env: Context["env"]): Given {
  const read = (name: Input) => {
    const variable = `INPUT_${name.toUpperCase()}`;
    // A shell and a workflow's `env` know no names with hyphens.
    const value = (env[variable] ?? env[variable.replaceAll("-", "_")])?.trim();
    return value === undefined || value === LEFT_OUT ? null : value;
  };
  return Object.fromEntries(INPUTS.map((name) => [name, read(name)])) as Given;
}

/** A variable or secret that is misspelled or not set arrives as an empty input, which must not mean "no limit". */
function assertPresent(given: Given): void {
  const empty = INPUTS.filter((name) => given[name] === "");
  const [last = "", ...others] = [...empty].reverse();
  if (empty.length === 0) return;
  if (others.length === 0) {
    throw usageError(`${last} is empty`, "Check the name of its variable or secret, or leave the input out.");
  }
  throw usageError(
    `${others.reverse().join(", ")} and ${last} are empty`,
    "Check the names of their variables or secrets, or leave the inputs out.",
  );
}

function assertTarget(given: Given): void {
  const { available, purchased, "max-licenses": licenses, "max-total": total } = given;
  if (available === null && purchased === null) throw usageError("No target is set", "Set available or purchased.");
  if (licenses === null && total === null) {
    throw usageError("No limit is set", "Set max-licenses or max-total, or both to none for no limit.");
  }
  for (const [name, value, other] of [
    ["max-total", total, licenses],
    ["max-licenses", licenses, total],
  ] as const) {
    if (value === null && other === NO_LIMIT) {
      throw usageError(`${name} is not set`, "Set it, or set it to none as well for no limit.");
    }
  }
}

function readBoolean(given: Given, name: "plan" | "dry-run"): boolean {
  const value = given[name] ?? "false";
  if (value === "true" || value === "false") return value === "true";
  throw usageError(`${name} must be true or false`, `Example: \`${name}: true\`.`);
}

/** One argument, so that no value is taken as a flag of its own. */
function flag(name: keyof typeof FLAGS, value: string | null): string[] {
  const isNoLimit = value === NO_LIMIT && (name === "max-licenses" || name === "max-total");
  return value === null || isNoLimit ? [] : [`${FLAGS[name]}=${value}`];
}

function signIn({ trust, "api-token": token }: Given): Context["env"] {
  if (token !== null) return { SECUREFLAG_API_TOKEN: token, SECUREFLAG_API_TOKEN_FILE: undefined };
  if (trust === null) return {};
  return { SECUREFLAG_TRUST: trust, SECUREFLAG_API_TOKEN: undefined, SECUREFLAG_API_TOKEN_FILE: undefined };
}

function planOf(given: Given, env: Context["env"]): PlanInputs {
  const target = given.available === null ? "purchased" : "available";
  const organization = given.organization ?? env.SECUREFLAG_ORGANIZATION ?? "";
  const apiUrl = given["api-url"] ?? env.SECUREFLAG_API_URL ?? "";
  return { githubToken: given["github-token"] ?? "", identity: [target, organization, apiUrl] };
}
