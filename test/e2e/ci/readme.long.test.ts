import { appendFile, copyFile, cp, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import manifest from "../../../package.json";
import { HELP_TOPICS } from "../../../src/cli/help/help.ts";
import { type Github, JOB_TOKEN, startGithub } from "../../support/github.ts";
import { type Repository, runSteps, runWorkflow } from "../../support/githubRunner.ts";
import { readIncludedJob, runJob } from "../../support/gitlab.ts";
import { type Issuer, startIssuer } from "../../support/issuer.ts";
import { NO_REGISTRY, packAction, packPackage } from "../../support/packed.ts";
import { ROOT, removePlaces, temporaryDirectory } from "../../support/places.ts";
import { type Example, exampleWith, readExamples } from "../../support/readme.ts";
import { type RunningSandbox, startSandbox } from "../../support/sandbox.ts";
import { organization, seed, token, tokenOf } from "../../support/seed.ts";

/** What cron gives a job, and nothing else (crontab(5)). */
const CRON_PATH = "/usr/bin:/bin";

const [WORKFLOW, STEP, CHANGED, GITLAB, CRON, QUIET, REVIEW, PLAN] = [1, 2, 3, 4, 5, 6, 7, 8];

let examples: Example[];

/** What `npm pack` makes. */
let tarball: string;

let sandbox: RunningSandbox;

/** Where the archive of the action is, with its checksum. */
let release: string;

/** Where jobs get their identity tokens. */
let issuer: Issuer;

/** Where the program is installed, as the README says to. */
let prefix: string;

beforeAll(async () => {
  examples = await readExamples();
  const organizations = Array.from({ length: 7 }, (_, index) => organization(index + 1));
  const reader = organization(PLAN, { tokens: [token(PLAN, { scopes: ["billing:read"] })] });
  sandbox = await startSandbox({ seed: seed(...organizations, reader) });
  issuer = await startIssuer();
  [tarball, release] = [await packPackage(), await packAction()];
  prefix = await temporaryDirectory();
  await execa("npm", ["install", "--global", "--omit=optional", tarball], {
    env: await shellOfAdministrator(),
    extendEnv: false,
  });
});

afterAll(async () => {
  await issuer?.close();
  await sandbox?.stop();
  await removePlaces();
});

/** The environment of a person's own shell, in which the program is installed. */
async function shellOfAdministrator(): Promise<Record<string, string>> {
  return {
    PATH: `${join(prefix, "bin")}:${process.env.PATH ?? ""}`,
    HOME: await temporaryDirectory(),
    npm_config_prefix: prefix,
    ...NO_REGISTRY,
  };
}

/** What the README says to keep in the settings of a CI. */
function settingsFor(id: number) {
  return {
    secrets: { SECUREFLAG_API_TOKEN: tokenOf(id) },
    vars: { SECUREFLAG_API_URL: sandbox.ready.url, SECUREFLAG_ORGANIZATION: String(id) },
  };
}

const CLAIMS = { sub: "northwind/infra" };

/** Adds the trust of the examples to an organization. */
async function addTrust(id: number): Promise<void> {
  const body = { name: "nightly", issuer: issuer.url, claims: CLAIMS, scopes: ["billing:read", "billing:purchase"] };
  const token = await sandbox.signIn();
  expect(await sandbox.request("POST", `/organizations/${id}/trusts`, { token, body })).toMatchObject({ status: 201 });
}

/** The settings of a repository whose jobs sign in by the trust. */
async function repositoryFor(id: number, workspace: string): Promise<Repository> {
  await addTrust(id);
  const { vars } = settingsFor(id);
  return { workspace, env: NO_REGISTRY, vars, identity: issuer.github(CLAIMS) };
}

function variablesFor(id: number): Record<string, string> {
  const { secrets, vars } = settingsFor(id);
  return { ...secrets, ...vars };
}

/** A repository that has what the README says to copy into it: the program, the action, and the component. */
async function freshProject(): Promise<string> {
  const workspace = await temporaryDirectory();
  const env = await shellOfAdministrator();
  await cp(release, workspace, { recursive: true });
  const copies = [
    exampleWith(examples, "sh", "mkdir -p vendor").replace("/path/to/secureflag-licenses-0.1.0.tgz", tarball),
    exampleWith(examples, "sh", "secureflag-licenses-action-0.1.0.tar.gz"),
  ];
  for (const copy of copies) await execa("sh", ["-e", "-c", copy], { cwd: workspace, env, extendEnv: false });
  await mkdir(join(workspace, "templates"));
  await copyFile(join(ROOT, ".github/examples/gitlab/templates/top-up.yml"), join(workspace, "templates/top-up.yml"));
  return workspace;
}

/** Writes an example to where its first line says, and gives the path. */
async function place(workspace: string, text: string): Promise<string> {
  const [, path = ""] = /^# (\S+)\n/.exec(text) ?? [];
  await mkdir(dirname(join(workspace, path)), { recursive: true });
  await writeFile(join(workspace, path), text);
  return path;
}

/** Bought to 5 available licenses of the 22 that are used, once, however often it was run. */
async function expectToppedUp(id: number): Promise<void> {
  expect(await sandbox.purchases(id)).toMatchObject([{ licenses: 2, status: "succeeded" }]);
  expect(await sandbox.purchased(id)).toBe(27);
}

describe("the README's CI examples, verbatim", () => {
  test("the workflow for GitHub Actions, in a fresh project, run twice", async () => {
    const workspace = await freshProject();
    const path = await place(workspace, exampleWith(examples, "yaml", ".github/workflows/licenses.yml"));
    const repository = await repositoryFor(WORKFLOW, workspace);
    const [first] = await runWorkflow(path, repository);
    expect(first).toMatchObject({ exitCode: 0, outputs: { bought: "2", available: "5" } });
    expect(first?.summary).toContain("bought 2 licenses: 25 → 27");
    const [second] = await runWorkflow(path, repository);
    expect(second).toMatchObject({ exitCode: 0, outputs: { bought: "0", available: "5" } });
    await expectToppedUp(WORKFLOW);
  });

  test("the step without the action", async () => {
    const workspace = await freshProject();
    const repository = { workspace, env: NO_REGISTRY, ...settingsFor(STEP) };
    const [end] = await runSteps(exampleWith(examples, "yaml", "- run:"), repository);
    expect(end).toMatchObject({ exitCode: 0, outputs: { bought: "2", available: "5" } });
    expect(end?.summary).toContain("bought 2 licenses: 25 → 27");
    await expectToppedUp(STEP);
  });

  test("the workflow that shows a plan on a pull request, with a token that cannot buy", async () => {
    const workspace = await freshProject();
    const path = await place(workspace, exampleWith(examples, "yaml", ".github/workflows/licenses-plan.yml"));
    const github: Github = await startGithub();
    try {
      const { vars } = settingsFor(PLAN);
      const [end] = await runWorkflow(path, {
        workspace,
        env: NO_REGISTRY,
        vars,
        secrets: { SECUREFLAG_READ_TOKEN: tokenOf(PLAN) },
        github: { apiUrl: github.url, token: JOB_TOKEN, event: { pull_request: { number: 7 } } },
      });
      expect(end?.commands.filter(({ name }) => name === "error")).toEqual([]);
      expect(end).toMatchObject({ exitCode: 0, outputs: { status: "planned" } });
      expect(github.comments).toMatchObject([{ body: expect.stringContaining("would buy 2 licenses: 25 → 27") }]);
      expect(await sandbox.purchases(PLAN)).toEqual([]);
    } finally {
      await github.close();
    }
  });

  test("the step without the action runs nothing from a modified file", async () => {
    const workspace = await freshProject();
    await appendFile(join(workspace, "vendor/secureflag-licenses-0.1.0.tgz"), "x");
    const repository = { workspace, env: NO_REGISTRY, ...settingsFor(CHANGED) };
    const [end] = await runSteps(exampleWith(examples, "yaml", "- run:"), repository);
    expect(end).toMatchObject({ summary: "" });
    expect(end?.exitCode).toBeGreaterThan(0);
    expect(await sandbox.purchases(CHANGED)).toEqual([]);
  });

  test("a modified archive of the action is not unpacked", async () => {
    const workspace = await temporaryDirectory();
    await cp(release, workspace, { recursive: true });
    await appendFile(join(workspace, "secureflag-licenses-action-0.1.0.tar.gz"), "x");
    const unpack = exampleWith(examples, "sh", "secureflag-licenses-action-0.1.0.tar.gz");
    const { failed } = await execa("sh", ["-e", "-c", unpack], { cwd: workspace, reject: false });
    expect(failed).toBe(true);
    expect((await readdir(workspace)).sort()).toEqual(["SHA256SUMS", "secureflag-licenses-action-0.1.0.tar.gz"]);
  });

  test("the component for GitLab CI, run twice", async () => {
    await addTrust(GITLAB);
    for (const words of [/^✓ Bought 2 licenses \(25 → 27\) for £/m, /^Nothing to buy: /m]) {
      const project = await freshProject();
      const job = await readIncludedJob(exampleWith(examples, "yaml", "# .gitlab-ci.yml"), project);
      expect(job.id_tokens).toEqual({ SECUREFLAG_ID_TOKEN: { aud: "https://billing.example" } });
      const env = {
        ...NO_REGISTRY,
        ...settingsFor(GITLAB).vars,
        SECUREFLAG_ID_TOKEN: await issuer.sign({ claims: { ...CLAIMS, aud: sandbox.origin } }),
      };
      const { exitCode, stdout } = await runJob(job, { project, env, shell: "bash" });
      expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: expect.stringMatching(words) });
    }
    await expectToppedUp(GITLAB);
  });

  /** The home of somebody who wrote the file, adapted as the README says. */
  async function homeWithFile(id: number): Promise<string> {
    const home = await temporaryDirectory();
    const adapted = exampleWith(examples, "sh", "# ~/.secureflag-licenses.env")
      .replace("/usr/local/bin", `${join(prefix, "bin")}:${dirname(process.execPath)}`)
      .replace("https://billing.example/rest/management/v2", sandbox.ready.url)
      .replace("sfl_...", tokenOf(id));
    await writeFile(join(home, ".secureflag-licenses.env"), adapted, { mode: 0o600 });
    return home;
  }

  /** Runs what stands after the five fields of time, as cron does. */
  function cron(home: string, more = "") {
    const line = exampleWith(examples, "crontab", "top-up").trim();
    const [, command = ""] = /^(?:[\d*,/-]+ ){5}([^%\n]+)$/.exec(line) ?? [];
    const env = { HOME: home, LOGNAME: "admin", SHELL: "/bin/sh", PATH: CRON_PATH };
    return execa("/bin/sh", ["-c", `${command}${more}`], {
      cwd: home,
      env,
      extendEnv: false,
      reject: false,
      all: true,
    });
  }

  test("the line for cron, run twice", async () => {
    const home = await homeWithFile(CRON);
    for (const words of [/^✓ Bought 2 licenses \(25 → 27\) for £/m, /^Nothing to buy: /m]) {
      expect(await cron(home)).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(words) });
    }
    await expectToppedUp(CRON);
    // Where a newer Node.js keeps compiled code, there is also `.cache`.
    const left = (await readdir(home)).filter((name) => name !== ".cache");
    expect(left.sort()).toEqual([".config", ".secureflag-licenses.env"]);
  });

  test("the line for cron, mailing only failures", async () => {
    const home = await homeWithFile(QUIET);
    const more = " --quiet > /dev/null";
    expect(await cron(home, more)).toMatchObject({ exitCode: 0, all: "" });
    await expectToppedUp(QUIET);
    const wrong = ` --purchased 40${more}`;
    expect(await cron(home, wrong)).toMatchObject({ exitCode: 2, all: expect.stringMatching(/^Error: /) });
    expect(await cron(await temporaryDirectory(), more)).toMatchObject({
      failed: true,
      all: expect.stringMatching(/./),
    });
  });

  test("a quote file that is reviewed and bought later, on another machine", async () => {
    const workspace = await temporaryDirectory();
    const [save = "", buy = "", ...others] = exampleWith(examples, "sh", "--save quote.json").trim().split("\n");
    const run = async (line: string) =>
      execa("sh", ["-e", "-c", line], {
        cwd: workspace,
        env: { ...(await shellOfAdministrator()), CI: "true", ...variablesFor(REVIEW) },
        extendEnv: false,
        reject: false,
      });
    expect(others).toEqual([]);
    expect(await run(save)).toMatchObject({ exitCode: 0 });
    expect(await readdir(workspace)).toEqual(["quote.json"]);
    for (const words of [/^✓ Bought 5 licenses \(25 → 30\) for £/m, /^✓ Already bought 5 licenses for £/m]) {
      expect(await run(buy)).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(words) });
    }
    expect(await sandbox.purchased(REVIEW)).toBe(30);
    const file = join(workspace, "quote.json");
    await writeFile(file, (await readFile(file, "utf8")).replace('"licenses": 5', '"licenses": 6'));
    expect(await run(buy)).toMatchObject({ exitCode: 2, stdout: "" });
  });
});

