import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { parse } from "yaml";
import * as z from "zod";
import { CI_SYSTEMS } from "./ciSystems.ts";
import { type LogCommand, readLog, readStepOutputs } from "./githubLog.ts";
import { temporaryDirectory } from "./places.ts";

/** A repository, its settings, and the machine that its jobs run on. */
export interface Repository {
  /** Where it is checked out. */
  readonly workspace: string;
  readonly secrets?: Readonly<Record<string, string>>;
  readonly vars?: Readonly<Record<string, string>>;
  /** What a job that may have an identity token requests it with. */
  readonly identity?: { readonly url: string; readonly token: string };
  /** The GitHub API, the job's own token for it, and the payload of the event. */
  readonly github?: { readonly apiUrl: string; readonly token: string; readonly event: unknown };
  /** Besides `PATH`, `HOME` and what GitHub sets. */
  readonly env?: Readonly<Record<string, string>>;
}

/** How a step ended. */
export interface StepEnd {
  readonly exitCode: number;
  readonly outputs: Readonly<Record<string, string>>;
  /** The job summary that it wrote. */
  readonly summary: string;
  /** The commands in its log. */
  readonly commands: readonly LogCommand[];
  /** The rest of its log. */
  readonly log: string;
}

/** The workflow is invalid, or uses something this runner does not support. */
class RunnerError extends Error {
  override readonly name = "RunnerError";
}

type Contexts = Readonly<Record<string, Readonly<Record<string, string>>>>;

const scalars = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]).transform(String));
const runStep = z.strictObject({
  id: z.string().optional(),
  shell: z.literal("bash").optional(),
  env: scalars.default({}),
  run: z.string(),
});
const usesStep = z.strictObject({ id: z.string().optional(), uses: z.string(), with: scalars.default({}) });
const stepsSchema = z.array(z.union([runStep, usesStep]));
const actionSchema = z.strictObject({
  name: z.string(),
  description: z.string(),
  branding: z.strictObject({ icon: z.string(), color: z.string() }),
  inputs: z.record(z.string(), z.strictObject({ description: z.string(), default: z.string().default("") })),
  outputs: z.record(z.string(), z.strictObject({ description: z.string() })),
  runs: z.strictObject({ using: z.literal("node24"), main: z.string() }),
});
const workflowSchema = z.strictObject({
  on: z.record(z.string(), z.unknown()),
  permissions: z.partialRecord(z.enum(["contents", "id-token", "pull-requests"]), z.enum(["read", "write"])),
  concurrency: z.strictObject({ group: z.string(), "cancel-in-progress": z.boolean().optional() }).optional(),
  jobs: z.record(
    z.string(),
    z.strictObject({
      // Nothing here runs for a fork.
      if: z.literal("github.event.pull_request.head.repo.full_name == github.repository").optional(),
      "runs-on": z.literal("ubuntu-latest"),
      "timeout-minutes": z.int().positive(),
      steps: stepsSchema,
    }),
  ),
});

/** Runs the one job of a workflow of the repository, as `runSteps` does. */
export async function runWorkflow(path: string, repository: Repository): Promise<StepEnd[]> {
  const workflow = workflowSchema.parse(parse(await readFile(join(repository.workspace, path), "utf8")));
  const { jobs, permissions } = workflow;
  const [job, ...others] = Object.values(jobs);
  if (job === undefined || others.length > 0) throw new RunnerError("not one job");
  const { identity, ...rest } = repository;
  const mayHaveToken = permissions["id-token"] === "write" && identity !== undefined;
  return await run(job.steps, mayHaveToken ? { ...rest, identity } : rest);
}

/**
 * Runs steps written in YAML on a machine of their own, one after the other until one fails, as GitHub Actions does.
 * `actions/checkout` does nothing.
 */
export async function runSteps(yaml: string, repository: Repository): Promise<StepEnd[]> {
  return await run(stepsSchema.parse(parse(yaml)), repository);
}

async function run(steps: z.output<typeof stepsSchema>, repository: Repository): Promise<StepEnd[]> {
  const github = { token: repository.github?.token ?? "ghs_unused" };
  const contexts = { secrets: repository.secrets ?? {}, vars: repository.vars ?? {}, github };
  const env = await machine(repository);
  const ended: StepEnd[] = [];
  for (const [index, step] of steps.entries()) {
    const named = { ...env, GITHUB_ACTION: step.id ?? `__self_${index}` };
    if (!("uses" in step)) ended.push(await runScript(step, contexts, named));
    else if (step.uses.startsWith("./")) ended.push(await runAction(step, contexts, named));
    // A tag can be moved to other code; a commit cannot.
    else if (!/^actions\/checkout@[\da-f]{40}$/.test(step.uses)) throw new RunnerError(`no ${step.uses} here`);
    if (ended.at(-1)?.exitCode) break;
  }
  return ended;
}

