import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createSettings } from "../../../src/cli/connection/settings.ts";
import { temporaryDirectory, testMachine } from "../support/machine.ts";

const profile = { apiUrl: "http://127.0.0.1:4010/rest/management/v2", organizationId: 4201, email: "a@b.example" };

test("profiles are saved and removed", async () => {
  const directory = join(temporaryDirectory(), "config");
  const settings = createSettings(directory, testMachine());
  expect([await settings.activeProfile(), await settings.profile("default")]).toEqual(["default", null]);
  await settings.saveProfile("default", profile);
  await settings.saveProfile("ci.eu", { ...profile, organizationId: null, email: null });
  const reopened = createSettings(directory, testMachine());
  expect(await reopened.profile("default")).toEqual(profile);
  expect(await reopened.profile("ci.eu")).toEqual({ ...profile, organizationId: null, email: null });
  expect(await reopened.profile("constructor")).toBeNull();
  await reopened.removeProfile("default");
  await reopened.removeProfile("never was");
  expect(await settings.profile("default")).toBeNull();
  expect(await settings.profile("ci.eu")).not.toBeNull();
  expect((statSync(join(directory, "settings.json")).mode & 0o777).toString(8)).toBe("600");
});

test("settings saved by an editor on Windows are read without the byte order mark and spaces", async () => {
  const directory = temporaryDirectory();
  const spaced = { ...profile, apiUrl: ` ${profile.apiUrl}\r\n`, email: " a@b.example " };
  const text = `\uFEFF${JSON.stringify({ activeProfile: "default", profiles: { default: spaced } })}\r\n`;
  writeFileSync(join(directory, "settings.json"), text, { mode: 0o600 });
  expect(await createSettings(directory, testMachine()).profile("default")).toEqual(profile);
});

test("removing the active profile activates the default one", async () => {
  const directory = temporaryDirectory();
  const text = JSON.stringify({ activeProfile: "eu", profiles: { eu: profile } });
  writeFileSync(join(directory, "settings.json"), text, { mode: 0o600 });
  const settings = createSettings(directory, testMachine());
  expect(await settings.activeProfile()).toBe("eu");
  await settings.removeProfile("eu");
  expect(await settings.activeProfile()).toBe("default");
});

test.each(["", "{", '{"profiles": []}'])("malformed settings (%s) are named", async (text) => {
  const path = join(temporaryDirectory(), "settings.json");
  writeFileSync(path, text, { mode: 0o600 });
  const unreadable = expect.objectContaining({ code: "settings_unreadable", message: expect.stringContaining(path) });
  await expect(createSettings(join(path, ".."), testMachine()).activeProfile()).rejects.toEqual(unreadable);
});

test("settings that cannot be written give a clear error", async () => {
  const file = join(temporaryDirectory(), "file");
  writeFileSync(file, "");
  const settings = createSettings(join(file, "config"), testMachine());
  const unwritable = { code: "credentials_unreadable", message: expect.stringContaining("Cannot write") };
  await expect(settings.saveProfile("default", profile)).rejects.toMatchObject(unwritable);
});

test("the first profile becomes active, and later ones only if chosen", async () => {
  const settings = createSettings(temporaryDirectory(), testMachine());
  expect(await settings.saveProfile("work", profile)).toBe(true);
  expect(await settings.saveProfile("work", profile)).toBe(false);
  expect(await settings.saveProfile("default", profile)).toBe(false);
  expect(await settings.activeProfile()).toBe("work");
  await settings.activateProfile("default");
  expect(await settings.activeProfile()).toBe("default");
  expect([...(await settings.profiles()).keys()]).toEqual(["work", "default"]);
});

test("profiles saved concurrently all survive", async () => {
  const directory = temporaryDirectory();
  const names = Array.from({ length: 20 }, (_, index) => `p${index}`);
  const save = (name: string) => createSettings(directory, testMachine()).saveProfile(name, profile);
  await Promise.all(names.map(save));
  const kept = await createSettings(directory, testMachine()).profiles();
  expect([...kept.keys()].sort()).toEqual(names.sort());
});
