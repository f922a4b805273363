import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import * as z from "zod";
import { codeSpan, link } from "../buying/jobSummary.ts";
import type { Context } from "../context.ts";
import { clean } from "../kit/text.ts";
import type { PlanInputs } from "./inputs.ts";

const numbered = z.object({ number: z.int().positive() });

/** The part of a webhook's payload that names a pull request (GitHub, Webhook events and payloads). */
const eventSchema = z.object({
  pull_request: numbered.extend({ head: z.object({ sha: z.string() }).optional() }).optional(),
  issue: numbered.extend({ pull_request: z.unknown() }).optional(),
});

interface PullRequest {
  readonly number: number;
  readonly commit: string | null;
}

const TIMEOUT_MS = 30_000;

/**
 * Shows a plan as a comment on the pull request of the job, in place of the step's comment before. Where it cannot be
 * written, that is an annotation and no failure: the plan is in the job summary, too.
 *
 * @param plan what the step added to the job summary, in Markdown
 */
export async function commentPlan(
  plan: string,
  { githubToken, identity }: PlanInputs,
  context: Context,
): Promise<void> {
  const { env } = context;
  const pullRequest = await readPullRequest(env.GITHUB_EVENT_PATH);
  if (pullRequest === null) return tell(context, "notice", `No pull request to comment on. ${IN_SUMMARY}`);
  const { number } = pullRequest;
  const repository = env.GITHUB_REPOSITORY ?? "";
  if (githubToken === "" || !env.GITHUB_API_URL || !/^[\w.-]+\/[\w.-]+$/.test(repository)) {
    const missing = "github-token, GITHUB_API_URL or GITHUB_REPOSITORY is not set.";
    return tell(context, "warning", `Failed to comment on pull request #${number}: ${missing} ${IN_SUMMARY}`);
  }
  const marker = markerOf(identity, context);
  const body = [marker, plan.trim(), footer(pullRequest, identity, context)].join("\n\n");
  const { putComment } = await import("../../client/githubComments.ts");
  try {
    await putComment(
      { apiUrl: env.GITHUB_API_URL, token: githubToken, repository, number, marker, body },
      {
        timeoutMs: TIMEOUT_MS,
        env,
        userAgent: `secureflag-licenses/${context.version}`,
        sleep: context.clock.sleep,
      },
    );
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const failure = `Failed to comment on pull request #${number}: ${reason}.`;
    tell(context, "warning", `${failure} ${mayNot(error) ? PERMISSION : ""}${IN_SUMMARY}`);
  }
}

const IN_SUMMARY = "The plan is in the job summary.";

const PERMISSION =
  'Add "permissions: pull-requests: write" to the job; a pull request from a fork has no token that may comment. ';

function mayNot(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "forbidden" || error.code === "not_found");
}

function tell({ io }: Context, command: "notice" | "warning", text: string): void {
  const cleaned = clean(text);
  if (!io.workflowCommand(command, cleaned)) io.note(`${cleaned}\n`);
}

/** Reads which pull request the job runs for; `null` if none. */
async function readPullRequest(path: string | undefined): Promise<PullRequest | null> {
  if (!path) return null;
  const event = await readFile(path, "utf8")
    .then(JSON.parse, () => null)
    .catch(() => null);
  const { pull_request: pullRequest, issue } = eventSchema.catch({}).parse(event);
  if (pullRequest) return { number: pullRequest.number, commit: pullRequest.head?.sha ?? null };
  return issue?.pull_request ? { number: issue.number, commit: null } : null;
}

/**
 * The first line of the comment, which nobody sees. It is the same in every run of this step, and differs between the jobs
 * of a workflow, the steps of a job, and the organizations of a matrix.
 */
function markerOf(identity: readonly string[], { env }: Context): string {
  const step = [env.GITHUB_WORKFLOW, env.GITHUB_JOB, env.GITHUB_ACTION].map((part) => part ?? "");
  const digest = createHash("sha256")
    .update(JSON.stringify([...step, ...identity]))
    .digest("hex");
  return `<!-- secureflag-licenses plan ${digest.slice(0, 16)} -->`;
}

function footer({ commit }: PullRequest, [, organization]: readonly string[], { env }: Context): string {
  const { GITHUB_SERVER_URL: server = "", GITHUB_REPOSITORY: repository = "", GITHUB_RUN_ID: run = "" } = env;
  const address = `${server}/${repository}/actions/runs/${run}`;
  const facts = [
    "Nothing was bought.",
    ...(organization ? [`Organization ${codeSpan(organization)}.`] : []),
    ...(commit === null ? [] : [`Planned for ${codeSpan(commit.slice(0, 7))}.`]),
    ...(URL.canParse(address) ? [link("Job summary", address)] : []),
  ];
  return facts.join(" ");
}
