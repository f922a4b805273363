import { describe, expect, it } from "vitest";
import { findConfigDirectory, findSandboxDirectory } from "../../../src/cli/connection/directories.ts";

type Env = Record<string, string>;

const machine = (env: Env, platform = "linux", account: string | null = "/home/account") => ({
  platform,
  env,
  accountHome: () => {
    if (account === null) throw new TypeError("no such user");
    return account;
  },
});

const HOME = { HOME: "/home/ada" };

const ADA = "C:\\Users\\Ada Admin";

describe("the directory of settings, sign-ins and journal", () => {
  it.each<[string, Env, string]>([
    ["an absolute path", { ...HOME, SECUREFLAG_CONFIG_DIR: "/srv/sfl" }, "/srv/sfl"],
    ["an absolute path with dots", { ...HOME, SECUREFLAG_CONFIG_DIR: "/srv/./x/../sfl" }, "/srv/sfl"],
    ["~/", { ...HOME, SECUREFLAG_CONFIG_DIR: "~/.sfl" }, "/home/ada/.sfl"],
    ["~/ nested", { ...HOME, SECUREFLAG_CONFIG_DIR: "~/a/~/b" }, "/home/ada/a/~/b"],
    ["~ alone", { ...HOME, SECUREFLAG_CONFIG_DIR: "~" }, "/home/ada"],
    ["~/ without HOME", { SECUREFLAG_CONFIG_DIR: "~/.sfl" }, "/home/account/.sfl"],
    ["an empty variable", { ...HOME, SECUREFLAG_CONFIG_DIR: "" }, "/home/ada/.config/secureflag-licenses"],
    ["no variable", HOME, "/home/ada/.config/secureflag-licenses"],
    ["XDG_CONFIG_HOME", { ...HOME, XDG_CONFIG_HOME: "/cfg" }, "/cfg/secureflag-licenses"],
    ["an empty XDG_CONFIG_HOME", { ...HOME, XDG_CONFIG_HOME: "" }, "/home/ada/.config/secureflag-licenses"],
    ["a relative XDG_CONFIG_HOME", { ...HOME, XDG_CONFIG_HOME: "cfg" }, "/home/ada/.config/secureflag-licenses"],
    ["~ in XDG_CONFIG_HOME", { ...HOME, XDG_CONFIG_HOME: "~/cfg" }, "/home/ada/.config/secureflag-licenses"],
    ["an empty HOME", { HOME: "" }, "/home/account/.config/secureflag-licenses"],
    ["a relative HOME", { HOME: "home" }, "/home/account/.config/secureflag-licenses"],
    ["no HOME", {}, "/home/account/.config/secureflag-licenses"],
  ])("with %s", (_, env, expected) => {
    expect(findConfigDirectory(machine(env))).toBe(expected);
  });

  it.each(["sfl", ".sfl", "./sfl", "../sfl", "~ada/.sfl", "~ada", "$HOME/x", " /srv/sfl", "~\u00a0/x"])(
    "rejects the relative %j",
    (chosen) => {
      const refusal = expect.objectContaining({
        code: "settings_unreadable",
        message: expect.stringContaining("SECUREFLAG_CONFIG_DIR"),
      });
      expect(() => findConfigDirectory(machine({ ...HOME, SECUREFLAG_CONFIG_DIR: chosen }))).toThrow(refusal);
    },
  );

  it("rejects ~/ without a home directory", () => {
    const env = { HOME: "", SECUREFLAG_CONFIG_DIR: "~/.sfl" };
    expect(() => findConfigDirectory(machine(env, "linux", null))).toThrow("SECUREFLAG_CONFIG_DIR");
  });

  it.each<[string, Env]>([
    ["no HOME", {}],
    ["an empty HOME", { HOME: "" }],
    ["a relative HOME", { HOME: "home" }],
  ])("is unknown with %s and no account, unless a variable sets it", (_, env) => {
    expect(findConfigDirectory(machine(env, "linux", null))).toBeNull();
    expect(findSandboxDirectory(machine(env, "linux", null))).toBeNull();
    const named = { ...env, XDG_CONFIG_HOME: "/cfg", XDG_DATA_HOME: "/data" };
    expect(findConfigDirectory(machine(named, "linux", null))).toBe("/cfg/secureflag-licenses");
    expect(findSandboxDirectory(machine(named, "linux", null))).toBe("/data/secureflag-licenses/sandbox");
    expect(findConfigDirectory(machine({ ...env, SECUREFLAG_CONFIG_DIR: "/srv/sfl" }, "linux", null))).toBe("/srv/sfl");
  });

  it("follows the conventions of each platform", () => {
    const mac = machine({ ...HOME, XDG_CONFIG_HOME: "/cfg" }, "darwin");
    expect(findConfigDirectory(mac)).toBe("/home/ada/Library/Preferences/secureflag-licenses");
    expect(findSandboxDirectory(mac)).toBe("/home/ada/Library/Application Support/secureflag-licenses/sandbox");
    const windows = machine({ USERPROFILE: ADA, APPDATA: `${ADA}\\Roaming` }, "win32");
    expect(findConfigDirectory(windows)).toBe(`${ADA}\\Roaming\\secureflag-licenses\\Config`);
    expect(findSandboxDirectory(windows)).toBe(`${ADA}\\AppData\\Local\\secureflag-licenses\\Data\\sandbox`);
  });

  it.each<[string, string]>([
    ["D:\\sfl", "D:\\sfl"],
    ["d:/sfl/../other", "d:\\other"],
    ["\\\\server\\share\\sfl", "\\\\server\\share\\sfl"],
    ["~\\.sfl", `${ADA}\\.sfl`],
    ["~/.sfl", `${ADA}\\.sfl`],
  ])("on Windows takes %s", (chosen, expected) => {
    expect(findConfigDirectory(machine({ USERPROFILE: ADA, SECUREFLAG_CONFIG_DIR: chosen }, "win32"))).toBe(expected);
  });

  it.each(["sfl", "\\sfl", "/sfl", "D:sfl", "D:"])(
    "on Windows rejects %s, which depends on where it is run",
    (chosen) => {
      const windows = machine({ USERPROFILE: ADA, SECUREFLAG_CONFIG_DIR: chosen }, "win32");
      expect(() => findConfigDirectory(windows)).toThrow("SECUREFLAG_CONFIG_DIR");
    },
  );

  it("on Windows ignores a place without a drive", () => {
    const windows = machine({ USERPROFILE: ADA, APPDATA: "\\Roaming", LOCALAPPDATA: "Local" }, "win32");
    expect(findConfigDirectory(windows)).toBe(`${ADA}\\AppData\\Roaming\\secureflag-licenses\\Config`);
    expect(findSandboxDirectory(windows)).toBe(`${ADA}\\AppData\\Local\\secureflag-licenses\\Data\\sandbox`);
  });
});

it.each<[string, Env, string]>([
  ["no variable", HOME, "/home/ada/.local/share/secureflag-licenses/sandbox"],
  ["XDG_DATA_HOME", { ...HOME, XDG_DATA_HOME: "/data" }, "/data/secureflag-licenses/sandbox"],
  ["an empty XDG_DATA_HOME", { ...HOME, XDG_DATA_HOME: "" }, "/home/ada/.local/share/secureflag-licenses/sandbox"],
  ["a relative XDG_DATA_HOME", { ...HOME, XDG_DATA_HOME: "d" }, "/home/ada/.local/share/secureflag-licenses/sandbox"],
])("the sandbox's directory with %s", (_, env, expected) => {
  expect(findSandboxDirectory(machine(env))).toBe(expected);
});
