import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import manifest from "../../package.json";
import { outputs } from "../../src/cli/outputs.ts";
import { isInstalled } from "../support/installed.ts";
import { npmInstall, packPackage } from "../support/packed.ts";
import { clearedEnvironment, ROOT, removePlaces, temporaryDirectory } from "../support/places.ts";

let tarball: string;
/** A project that the package is installed in. */
let project: string;
/** What npm printed. */
let printed: string;

beforeAll(async () => {
  tarball = await packPackage();
  project = await temporaryDirectory();
  await writeFile(join(project, "package.json"), JSON.stringify({ private: true, type: "module" }));
  printed = await npmInstall(tarball, project, "--omit=optional");
});

afterAll(removePlaces);

/** Everything that is packed, where the chunks of the program have names of the build's choice. */
const PACKED = [
  "LICENSE",
  "README.md",
  "package.json",
  ".github/actions/",
  "bin/",
  "dist/THIRD-PARTY-LICENSES.txt",
  "dist/answers.json",
  "dist/fonts/DejaVuSans.ttf",
  "dist/man/secureflag-licenses.1",
  "dist/man/sfl.1",
  "dist/openapi.json",
  "dist/outputs.d.ts",
  "dist/schema.sql",
  "dist/schemas/",
];

test("the tarball holds what it should, and nothing else", async () => {
  const { stdout } = await execa("tar", ["-tzf", tarball]);
  const files = stdout.split("\n").map((file) => file.replace(/^package\//, ""));
  const isChunk = (file: string) => /^dist\/(main|keyring|step|[\w-]+-[A-Z0-9]{8})\.js$/.test(file);
  const isListed = (file: string) =>
    PACKED.some((name) => file === name || (name.endsWith("/") && file.startsWith(name)));
  expect(files.filter((file) => !isChunk(file) && !isListed(file))).toEqual([]);
  expect(PACKED.filter((name) => !files.some((file) => file.startsWith(name)))).toEqual([]);
});

/** What a module of the project ends with. */
function evaluate(code: string) {
  const args = ["--input-type=module", "--eval", code];
  return execa(process.execPath, args, {
    cwd: project,
    env: clearedEnvironment(project),
    extendEnv: false,
    reject: false,
  });
}

describe("npm", () => {
  test("warns of nothing in a project", () => {
    expect(printed).toContain("added 1 package");
    expect(printed).not.toMatch(/warn/i);
  });

  test("warns of nothing for all users, and installs both names and both pages of the manual", async () => {
    const prefix = await temporaryDirectory();
    const global = await npmInstall(tarball, prefix, "--global", "--prefix", prefix);
    expect(global).toContain("added 1 package");
    expect(global).not.toMatch(/warn/i);
    const env = clearedEnvironment(prefix);
    for (const name of ["secureflag-licenses", "sfl"]) {
      const { stdout } = await execa(join(prefix, "bin", name), ["--version"], { env, extendEnv: false });
      expect(stdout).toBe(manifest.version);
      expect(existsSync(join(prefix, "share/man/man1", `${name}.1`))).toBe(true);
    }
  });

  test.skipIf(!isInstalled("man"))("makes `man sfl` show the page", async () => {
    const prefix = await temporaryDirectory();
    await npmInstall(tarball, prefix, "--global", "--prefix", prefix);
    const env = clearedEnvironment(prefix, { MANPATH: join(prefix, "share/man"), MANPAGER: "cat", PAGER: "cat" });
    const { stdout } = await execa("sh", ["-c", "man sfl"], { env, extendEnv: false });
    expect(stdout).toMatch(/^SECUREFLAG-LICENSES\(1\)/);
  });
});

test("publint finds nothing to improve in the tarball", async () => {
  const { messages, pkg } = await publint({ pack: { tarball: (await readFile(tarball)).buffer }, strict: true });
  expect(pkg).toMatchObject({ name: "secureflag-licenses" });
  expect(messages.map((message) => formatMessage(message, pkg, { color: false }))).toEqual([]);
});

/** A program that reads what the commands print. */
const CONSUMER = `
import type { Buy, ErrorOutput, Money, Outputs, Purchase, PurchasesShow, Status } from "secureflag-licenses/outputs";
import openapi from "secureflag-licenses/openapi.json" with { type: "json" };
import schema from "secureflag-licenses/schemas/status.json" with { type: "json" };

export const available = (status: Status): number => status.licenses.available;
export const paid = ({ purchase }: Buy): Money | null => purchase?.total ?? null;
export const numbers = (list: Outputs["purchases list"]): (string | null)[] => list.map((one) => one.receiptNumber);
export const shown: (purchase: PurchasesShow) => Purchase = (purchase) => purchase;
export const exitCode = (failure: ErrorOutput): number => failure.error.exitCode;
export const titles: string[] = [schema.title, openapi.info.title];
// @ts-expect-error nothing else is in an output
export const typo = (status: Status) => status.licences;
`;

describe("a project in TypeScript", () => {
  test.each([
    ["nodenext", "nodenext"],
    ["preserve", "bundler"],
  ])("reads outputs with types: module %s, resolution %s", async (module, moduleResolution) => {
    const folder = join(project, module);
    await mkdir(folder);
    await writeFile(join(folder, "consumer.ts"), CONSUMER);
    const compilerOptions = { module, moduleResolution, target: "es2023", strict: true, noEmit: true, types: [] };
    const config = { compilerOptions: { ...compilerOptions, resolveJsonModule: true }, files: ["consumer.ts"] };
    await writeFile(join(folder, "tsconfig.json"), JSON.stringify(config));
    const checked = await execa(join(ROOT, "node_modules/.bin/tsc"), ["-p", folder], { reject: false });
    expect(checked).toMatchObject({ stdout: "", exitCode: 0 });
  });

  test("has a type for every command", async () => {
    const types = await readFile(join(project, "node_modules/secureflag-licenses/dist/outputs.d.ts"), "utf8");
    expect(types).not.toMatch(/^import |\bfrom "|: any\b/m);
    const exported = [...types.matchAll(/^export (?:type|interface) (\w+)/gm)].map(([, name]) => name);
    const pascal = (words: string) => words.replaceAll(/(?:^|[ -])(\w)/g, (_, letter: string) => letter.toUpperCase());
    expect(exported).toEqual(expect.arrayContaining([...Object.keys(outputs).map(pascal), "ErrorOutput", "Outputs"]));
    // None is a copy under a number, as the generator names what it takes for different.
    expect(exported.filter((name) => /\d$/.test(name ?? ""))).toEqual([]);
  });
});

describe("what can be imported", () => {
  test("is the schemas, the contract and the manifest", async () => {
    const files = ["schemas/top-up.json", "openapi.json", "package.json"];
    const read = files.map(
      (file) => `(await import("secureflag-licenses/${file}", { with: { type: "json" } })).default`,
    );
    const { stdout } = await evaluate(
      `console.log(JSON.stringify([${read}].map(({ title, info, name }) => title ?? info?.title ?? name)))`,
    );
    expect(JSON.parse(stdout)).toEqual([
      "secureflag-licenses top-up --json",
      expect.any(String),
      "secureflag-licenses",
    ]);
  });

  test.each([
    "secureflag-licenses",
    "secureflag-licenses/dist/main.js",
    "secureflag-licenses/bin/secureflag-licenses.js",
  ])("is not %s", async (name) => {
    const { exitCode, stderr } = await evaluate(`await import(${JSON.stringify(name)})`);
    expect(exitCode).toBe(1);
    expect(stderr).toContain("ERR_PACKAGE_PATH_NOT_EXPORTED");
  });
});
