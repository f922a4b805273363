import { createHash } from "node:crypto";
import type { JournalEntry } from "./journal.ts";
import { fileKey } from "./quoteFile.ts";
import type { BuyRequest } from "./tools.ts";

/** The idempotency keys that a command may use, one after the other. */
export interface KeySeries {
  readonly source: JournalEntry["keySource"];
  current(): string;
  /** Advances to the next key; false if there is none, as with `--idempotency-key`. */
  advance(): boolean;
}

/** What keys are derived from. */
export interface KeyIngredients {
  readonly ciRun: CiRun | null;
  readonly apiUrl: string;
  readonly organizationId: number;
  /** Gives this many random bytes. */
  randomBytes(count: number): Buffer;
}

/**
 * Creates the keys of a command that buys: the one passed, else derived from a quote file, else from a known CI run, else
 * random (src/cli/README.md, Keys in CI). A target needs no derived key: it determines what is still missing.
 */
export function keySeries(request: BuyRequest, ingredients: KeyIngredients): KeySeries {
  const { explicitKey, quoteFile, wanted, purchaseOrder, note } = request;
  const { ciRun, apiUrl, organizationId } = ingredients;
  if (explicitKey !== null) return { source: "explicit", current: () => explicitKey, advance: () => false };
  if (quoteFile !== null) return series("file", (ordinal) => fileKey(quoteFile, ordinal));
  if (ciRun !== null && "licenses" in wanted) {
    const meaning = { apiUrl, organizationId, licenses: wanted.licenses, purchaseOrder, note };
    return series("ci", (ordinal) => ciKey(ciRun, meaning, ordinal));
  }
  return series("random", () => `cli_${ingredients.randomBytes(16).toString("hex")}`);
}

function series(source: KeySeries["source"], make: (ordinal: number) => string): KeySeries {
  let ordinal = 1;
  let key = make(ordinal);
  return {
    source,
    current: () => key,
    advance: () => {
      ordinal += 1;
      key = make(ordinal);
      return true;
    },
  };
}

/** The CI systems whose runs are recognized (src/cli/README.md, Keys in CI). */
type CiProvider = "github" | "gitlab" | "circleci" | "jenkins" | "buildkite" | "azure";

/** A job in a pipeline run. `run` stays the same when the run, or a job of it, is retried. */
export interface CiRun {
  readonly provider: CiProvider;
  readonly repository: string;
  readonly run: string;
  readonly job: string;
}

/** What a command orders: two commands of one job that order the same are one purchase. */
export interface CommandMeaning {
  readonly apiUrl: string;
  readonly organizationId: number;
  readonly licenses: number;
  readonly purchaseOrder: string | null;
  readonly note: string | null;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Gives the first variable that is set and not empty. */
type PickVariable = (...names: string[]) => string | undefined;

interface Detector {
  readonly provider: CiProvider;
  /** The variable that identifies the system, and its value if only that one does. */
  readonly marker: readonly [name: string, value?: string];
  describe(pick: PickVariable): { repository: string | undefined; run: string | undefined; job: string | undefined };
}

/** Each system by its documented variables; attempts, retries and job numbers are left out so that a retry has the same key. */
const DETECTORS: readonly Detector[] = [
  {
    provider: "github",
    marker: ["GITHUB_ACTIONS", "true"],
    describe: (pick) => ({
      repository: pick("GITHUB_REPOSITORY"),
      run: pick("GITHUB_RUN_ID"),
      job: pick("GITHUB_JOB"),
    }),
  },
  {
    provider: "gitlab",
    marker: ["GITLAB_CI", "true"],
    describe: (pick) => ({
      repository: pick("CI_PROJECT_PATH"),
      run: pick("CI_PIPELINE_ID"),
      job: pick("CI_JOB_NAME"),
    }),
  },
  {
    provider: "circleci",
    marker: ["CIRCLECI", "true"],
    describe: (pick) => ({
      // Projects of CircleCI's GitHub App and of GitLab have no user or repository name.
      repository: joined(pick("CIRCLE_PROJECT_USERNAME"), pick("CIRCLE_PROJECT_REPONAME")) ?? pick("CIRCLE_PROJECT_ID"),
      // A rerun is a new workflow of the same pipeline and keeps the first one's workspace.
      run: pick("CIRCLE_PIPELINE_ID", "CIRCLE_WORKFLOW_WORKSPACE_ID", "CIRCLE_WORKFLOW_ID"),
      job: pick("CIRCLE_JOB"),
    }),
  },
  {
    provider: "jenkins",
    marker: ["JENKINS_URL"],
    describe: (pick) => ({
      repository: joined(pick("JENKINS_URL"), pick("JOB_NAME")),
      run: pick("BUILD_TAG", "BUILD_ID", "BUILD_NUMBER"),
      // Only a pipeline has stages.
      job: pick("STAGE_NAME", "JOB_NAME"),
    }),
  },
  {
    provider: "buildkite",
    marker: ["BUILDKITE", "true"],
    describe: (pick) => ({
      repository: joined(pick("BUILDKITE_ORGANIZATION_SLUG"), pick("BUILDKITE_PIPELINE_SLUG")),
      run: pick("BUILDKITE_BUILD_ID"),
      job: pick("BUILDKITE_STEP_KEY", "BUILDKITE_LABEL", "BUILDKITE_STEP_ID"),
    }),
  },
  {
    provider: "azure",
    marker: ["TF_BUILD"],
    describe: (pick) => ({
      repository: pick("BUILD_REPOSITORY_NAME", "SYSTEM_TEAMPROJECT"),
      run: pick("BUILD_BUILDID"),
      // Jobs of two stages may share a name; a classic pipeline has no stages.
      job: joined(pick("SYSTEM_STAGENAME") ?? "-", pick("SYSTEM_JOBNAME", "AGENT_JOBNAME")),
    }),
  },
];

/** Detects the CI job from the environment; `null` if there is none, or too little is known of it. */
export function detectCiRun(env: Environment): CiRun | null {
  const detector = DETECTORS.find(({ marker: [name, value] }) => (value ? env[name] === value : Boolean(env[name])));
  if (!detector) return null;
  const pick: PickVariable = (...names) => names.map((name) => env[name]).find(Boolean);
  const { repository, run, job } = detector.describe(pick);
  return repository && run && job ? { provider: detector.provider, repository, run, job } : null;
}

/**
 * Derives the idempotency key of a command in a CI job: the same for every attempt of the run.
 *
 * @param ordinal from 1; the next one is used after a key that is void or whose purchase failed
 */
export function ciKey(run: CiRun, meaning: CommandMeaning, ordinal: number): string {
  const { apiUrl, organizationId, licenses, purchaseOrder, note } = meaning;
  const parts = [
    [run.provider, run.repository, run.run, run.job],
    [apiUrl, organizationId, licenses, purchaseOrder, note],
  ];
  return `ci_${createHash("sha256").update(JSON.stringify(parts)).digest("hex")}_${ordinal}`;
}

function joined(...parts: readonly (string | undefined)[]): string | undefined {
  return parts.every(Boolean) ? parts.join("/") : undefined;
}
