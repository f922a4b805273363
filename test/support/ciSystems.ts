/**
 * What the known CI systems set for a job, as their documentation lists it, and what changes when that job is tried
 * again.
 */
export const CI_SYSTEMS = {
  github: {
    env: {
      CI: "true",
      GITHUB_ACTIONS: "true",
      GITHUB_REPOSITORY: "northwind/infra",
      GITHUB_RUN_ID: "1658821493",
      GITHUB_JOB: "licenses",
      GITHUB_RUN_NUMBER: "42",
      GITHUB_RUN_ATTEMPT: "1",
    },
    attempt: { GITHUB_RUN_ATTEMPT: "2", RUNNER_NAME: "other" },
  },
  gitlab: {
    env: {
      CI: "true",
      GITLAB_CI: "true",
      CI_PROJECT_PATH: "northwind/infra",
      CI_PIPELINE_ID: "991",
      CI_JOB_NAME: "licenses: [eu]",
      CI_JOB_ID: "7",
    },
    attempt: { CI_JOB_ID: "8" },
  },
  circleci: {
    env: {
      CI: "true",
      CIRCLECI: "true",
      CIRCLE_PROJECT_USERNAME: "northwind",
      CIRCLE_PROJECT_REPONAME: "infra",
      CIRCLE_PIPELINE_ID: "5034460f-c7c4-4c43-9457-de07e2029e7b",
      CIRCLE_JOB: "licenses",
    },
    attempt: { CIRCLE_WORKFLOW_ID: "new", CIRCLE_BUILD_NUM: "9", CIRCLE_WORKFLOW_JOB_ID: "new" },
  },
  jenkins: {
    env: {
      JENKINS_URL: "https://ci.northwind.example/",
      JOB_NAME: "infra/main",
      BUILD_TAG: "jenkins-infra-main-12",
      BUILD_ID: "12",
      STAGE_NAME: "Licenses",
    },
    attempt: { EXECUTOR_NUMBER: "3", NODE_NAME: "other" },
  },
  buildkite: {
    env: {
      CI: "true",
      BUILDKITE: "true",
      BUILDKITE_ORGANIZATION_SLUG: "northwind",
      BUILDKITE_PIPELINE_SLUG: "infra",
      BUILDKITE_BUILD_ID: "4735ba57-80d0-46e2-8fa0-b28223a86586",
      BUILDKITE_STEP_KEY: "",
      BUILDKITE_LABEL: "Licenses",
      BUILDKITE_RETRY_COUNT: "0",
    },
    attempt: { BUILDKITE_RETRY_COUNT: "1", BUILDKITE_JOB_ID: "new" },
  },
  azure: {
    env: {
      TF_BUILD: "True",
      BUILD_REPOSITORY_NAME: "northwind/infra",
      SYSTEM_TEAMPROJECT: "infra",
      BUILD_BUILDID: "2001",
      SYSTEM_STAGENAME: "__default",
      SYSTEM_JOBNAME: "licenses",
      SYSTEM_JOBATTEMPT: "1",
    },
    attempt: { SYSTEM_JOBATTEMPT: "2", SYSTEM_STAGEATTEMPT: "2", SYSTEM_JOBID: "new" },
  },
} as const;
