import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { PROBLEMS } from "../../src/contract/problemCodes.ts";
import { problemSchema } from "../../src/contract/problems.ts";

test("the README documents every code with its status, and no other", async () => {
  const page = await readFile(new URL("../../src/contract/README.md", import.meta.url), "utf8");
  const rows = [...page.matchAll(/^\| `([a-z_]+)` \| (\d{3}) \| \S/gm)];
  expect(rows.map(([, code, status]) => [code, Number(status)])).toEqual(
    Object.entries(PROBLEMS).map(([code, { status }]) => [code, status]),
  );
});

test.each([
  [{ code: "not_found", detail: "No such purchase." }, true],
  [{ code: "a_code_of_tomorrow", detail: "Something new.", more: 1 }, true],
  [{ code: "no_license_available", detail: "Too few.", missing: 3 }, true],
  [{ code: "no_license_available", detail: "Too few.", needed: 5, missing: 3 }, true],
  [{ code: "no_license_available", detail: "Too few.", needed: 0, missing: 3 }, false],
  [{ code: "no_license_available", detail: "Too few.", missing: 0 }, false],
  [{ result: null, error: true, errorMsg: "unauthorized" }, false],
  [{ code: "not_found" }, false],
  [{ code: 404, detail: "No" }, false],
  ["<html>", false],
])("%j is a problem: %s", (body, isProblem) => {
  expect(problemSchema.safeParse(body).success).toBe(isProblem);
});
