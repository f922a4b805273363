import nodePath, { type PlatformPath } from "node:path";
import { CliError, type ErrorCode } from "../errors.ts";
import { DEFAULT_PROFILE } from "../kit/values.ts";
import type { CredentialStore } from "./credentials.ts";
import type { Settings } from "./settings.ts";

const NAME = "secureflag-licenses";

/** What decides where this tool keeps its files. */
export interface DirectoryMachine {
  /** As Node.js names it, such as `linux` or `darwin`. */
  readonly platform: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The home of the user's account, whatever HOME says. Throws where there is no such account. */
  accountHome(): string;
}

/**
 * Finds the directory of settings, sign-ins and journal: SECUREFLAG_CONFIG_DIR, in which a leading `~/` is the home, else
 * the platform's own place. It never depends on the current directory, because a purchase that was killed must find its
 * journal from wherever it is run again.
 *
 * @returns an absolute path, or `null` where this user has no home
 * @throws CliError `settings_unreadable` for a SECUREFLAG_CONFIG_DIR that is not an absolute path
 */
export function findConfigDirectory(machine: DirectoryMachine): string | null {
  const chosen = machine.env.SECUREFLAG_CONFIG_DIR;
  if (chosen) return chosenDirectory(chosen, machine);
  return platformDirectory(machine, {
    linux: { variable: "XDG_CONFIG_HOME", below: [".config"] },
    darwin: ["Library", "Preferences"],
    win32: { variable: "APPDATA", below: ["AppData", "Roaming"], name: "Config" },
  });
}

/**
 * Finds the directory of the sandbox's data.
 *
 * @returns an absolute path, or `null` where this user has no home
 */
export function findSandboxDirectory(machine: DirectoryMachine): string | null {
  const data = platformDirectory(machine, {
    linux: { variable: "XDG_DATA_HOME", below: [".local", "share"] },
    darwin: ["Library", "Application Support"],
    win32: { variable: "LOCALAPPDATA", below: ["AppData", "Local"], name: "Data" },
  });
  return data && pathOf(machine).join(data, "sandbox");
}

function chosenDirectory(chosen: string, machine: DirectoryMachine): string {
  const home = /^~(?=[/\\]|$)/.test(chosen) ? homeOf(machine) : null;
  const path = home === null ? chosen : pathOf(machine).join(home, chosen.slice(1));
  if (absolute(path, machine) !== null) return pathOf(machine).normalize(path);
  throw new CliError("settings_unreadable", "SECUREFLAG_CONFIG_DIR is not an absolute path, so nothing was sent", {
    hint: "Set it to an absolute path, or unset it to use the default directory.",
  });
}

/** A place on Linux and Windows that a variable names, else one below the home. */
interface VariablePlace {
  readonly variable: string;
  readonly below: readonly string[];
  /** A directory below the tool's own. */
  readonly name?: string;
}

interface PlatformPlaces {
  readonly linux: VariablePlace;
  /** Below the home. */
  readonly darwin: readonly string[];
  readonly win32: VariablePlace;
}

/** XDG Base Directory Specification: an empty variable counts as unset, and a relative path is ignored. */
function platformDirectory(machine: DirectoryMachine, places: PlatformPlaces): string | null {
  const home = homeOf(machine);
  const { join } = pathOf(machine);
  if (machine.platform === "darwin") return home && join(home, ...places.darwin, NAME);
  const { variable, below, name = "" } = machine.platform === "win32" ? places.win32 : places.linux;
  const named = absolute(machine.env[variable], machine);
  const parent = named ?? (home && join(home, ...below));
  return parent && join(parent, NAME, name);
}

/** HOME where it is an absolute path, else what the account says; `null` where neither does. */
function homeOf(machine: DirectoryMachine): string | null {
  const { platform, env, accountHome } = machine;
  const home = absolute(platform === "win32" ? env.USERPROFILE : env.HOME, machine);
  return home ?? absolute(attempt(accountHome), machine);
}

/** On Windows, a path without a drive or a server depends on the current directory. */
function absolute(path: string | undefined, machine: DirectoryMachine): string | null {
  const { isAbsolute, parse } = pathOf(machine);
  if (path === undefined || !isAbsolute(path)) return null;
  return machine.platform === "win32" && parse(path).root.length < 2 ? null : path;
}

/** How the machine writes paths, which may not be the one that this runs on. */
function pathOf({ platform }: DirectoryMachine): PlatformPath {
  return platform === "win32" ? nodePath.win32 : nodePath.posix;
}

function attempt(accountHome: () => string): string | undefined {
  try {
    return accountHome();
  } catch {
    return undefined;
  }
}

/** Why nothing can be kept. */
export const WHY = "this user has no home directory";

/** What helps. */
export const HINT = "Set SECUREFLAG_CONFIG_DIR to a directory for settings, sign-ins and journal.";

const refuse = (code: ErrorCode, what: string) => async (): Promise<never> => {
  throw new CliError(code, `${what}: ${WHY}`, { hint: HINT });
};

const saveNothing = refuse("settings_unreadable", "Cannot save the settings");

const storeNothing = refuse("credentials_unreadable", "Cannot store a sign-in");

/** The settings of a user without a directory for them. Reading finds none, writing throws CliError. */
export const noSettings: Settings = {
  activeProfile: async () => DEFAULT_PROFILE,
  profile: async () => null,
  profiles: async () => new Map(),
  saveProfile: saveNothing,
  removeProfile: async () => {},
  activateProfile: saveNothing,
};

/** The sign-ins of a user without a directory for them. Reading finds none, writing throws CliError. */
export const noCredentials: CredentialStore = {
  read: async () => null,
  place: async () => null,
  check: storeNothing,
  write: storeNothing,
  remove: async () => false,
  // Signing in takes this lock before anything is sent.
  exclusively: storeNothing,
};
