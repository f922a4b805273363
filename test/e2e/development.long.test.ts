import { execa } from "execa";
import { afterAll, expect, test } from "vitest";
import { clearedEnvironment, ROOT, removePlaces, temporaryDirectory } from "../support/places.ts";

afterAll(removePlaces);

test("npm run dev runs the sources with its arguments, and passes on output and exit code", async () => {
  const env = clearedEnvironment(await temporaryDirectory());
  const run = (...args: string[]) =>
    execa("npm", ["run", "--silent", "dev", "--", ...args], { cwd: ROOT, env, extendEnv: false, reject: false });
  expect(await run("buy", "--help")).toMatchObject({ exitCode: 0, stdout: expect.stringContaining("--max-total") });
  expect(await run("staus")).toMatchObject({ exitCode: 2, stdout: "", stderr: expect.stringContaining("status") });
});