/** What GitHub sets for every step of a job. */
async function machine({ workspace, env, identity, github }: Repository): Promise<Record<string, string>> {
  const [home, temp] = [await temporaryDirectory(), await temporaryDirectory()];
  const event = join(temp, "event.json");
  await writeFile(event, JSON.stringify(github?.event ?? {}));
  return {
    PATH: process.env.PATH ?? "",
    HOME: home,
    ...CI_SYSTEMS.github.env,
    GITHUB_WORKFLOW: "licenses",
    GITHUB_WORKSPACE: workspace,
    GITHUB_SERVER_URL: "https://github.com",
    GITHUB_API_URL: github?.apiUrl ?? "http://127.0.0.1:9",
    GITHUB_EVENT_PATH: event,
    RUNNER_OS: "Linux",
    RUNNER_TEMP: temp,
    ...(identity && { ACTIONS_ID_TOKEN_REQUEST_URL: identity.url, ACTIONS_ID_TOKEN_REQUEST_TOKEN: identity.token }),
    ...env,
  };
}

type Environment = Readonly<Record<string, string>>;

/** An action in JavaScript finds each input in a variable: the name in capitals, spaces as underscores. */
async function runAction(
  { uses, with: given }: z.output<typeof usesStep>,
  contexts: Contexts,
  env: Environment,
): Promise<StepEnd> {
  const directory = join(env.GITHUB_WORKSPACE ?? "", uses);
  const action = actionSchema.parse(parse(await readFile(join(directory, "action.yml"), "utf8")));
  const unknown = Object.keys(given).find((name) => !Object.hasOwn(action.inputs, name));
  if (unknown !== undefined) throw new RunnerError(`the action has no input ${unknown}`);
  const defaults = Object.fromEntries(Object.entries(action.inputs).map(([name, input]) => [name, input.default]));
  const inputs = Object.entries(evaluated({ ...defaults, ...given }, contexts)).map(
    ([name, value]) => [`INPUT_${name.replaceAll(" ", "_").toUpperCase()}`, value] as const,
  );
  const main = join(directory, action.runs.main);
  const end = await runProcess([process.execPath, main], { ...env, ...Object.fromEntries(inputs) });
  const undeclared = Object.keys(end.outputs).find((name) => !Object.hasOwn(action.outputs, name));
  if (undeclared !== undefined) throw new RunnerError(`the action has no output ${undeclared}`);
  return end;
}

async function runScript(
  { run: script, shell, env }: z.output<typeof runStep>,
  contexts: Contexts,
  machineEnv: Environment,
): Promise<StepEnd> {
  if (script.includes("${{")) throw new RunnerError("an expression in a script becomes a part of it");
  const path = join(machineEnv.RUNNER_TEMP ?? "", `${crypto.randomUUID()}.sh`);
  await writeFile(path, script);
  const flags = shell === "bash" ? ["--noprofile", "--norc", "-eo", "pipefail"] : ["-e"];
  return await runProcess(["bash", ...flags, path], { ...machineEnv, ...evaluated(env, contexts) });
}

async function runProcess([command = "", ...args]: readonly string[], env: Environment): Promise<StepEnd> {
  const directory = join(env.RUNNER_TEMP ?? "", crypto.randomUUID());
  await mkdir(directory);
  const names = ["GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STATE"];
  const files = Object.fromEntries(names.map((name) => [name, join(directory, name)]));
  await Promise.all(Object.values(files).map((path) => writeFile(path, "")));
  const { exitCode, stdout, stderr } = await execa(command, args, {
    cwd: env.GITHUB_WORKSPACE ?? "",
    env: { ...env, ...files },
    extendEnv: false,
    reject: false,
    stdin: "ignore",
    timeout: 60_000,
  });
  const [output = "", summary = "", ...others] = await Promise.all(
    names.map((name) => readFile(files[name] ?? "", "utf8")),
  );
  if (others.some((text) => text !== "")) throw new RunnerError(`no use of ${names.slice(2).join(", ")} here`);
  const { commands, text: log } = readLog(`${stdout}\n${stderr}`);
  const legacy = commands.flatMap(({ name, properties, data }) => (name === "set-output" ? [[properties, data]] : []));
  return {
    exitCode: exitCode ?? -1,
    outputs: { ...readStepOutputs(output), ...Object.fromEntries(legacy) },
    summary,
    commands,
    log,
  };
}

/** Evaluates expressions; only `${{ context.name }}` is supported. */
function evaluated(texts: Readonly<Record<string, string>>, contexts: Contexts): Record<string, string> {
  const evaluate = (text: string) =>
    text.replaceAll(/\$\{\{(.*?)\}\}/g, (_, expression: string) => {
      const [, context = "", name = ""] = /^ (\w+)\.([\w-]+) $/.exec(expression) ?? [];
      const values = contexts[context];
      if (values === undefined) throw new RunnerError(`no ${expression} here`);
      return values[name] ?? "";
    });
  return Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, evaluate(text)]));
}
