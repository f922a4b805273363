import { cp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, expect, test } from "vitest";
import { ROOT, removePlaces, temporaryDirectory } from "../support/places.ts";

interface Built {
  digestOfSources(): Promise<string>;
  isBuiltFrom(digest: string, folder: string): Promise<boolean>;
}

const { digestOfSources, isBuiltFrom }: Built = await import(pathToFileURL(join(ROOT, ".config/built.mjs")).href);

afterAll(removePlaces);

async function copyOfBuild(): Promise<string> {
  const folder = join(await temporaryDirectory(), "dist");
  await cp(join(ROOT, "dist"), folder, { recursive: true });
  return folder;
}

test("an existing build is not repeated", async () => {
  expect(await isBuiltFrom(await digestOfSources(), await copyOfBuild())).toBe(true);
});

test.each(["main.js", "schema.sql", "man/secureflag-licenses.1", "schemas", "build.json"])(
  "a build without its %s is repeated",
  async (name) => {
    const folder = await copyOfBuild();
    await rm(join(folder, name), { recursive: true });
    expect(await isBuiltFrom(await digestOfSources(), folder)).toBe(false);
  },
);

test("a build with a truncated file is repeated", async () => {
  const folder = await copyOfBuild();
  await writeFile(join(folder, "main.js"), "");
  expect(await isBuiltFrom(await digestOfSources(), folder)).toBe(false);
});

test("a build from other sources is repeated", async () => {
  expect(await isBuiltFrom("0".repeat(64), await copyOfBuild())).toBe(false);
});