describe("the README's text about CI", () => {
  test("names this version's file, and refers to no registry", async () => {
    const texts = [
      await readFile(join(ROOT, "README.md"), "utf8"),
      await readFile(join(ROOT, ".github/actions/top-up/action.yml"), "utf8"),
      JSON.stringify(HELP_TOPICS.ci.data),
    ].join("\n");
    const named = [...texts.matchAll(/secureflag-licenses-(\d[\w.]*?)\.tgz/g)].map(([, version]) => version);
    expect(new Set(named)).toEqual(new Set([manifest.version]));
    expect(named.length).toBeGreaterThan(5);
    expect(texts).not.toMatch(/\bnpx\b|secureflag-licenses@|npm (i|install|exec)\b(?! --global \.\/)/);
  });

  test("names the action's inputs and outputs", async () => {
    const readme = await readFile(join(ROOT, "README.md"), "utf8");
    const [, inputs = "", outputs = ""] =
      /^The action's inputs are (.*?)\.\sIts outputs\sare\s(.*?)\.\sWithout/ms.exec(readme) ?? [];
    const action = parse(await readFile(join(ROOT, ".github/actions/top-up/action.yml"), "utf8"));
    const named = (text: string) => [...text.matchAll(/`([\w-]+)`/g)].map(([, one]) => one);
    expect(named(inputs)).toEqual(Object.keys(action.inputs));
    expect(named(outputs)).toEqual(Object.keys(action.outputs));
  });

  test("describes the installed package, which has the JSON Schemas and the action", async () => {
    const installed = join(prefix, "lib", "node_modules", "secureflag-licenses");
    expect(await readdir(join(installed, "dist", "schemas"))).toEqual(
      expect.arrayContaining(["top-up.json", "buy.json", "quote.json", "error.json"]),
    );
    const action = join(installed, ".github", "actions", "top-up");
    expect((await readdir(action)).sort()).toEqual(["action.yml", "index.js"]);
    const env = { PATH: process.env.PATH ?? "", INPUT_AVAILABLE: "5", INPUT_MAX_TOTAL: "" };
    const ended = await execa(process.execPath, [join(action, "index.js")], { env, extendEnv: false, reject: false });
    expect(ended).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("max-total is empty.") });
    // The program is in the package once.
    expect(await readdir(join(installed, "dist"))).not.toContain("action");
  });
});
