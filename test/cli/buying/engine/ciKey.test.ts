import { describe, expect, test } from "vitest";
import { ciKey, detectCiRun } from "../../../../src/cli/buying/engine/keys.ts";
import { idempotencyKeySchema } from "../../../../src/contract/billing.ts";
import { CI_SYSTEMS } from "../../../support/ciSystems.ts";

/** How each system tells a run, and the variables without which it does not. */
const TOLD = {
  github: {
    run: { repository: "northwind/infra", run: "1658821493", job: "licenses" },
    required: ["GITHUB_REPOSITORY", "GITHUB_RUN_ID", "GITHUB_JOB"],
  },
  gitlab: {
    run: { repository: "northwind/infra", run: "991", job: "licenses: [eu]" },
    required: ["CI_PROJECT_PATH", "CI_PIPELINE_ID", "CI_JOB_NAME"],
  },
  circleci: {
    run: { repository: "northwind/infra", run: "5034460f-c7c4-4c43-9457-de07e2029e7b", job: "licenses" },
    required: ["CIRCLE_PROJECT_REPONAME", "CIRCLE_JOB"],
  },
  jenkins: {
    run: { repository: "https://ci.northwind.example//infra/main", run: "jenkins-infra-main-12", job: "Licenses" },
    required: ["JOB_NAME"],
  },
  buildkite: {
    run: { repository: "northwind/infra", run: "4735ba57-80d0-46e2-8fa0-b28223a86586", job: "Licenses" },
    required: ["BUILDKITE_ORGANIZATION_SLUG", "BUILDKITE_PIPELINE_SLUG", "BUILDKITE_BUILD_ID", "BUILDKITE_LABEL"],
  },
  azure: {
    run: { repository: "northwind/infra", run: "2001", job: "__default/licenses" },
    required: ["BUILD_BUILDID", "SYSTEM_JOBNAME"],
  },
} as const satisfies Record<keyof typeof CI_SYSTEMS, unknown>;

const meaning = {
  apiUrl: "https://api.secureflag.com/rest/management/v2",
  organizationId: 4201,
  licenses: 5,
  purchaseOrder: null,
  note: null,
};

describe.each(Object.entries(TOLD))("%s", (provider, { run, required }) => {
  const { env, attempt } = CI_SYSTEMS[provider as keyof typeof CI_SYSTEMS];

  test("detects repository, run and job", () => {
    expect(detectCiRun(env)).toEqual({ provider, ...run });
  });

  test("detects the same run for another attempt", () => {
    expect(detectCiRun({ ...env, ...attempt })).toEqual({ provider, ...run });
  });

  test.each(required)("detects no run without %s", (name) => {
    expect(detectCiRun({ ...env, [name]: undefined })).toBeNull();
    expect(detectCiRun({ ...env, [name]: "" })).toBeNull();
  });
});

test.each([
  [{}],
  [{ CI: "true" }],
  [{ CI: "true", TRAVIS: "true", GITHUB_RUN_ID: "1", GITHUB_JOB: "x", GITHUB_REPOSITORY: "a/b" }],
])("no run is detected with %o", (env) => {
  expect(detectCiRun(env)).toBeNull();
});

test.each([
  [
    "CircleCI without a pipeline",
    {
      ...CI_SYSTEMS.circleci.env,
      CIRCLE_PIPELINE_ID: "",
      CIRCLE_WORKFLOW_ID: "w2",
      CIRCLE_WORKFLOW_WORKSPACE_ID: "w1",
    },
    { run: "w1" },
  ],
  [
    "CircleCI with only a workflow",
    { ...CI_SYSTEMS.circleci.env, CIRCLE_PIPELINE_ID: "", CIRCLE_WORKFLOW_ID: "w2" },
    { run: "w2" },
  ],
  [
    "CircleCI by project number",
    { ...CI_SYSTEMS.circleci.env, CIRCLE_PROJECT_REPONAME: "", CIRCLE_PROJECT_ID: "p1" },
    { repository: "p1" },
  ],
  ["Jenkins without stages", { ...CI_SYSTEMS.jenkins.env, STAGE_NAME: undefined }, { job: "infra/main" }],
  ["Jenkins by build number", { ...CI_SYSTEMS.jenkins.env, BUILD_TAG: "" }, { run: "12" }],
  ["Buildkite by step", { ...CI_SYSTEMS.buildkite.env, BUILDKITE_STEP_KEY: "top-up" }, { job: "top-up" }],
  [
    "Buildkite by step number",
    { ...CI_SYSTEMS.buildkite.env, BUILDKITE_LABEL: "", BUILDKITE_STEP_ID: "s1" },
    { job: "s1" },
  ],
  [
    "Azure's classic pipelines",
    { ...CI_SYSTEMS.azure.env, SYSTEM_STAGENAME: "", SYSTEM_JOBNAME: "", AGENT_JOBNAME: "Job" },
    { job: "-/Job" },
  ],
  ["Azure without a repository name", { ...CI_SYSTEMS.azure.env, BUILD_REPOSITORY_NAME: "" }, { repository: "infra" }],
])("%s", (_name, env, expected) => {
  expect(detectCiRun(env)).toMatchObject(expected);
});

describe("ciKey", () => {
  const run = { provider: "github", repository: "a/b", run: "1", job: "j" } as const;

  test("is stable and a valid Idempotency-Key", () => {
    const key = ciKey(run, meaning, 1);
    expect(key).toBe(ciKey({ ...run }, { ...meaning }, 1));
    expect(key).toMatch(/^ci_[0-9a-f]{64}_1$/);
    expect(idempotencyKeySchema.safeParse(ciKey(run, { ...meaning, note: "é\n" }, 12)).success).toBe(true);
  });

  test("differs for everything that makes a different purchase", () => {
    const keys = [
      ciKey(run, meaning, 1),
      ciKey(run, meaning, 2),
      ciKey({ ...run, provider: "gitlab" }, meaning, 1),
      ciKey({ ...run, repository: "a/c" }, meaning, 1),
      ciKey({ ...run, run: "2" }, meaning, 1),
      ciKey({ ...run, job: "k" }, meaning, 1),
      ciKey(run, { ...meaning, apiUrl: "http://127.0.0.1:4010/rest/management/v2" }, 1),
      ciKey(run, { ...meaning, organizationId: 4202 }, 1),
      ciKey(run, { ...meaning, licenses: 6 }, 1),
      ciKey(run, { ...meaning, purchaseOrder: "x" }, 1),
      ciKey(run, { ...meaning, note: "x" }, 1),
    ];
    expect(new Set(keys).size).toBe(keys.length);
  });
});
