import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { parse, parseAllDocuments } from "yaml";
import * as z from "zod";
import { CI_SYSTEMS } from "./ciSystems.ts";
import { temporaryDirectory } from "./places.ts";

/** A pipeline is invalid, as GitLab reports it before any job runs. */
export class PipelineError extends Error {
  override readonly name = "PipelineError";
}

const inputSchema = z.strictObject({
  description: z.string(),
  options: z.array(z.string()).optional(),
  // A boolean or a number stays one where it is put in, and a variable of a job is neither.
  default: z.string().optional(),
});
const specSchema = z.strictObject({ spec: z.strictObject({ inputs: z.record(z.string(), inputSchema) }) });
const pipelineSchema = z.strictObject({
  include: z
    .array(
      z.strictObject({
        local: z.string(),
        inputs: z.record(z.string(), z.union([z.string(), z.boolean(), z.number()])),
      }),
    )
    .length(1),
});
const jobSchema = z.strictObject({
  stage: z.string(),
  image: z.string(),
  rules: z.array(z.strictObject({ if: z.string() })),
  id_tokens: z.record(z.string(), z.strictObject({ aud: z.string() })),
  variables: z.record(z.string(), z.string()),
  resource_group: z.string(),
  interruptible: z.literal(false),
  timeout: z.string(),
  retry: z.strictObject({ max: z.int().max(2), exit_codes: z.array(z.int()) }),
  script: z.array(z.string()),
});

/** A job as GitLab has it after it put the inputs in. */
export type GitlabJob = z.output<typeof jobSchema> & { readonly name: string };

/**
 * Reads the one job that a pipeline includes from a component of the project.
 *
 * @param yaml the text of .gitlab-ci.yml
 * @param project the project's directory
 * @throws PipelineError
 */
export async function readIncludedJob(yaml: string, project: string): Promise<GitlabJob> {
  const { include } = pipelineSchema.parse(parse(yaml));
  const [{ local = "", inputs: given = {} } = {}] = include;
  const text = await readFile(join(project, local), "utf8");
  const [header, ...others] = parseAllDocuments(text);
  const { spec } = specSchema.parse(header?.toJS());
  const unknown = Object.keys(given).filter((name) => !Object.hasOwn(spec.inputs, name));
  if (unknown.length > 0 || others.length !== 1) throw new PipelineError(`unknown inputs: ${unknown.join(", ")}`);
  const values = Object.entries(spec.inputs).map(([name, input]) => {
    const value = given[name] ?? input.default;
    if (value === undefined) throw new PipelineError(`${name} is required`);
    if (typeof value !== "string") throw new PipelineError(`${name} is not a string`);
    if (input.options?.includes(value) === false) throw new PipelineError(`${name} cannot be ${value}`);
    return [name, value] as const;
  });
  const [, body = ""] = text.split(/^---\n/m);
  const jobs = parse(interpolated(body, new Map(values))) as Record<string, unknown>;
  const [[name, job] = ["", {}], ...more] = Object.entries(jobs);
  if (more.length > 0) throw new PipelineError("not one job");
  return { name, ...jobSchema.parse(job) };
}

/** GitLab puts a value in as YAML's scalar, whatever is in it. */
function interpolated(text: string, values: ReadonlyMap<string, string>): string {
  return text.replaceAll(/"?\$\[\[ inputs\.([\w-]+) \]\]"?/g, (_, name: string) => {
    const value = values.get(name);
    if (value === undefined) throw new PipelineError(`no input ${name}`);
    return JSON.stringify(value);
  });
}

/** Runs the script of a job as GitLab's runner does in an image with this shell. */
export async function runJob(
  job: GitlabJob,
  { project, env, shell }: { project: string; env: Readonly<Record<string, string>>; shell: "bash" | "sh" },
) {
  const settings = { ...CI_SYSTEMS.gitlab.env, CI_PIPELINE_SOURCE: "schedule", CI_PROJECT_DIR: project, ...env };
  const expand = (text: string) => text.replaceAll(/\$(\w+)/g, (_, name: string) => settings[name as "CI"] ?? "");
  const variables = Object.entries(job.variables).map(([name, value]) => [name, expand(value)] as const);
  const flags = shell === "bash" ? ["-eo", "pipefail"] : ["-e"];
  return await execa(shell, [...flags, "-c", job.script.join("\n")], {
    cwd: project,
    env: {
      PATH: process.env.PATH ?? "",
      HOME: await temporaryDirectory(),
      ...settings,
      ...Object.fromEntries(variables),
    },
    extendEnv: false,
    reject: false,
    timeout: 60_000,
  });
}
