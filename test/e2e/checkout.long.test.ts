import { cp, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import manifest from "../../package.json";
import { clearedEnvironment, ROOT, removePlaces, temporaryDirectory } from "../support/places.ts";

/** What a checkout does not have. */
const MADE = [".git", "coverage", "dist", "node_modules", "reports"];

const FILES = (await readdir(ROOT)).filter((name) => !MADE.includes(name) && !/^\.(dist|stryker|bench)/.test(name));
const LIMIT = 300_000;

let checkout: string;

beforeAll(async () => {
  checkout = await checkOut("a b #1 %41 é");
});

afterAll(removePlaces);

/** A checkout in a folder of this name, with our modules and without `dist`. */
async function checkOut(name: string): Promise<string> {
  const folder = join(await temporaryDirectory(), name);
  await mkdir(folder);
  for (const file of FILES) await cp(join(ROOT, file), join(folder, file), { recursive: true });
  await symlink(join(ROOT, "node_modules"), join(folder, "node_modules"), "junction");
  return folder;
}

async function npm(folder: string, ...args: string[]) {
  const env = clearedEnvironment(await temporaryDirectory());
  return execa("npm", args, { cwd: folder, env, extendEnv: false, reject: false, stdin: "ignore", all: true });
}

/** Tells one `dist` from the next. */
const builtAs = async () => (await stat(join(checkout, "dist"))).ino;

describe("a checkout in a folder whose name has a space, #, % and é", { timeout: LIMIT }, () => {
  test("npm run demo builds what is missing, even twice at once", async () => {
    for (const { exitCode, all } of await Promise.all([npm(checkout, "run", "demo"), npm(checkout, "run", "demo")])) {
      expect(exitCode, all).toBe(0);
      expect(all).toContain("25 → 30");
    }
    const left = (await readdir(checkout)).filter((name) => !FILES.includes(name));
    expect(left.sort()).toEqual(["dist", "node_modules"]);
  });

  test("nothing is rebuilt without changes, and outdated files are", async () => {
    const first = await builtAs();
    expect(await npm(checkout, "run", "demo")).toMatchObject({ exitCode: 0 });
    expect(await builtAs()).toBe(first);

    const file = join(checkout, "src/cli/buying/reduce.ts");
    await writeFile(file, `${await readFile(file, "utf8")}// changed\n`);
    expect(await npm(checkout, "run", "demo")).toMatchObject({ exitCode: 0 });
    expect(await builtAs()).not.toBe(first);
  });

  test("npm pack builds, and includes exactly what an installation needs", async () => {
    await rm(join(checkout, "dist"), { recursive: true, force: true });
    const { exitCode, all = "" } = await npm(checkout, "pack", "--dry-run");
    expect(exitCode, all).toBe(0);
    const paths = [...all.matchAll(/^npm notice [\d.]+ ?[kM]?B (\S+)$/gm)].map(([, path]) => path ?? "");
    expect(paths).toEqual(expect.arrayContaining(["dist/main.js", "dist/openapi.json", "dist/fonts/DejaVuSans.ttf"]));
    expect(paths.filter((path) => /^(src|test|\.config)\/|metafile|sha256/.test(path))).toEqual([]);
  });
});

// Vite itself cannot serve a folder whose name has a `#`.
test("npm test runs in a folder whose name has a space, and builds first", { timeout: LIMIT }, async () => {
  const folder = await checkOut("a b é");
  const { exitCode, all } = await npm(folder, "test", "--", "test/e2e/program.test.ts", "-t", "version");
  expect(exitCode, all).toBe(0);
  expect(await readdir(join(folder, "dist"))).toContain("main.js");
});

test("an installation runs none of our scripts", () => {
  const hooks = ["preinstall", "install", "postinstall", "prepare"];
  expect(Object.keys(manifest.scripts).filter((name) => hooks.includes(name))).toEqual([]);
});
