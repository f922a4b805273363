import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createSettings } from "../../../src/cli/session/settings.ts";
import { temporaryDirectory, testMachine } from "./machine.ts";

const profile = { apiUrl: "http://127.0.0.1:4010/rest/management/v2", organizationId: 4201, email: "a@b.example" };

test("profiles are kept and removed", () => {
  const directory = join(temporaryDirectory(), "config");
  const settings = createSettings(directory, testMachine());
  expect([settings.activeProfile(), settings.profile("default")]).toEqual(["default", null]);
  settings.saveProfile("default", profile);
  settings.saveProfile("ci.eu", { ...profile, organizationId: null, email: null });
  const reopened = createSettings(directory, testMachine());
  expect(reopened.profile("default")).toEqual(profile);
  expect(reopened.profile("ci.eu")).toEqual({ ...profile, organizationId: null, email: null });
  expect(reopened.profile("constructor")).toBeNull();
  reopened.removeProfile("default");
  reopened.removeProfile("never was");
  expect(settings.profile("default")).toBeNull();
  expect(settings.profile("ci.eu")).not.toBeNull();
  expect((statSync(join(directory, "settings.json")).mode & 0o777).toString(8)).toBe("600");
});

test("removing the active profile makes the default one active", () => {
  const directory = temporaryDirectory();
  const text = JSON.stringify({ activeProfile: "eu", profiles: { eu: profile } });
  writeFileSync(join(directory, "settings.json"), text, { mode: 0o600 });
  const settings = createSettings(directory, testMachine());
  expect(settings.activeProfile()).toBe("eu");
  settings.removeProfile("eu");
  expect(settings.activeProfile()).toBe("default");
});

test.each(["", "{", '{"profiles": []}'])("broken settings (%s) are named", (text) => {
  const path = join(temporaryDirectory(), "settings.json");
  writeFileSync(path, text, { mode: 0o600 });
  const unreadable = expect.objectContaining({ code: "settings_unreadable", message: expect.stringContaining(path) });
  expect(() => createSettings(join(path, ".."), testMachine()).activeProfile()).toThrow(unreadable);
});

test("settings that cannot be written are a clear error", () => {
  const file = join(temporaryDirectory(), "file");
  writeFileSync(file, "");
  const settings = createSettings(join(file, "config"), testMachine());
  const unreadable = expect.objectContaining({ code: "settings_unreadable" });
  expect(() => settings.saveProfile("default", profile)).toThrow(unreadable);
});
