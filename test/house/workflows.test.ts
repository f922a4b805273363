import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { validate } from "@actions/languageservice/validate";
import { build } from "esbuild";
import { beforeAll, describe, expect, test } from "vitest";
import { TextDocument } from "vscode-languageserver-textdocument";
import { parse } from "yaml";
import { ROOT, temporaryDirectory } from "../support/places.ts";

const WORKFLOWS = ".github/workflows";

const ACTION = ".github/actions/top-up/action.yml";

const FILES = [...readdirSync(join(ROOT, WORKFLOWS)).map((name) => `${WORKFLOWS}/${name}`), ACTION];

let service: { readonly validate: typeof validate };

beforeAll(async () => {
  // Bundled, because it imports JSON in a way that only bundlers know.
  const outfile = join(await temporaryDirectory(), "service.mjs");
  const [entryPoint, platform, format] = ["@actions/languageservice/validate", "node", "esm"] as const;
  await build({ absWorkingDir: ROOT, entryPoints: [entryPoint], outfile, bundle: true, platform, format });
  service = (await import(pathToFileURL(outfile).href)) as typeof service;
});

function read(file: string): string {
  return readFileSync(join(ROOT, file), "utf8");
}

/** What GitHub's own language service finds wrong: keys, values, expressions, contexts, cron, needs. */
async function problemsOf(file: string, text: string): Promise<string[]> {
  // What it has read it knows by its address.
  const address = pathToFileURL(join("/", crypto.randomUUID(), file)).href;
  const document = TextDocument.create(address, "yaml", 1, text);
  const found = await service.validate(document);
  return found.map(({ message, range }) => `${range.start.line + 1}: ${message}`);
}

interface Job {
  readonly permissions?: unknown;
  readonly "timeout-minutes"?: unknown;
  readonly needs?: string | readonly string[];
  readonly steps: readonly { readonly run?: string }[];
}

/** What that service does not look for. */
function rulesBrokenIn(text: string): string[] {
  const { permissions, concurrency, jobs } = parse(text) as {
    permissions?: unknown;
    concurrency?: unknown;
    jobs: Readonly<Record<string, Job>>;
  };
  const used = [...text.matchAll(/^\s*-? *uses: (.*)$/gm)].map(([, name = ""]) => name);
  return [
    ...used.filter((name) => !/^\S+@[\da-f]{40} # v\d+\.\d+\.\d+$/.test(name)).map((name) => `not pinned: ${name}`),
    ...[permissions, concurrency].filter((each) => each === undefined).map(() => "no permissions or no concurrency"),
    ...Object.entries(jobs).flatMap(([name, job]) => [
      ...(job.permissions && job["timeout-minutes"] ? [] : [`${name}: no permissions or no timeout`]),
      ...[job.needs ?? []].flat().flatMap((need) => (need in jobs ? [] : [`${name} needs ${need}`])),
      // An expression in a script becomes part of the script.
      ...job.steps.flatMap(({ run }) => (run?.includes("${{") ? [`${name}: an expression in a script`] : [])),
    ]),
  ];
}

describe("the workflows", () => {
  test("are more than one", () => expect(FILES.length).toBeGreaterThan(2));

  test.each(FILES)("%s is what GitHub accepts", async (file) => {
    expect(await problemsOf(file, read(file))).toEqual([]);
  });

  test.each(FILES.filter((file) => file !== ACTION))("%s keeps the rules", (file) => {
    expect(rulesBrokenIn(read(file))).toEqual([]);
  });
});

describe("what is wrong is found", () => {
  const [ci, release] = ["ci", "release"].map((name) => `${WORKFLOWS}/${name}.yml`) as [string, string];

  test.each([
    ["a key", ci, "runs-on: ubuntu-24.04", "run-on: ubuntu-24.04", /run-on/],
    ["an expression", ci, "github.event_name ==", "github.event_name = =", /expression/i],
    ["a context that is not there", release, "startsWith(matrix.system", "startsWith(runner.os", /runner/],
    ["an input of the action", ACTION, "using: node24", "using: node", /node/],
  ])("%s", async (_, file, right, wrong, message) => {
    expect(read(file)).toContain(right);
    expect((await problemsOf(file, read(file).replace(right, wrong))).join("\n")).toMatch(message);
  });

  test.each([
    ["a tag", ci, /@[\da-f]{40} # v5.0.0/, "@v5", "not pinned: actions/checkout@v5"],
    ["a job without a limit", ci, /timeout-minutes: 15/, "name: check", "check: no permissions or no timeout"],
    ["a need", release, /needs: build/, "needs: built", "release needs built"],
    [
      "an expression in a script",
      ci,
      /npm run check/,
      "echo $" + "{{ github.head_ref }}",
      "check: an expression in a script",
    ],
  ])("%s", (_, file, right, wrong, problem) => {
    expect(read(file)).toMatch(right);
    expect(rulesBrokenIn(read(file).replace(right, wrong))).toEqual([problem]);
  });
});
