import { chmodSync, chownSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { createJournal } from "../../../src/cli/buying/engine/journal.ts";
import { createCredentialStore } from "../../../src/cli/connection/credentials.ts";
import { createSettings } from "../../../src/cli/connection/settings.ts";
import { deniedError } from "../../../src/cli/files/ownership.ts";
import { failingKeyring, temporaryDirectory, testMachine } from "../support/machine.ts";

const USER = 123_456;

const PROFILE = { apiUrl: "https://api.secureflag.com", organizationId: 1, email: null };

const SETTINGS = JSON.stringify({ activeProfile: "work", profiles: { work: PROFILE } });

const denied = Object.assign(new Error("denied"), { code: "EACCES" });

const isRoot = process.getuid?.() === 0;

/** A file in a home, with the directories between them. */
function place(home: string, name: string, text = "{}"): string {
  const path = join(home, ".config", "secureflag-licenses", name);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

// What belongs to other users can be made by root alone.
describe.skipIf(!isRoot)("after one sudo login", () => {
  const told = (path: string) => deniedError(denied, path, USER, "credentials_unsafe");

  it("advises reclaiming the largest root-owned folder in the user's home", () => {
    const home = temporaryDirectory();
    const path = place(home, "settings.json");
    chownSync(home, USER, 0);
    expect(told(path)).toMatchObject({
      message: `Cannot use ${path}: it belongs to root`,
      hint: `Take it back with \`sudo chown -R "$USER" "${home}/.config"\`.`,
    });
    expect(told(join(dirname(path), "missing.json"))).toMatchObject({
      message: expect.stringContaining(`${dirname(path)} belongs to root`),
      hint: expect.stringContaining(`"${home}/.config"`),
    });
    chownSync(join(home, ".config"), USER, 0);
    expect(told(path)?.hint).toContain(`"${dirname(path)}"`);
    chownSync(dirname(path), USER, 0);
    expect(told(path)?.hint).toContain(`"${dirname(path)}"`);
  });

  it("never advises reclaiming another user's home", () => {
    const home = join(temporaryDirectory(), "root");
    mkdirSync(home, { mode: 0o700 });
    chmodSync(dirname(home), 0o755);
    expect(told(join(home, ".config", "secureflag-licenses", "settings.json"))?.hint).toBe(
      "Set SECUREFLAG_CONFIG_DIR to a directory of your own.",
    );
  });

  it("advises reclaiming the tool's own folder, but never a system folder", () => {
    const folder = join(temporaryDirectory(), "secureflag-licenses");
    mkdirSync(folder, { mode: 0o700 });
    chmodSync(dirname(folder), 0o755);
    expect(told(join(folder, "settings.json"))?.hint).toContain(`sudo chown -R "$USER" "${folder}"`);
    chmodSync(folder, 0o755);
    const { message = "", hint = "" } = told(join(folder, "settings.json")) ?? {};
    expect(message).toContain(`${folder} belongs to root`);
    expect(hint).toBe("Set SECUREFLAG_CONFIG_DIR to a directory of your own.");
  });

  it("does not advise root to take over a user's files", async () => {
    const home = temporaryDirectory();
    const path = place(home, "settings.json", SETTINGS);
    chownSync(path, USER, 0);
    const error = await createSettings(dirname(path), testMachine())
      .activeProfile()
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: "settings_unreadable",
      message: `Cannot use ${path}: it belongs to user ${USER}`,
      hint: expect.stringContaining(`Run the command as user ${USER}, without sudo`),
    });
    expect(String((error as { hint: string }).hint)).not.toContain("chown");
  });

  it("gives the same advice for journal, sign-ins and locks", async () => {
    const home = temporaryDirectory();
    const path = place(home, "credentials.json");
    const entry = place(home, join("journal", "1.json"));
    chownSync(home, USER, 0);
    const machine = testMachine({ uid: USER });
    const directory = dirname(path);
    const hint = expect.stringContaining(`sudo chown -R "$USER" "${home}/.config"`);
    await expect(
      createCredentialStore(directory, machine, failingKeyring("keyring_unavailable")).read("default"),
    ).rejects.toMatchObject({
      message: `Cannot use ${path}: it belongs to root`,
      hint,
    });
    await expect(createJournal(directory, machine).entries("origin", 1)).rejects.toMatchObject({
      code: "journal_unreadable",
      message: `Cannot use ${entry}: it belongs to root`,
      hint,
    });
  });
});

it("a denied file that no other user owns is reported plainly, and other errors are left alone", () => {
  const path = join(temporaryDirectory(), "settings.json");
  writeFileSync(path, "{}");
  const error = deniedError(denied, path, process.getuid?.() ?? null, "credentials_unsafe");
  expect(error).toMatchObject({ message: `Cannot use ${path}: permission denied` });
  expect(deniedError(new Error("full"), path, USER, "credentials_unsafe")).toBeNull();
});

describe("settings contain no secret", () => {
  it.each([0o644, 0o444, 0o600])("and are read with mode %o", async (mode) => {
    const path = place(temporaryDirectory(), "settings.json", SETTINGS);
    chmodSync(path, mode);
    expect(await createSettings(dirname(path), testMachine()).activeProfile()).toBe("work");
  });

  it("and are read through a link, which is kept", async () => {
    const directory = temporaryDirectory();
    const [kept, link] = [join(directory, "dotfiles.json"), join(directory, "settings.json")];
    writeFileSync(kept, SETTINGS, { mode: 0o644 });
    symlinkSync(kept, link);
    const settings = createSettings(directory, testMachine());
    expect(await settings.profile("work")).toEqual(PROFILE);
    await settings.saveProfile("other", PROFILE);
    expect(Object.keys(JSON.parse(readFileSync(kept, "utf8")).profiles)).toEqual(["work", "other"]);
  });

  it.each([0o666, 0o620])("but are rejected with mode %o: they determine where a token is sent", async (mode) => {
    const path = place(temporaryDirectory(), "settings.json", SETTINGS);
    chmodSync(path, mode);
    await expect(createSettings(dirname(path), testMachine()).activeProfile()).rejects.toMatchObject({
      code: "settings_unreadable",
      hint: expect.stringContaining("chmod"),
    });
  });

  it("and a malformed profile hides no other and is kept", async () => {
    const path = place(
      temporaryDirectory(),
      "settings.json",
      JSON.stringify({ activeProfile: "work", profiles: { work: PROFILE, bad: { apiUrl: 7 } } }),
    );
    const settings = createSettings(dirname(path), testMachine());
    expect(await settings.profile("work")).toEqual(PROFILE);
    expect([...(await settings.profiles()).keys()]).toEqual(["work", "bad"]);
    await expect(settings.profile("bad")).rejects.toMatchObject({ code: "settings_unreadable" });
    await settings.saveProfile("new", PROFILE);
    expect(JSON.parse(readFileSync(path, "utf8")).profiles.bad).toEqual({ apiUrl: 7 });
  });
});
