import { cp } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { type Github, JOB_TOKEN, startGithub, withStatus } from "../../support/github.ts";
import { runSteps, type StepEnd } from "../../support/githubRunner.ts";
import { DIST, removePlaces, temporaryDirectory } from "../../support/places.ts";
import { type RunningSandbox, startSandbox } from "../../support/sandbox.ts";
import { organization, seed, tokenOf } from "../../support/seed.ts";

const ACTION = ".github/actions/top-up";
const PULL_REQUEST = { pull_request: { number: 7, head: { sha: "0123456789abcdef" } } };

let sandbox: RunningSandbox;
let github: Github;
let workspace: string;

beforeAll(async () => {
  sandbox = await startSandbox({ seed: seed(organization(1), organization(2)) });
  workspace = await temporaryDirectory();
  await cp(join(DIST, "action"), join(workspace, ACTION), { recursive: true });
});

beforeEach(async () => {
  github = await startGithub();
});

afterEach(() => github.close());

afterAll(async () => {
  await sandbox?.stop();
  await removePlaces();
});

interface Job {
  readonly event?: unknown;
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs one plan after the other as steps of a job for pull request 7. */
async function plan(inputs: readonly Record<string, string>[], { event = PULL_REQUEST, env = {} }: Job = {}) {
  const all = { "api-url": sandbox.ready.url, "api-token": tokenOf(1), "max-total": "500", plan: "true" };
  const steps = inputs.map((given) => ({ uses: `./${ACTION}`, with: { ...all, ...given } }));
  return await runSteps(stringify(steps), {
    workspace,
    env,
    github: { apiUrl: github.url, token: JOB_TOKEN, event },
  });
}

const annotations = (end: StepEnd | undefined) =>
  end?.commands.filter(({ name }) => name !== "add-mask").map(({ name, data }) => `${name}: ${data}`);

describe("a plan", () => {
  test("buys nothing, and is one comment on the pull request, kept up to date", async () => {
    const [first] = await plan([{ available: "8" }]);
    expect(first).toMatchObject({ exitCode: 0, outputs: { status: "planned", bought: "0", "exit-code": "0" } });
    const [{ body = "" } = {}, ...others] = github.comments;
    expect(others).toEqual([]);
    for (const part of [
      /^<!-- secureflag-licenses plan [\da-f]{16} -->\n/,
      "dry run: would buy 5 licenses: 25 → 30",
      "- Due now: £244.10 (£203.42 + £40.68 tax)",
      /^- Renews at: £5,400\.00 .* on \d{4}-03-01$/m,
      "Planned for `0123456`",
      "[Job summary](<https://github.com/northwind/infra/actions/runs/1658821493>)",
    ])
      expect(body).toMatch(part);
    expect(body).toContain(first?.summary.trim());
    await plan([{ available: "9" }]);
    expect(github.comments).toMatchObject([
      { id: github.comments[0]?.id, body: expect.stringContaining("would buy 6") },
    ]);
    await plan([{ available: "3" }]);
    expect(github.comments).toMatchObject([{ body: expect.stringContaining("nothing to buy") }]);
    expect(await sandbox.purchases(1)).toEqual([]);
  });

  test("of another step or organization has a comment of its own", async () => {
    const other = { "api-token": tokenOf(2), organization: "2" };
    const inputs = [{ available: "8" }, { available: "4", ...other }];
    await plan(inputs);
    await plan(inputs);
    expect(github.comments.map(({ body }) => /would buy \d/.exec(body)?.[0])).toEqual(["would buy 5", "would buy 1"]);
    await plan([{ available: "6", ...other }]);
    expect(github.comments.length).toBe(3);
  });

  test("that a limit stops says so in the comment, and fails the step", async () => {
    const [end] = await plan([{ available: "8", "max-total": "1" }]);
    expect(end).toMatchObject({ exitCode: 7, outputs: { status: "stopped", "exit-code": "7" } });
    expect(github.comments).toMatchObject([{ body: expect.stringContaining("### License top-up stopped") }]);
  });

  test("that cannot be made replaces the one before, of another commit", async () => {
    await plan([{ available: "8" }]);
    for (const available of ["8O", ""]) {
      const [end] = await plan([{ available }]);
      expect(end).toMatchObject({ exitCode: 2, summary: expect.stringContaining("### License top-up failed") });
      expect(github.comments).toMatchObject([{ body: expect.stringContaining("Exit code 2.") }]);
      expect(github.comments[0]?.body).not.toContain("would buy");
    }
  });

  test("for an issue comment is on that pull request", async () => {
    await plan([{ available: "8" }], { event: { issue: { number: 7, pull_request: { url: "x" } } } });
    expect(github.comments.length).toBe(1);
  });

  test.each<[string, unknown]>([
    ["a schedule", {}],
    ["an issue", { issue: { number: 7 } }],
    ["what is no event", "x"],
  ])("for %s is in the job summary only", async (_, event) => {
    const [end] = await plan([{ available: "8" }], { event });
    expect(end).toMatchObject({ exitCode: 0, summary: expect.stringContaining("would buy 5 licenses") });
    expect(annotations(end)).toEqual(["notice: No pull request to comment on. The plan is in the job summary."]);
    expect(github.requests).toEqual([]);
  });

  test("from a fork, whose token may not comment, is in the job summary, with a warning", async () => {
    github.inject("POST", withStatus(403));
    const [end] = await plan([{ available: "8" }]);
    expect(end).toMatchObject({ exitCode: 0, summary: expect.stringContaining("would buy 5 licenses") });
    expect(annotations(end)).toEqual([
      expect.stringMatching(
        /^warning: Failed to comment on pull request #7: .*HTTP status 403\. .*pull-requests: write/,
      ),
    ]);
  });

  test("does not fail with GitHub", async () => {
    github.inject("GET", ...Array.from({ length: 4 }, () => withStatus(500, { "retry-after": "0" })));
    const [end] = await plan([{ available: "8" }]);
    expect(end).toMatchObject({ exitCode: 0, outputs: { status: "planned" } });
    expect(annotations(end)).toEqual([
      expect.stringMatching(/^warning: .*HTTP status 500\. The plan is in the job summary\.$/),
    ]);
  });

  test("shows no token anywhere", async () => {
    const ends = await plan([{ available: "8" }, { available: "x" }]);
    const shown = JSON.stringify([
      github.comments,
      github.requests,
      ends.map(({ commands, ...end }) => [annotations({ commands, ...end }), end]),
    ]);
    for (const secret of [JOB_TOKEN, tokenOf(1)]) expect(shown).not.toContain(secret);
  });
});
