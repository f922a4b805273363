import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createSettings, readProfileNames } from "../../../src/cli/connection/settings.ts";
import { temporaryDirectory, testMachine } from "../support/machine.ts";

test("the names are those of the settings, and none if there are none", async () => {
  const directory = join(temporaryDirectory(), "config");
  expect(readProfileNames(directory, testMachine())).toEqual([]);
  const settings = createSettings(directory, testMachine());
  for (const name of ["work", "ci.eu", "$(x)"]) {
    await settings.saveProfile(name, { apiUrl: "https://backend.example", organizationId: null, email: null });
  }
  expect(readProfileNames(directory, testMachine())).toEqual([...(await settings.profiles()).keys()]);
});

test.each(["null", "[]", '"text"', "{}", '{"profiles": null}', '{"profiles": 7}'])("%s has none", (text) => {
  const directory = temporaryDirectory();
  writeFileSync(join(directory, "settings.json"), text, { mode: 0o600 });
  expect(readProfileNames(directory, testMachine())).toEqual([]);
});

test("a file that others can write or that is not JSON is ignored", () => {
  const directory = join(temporaryDirectory(), "config");
  mkdirSync(directory, { mode: 0o700 });
  writeFileSync(join(directory, "settings.json"), "{", { mode: 0o600 });
  expect(() => readProfileNames(directory, testMachine())).toThrow(SyntaxError);
  chmodSync(join(directory, "settings.json"), 0o666);
  expect(() => readProfileNames(directory, testMachine())).toThrow(
    expect.objectContaining({ code: "credentials_unsafe" }),
  );
});
