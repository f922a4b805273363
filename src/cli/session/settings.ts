import { join } from "node:path";
import { z } from "zod";
import { SessionError } from "./errors.ts";
import { type FileMachine, readPrivateFile, writePrivateFile } from "./privateFile.ts";

const profileSchema = z.object({
  apiUrl: z.string(),
  organizationId: z.int().nullable(),
  email: z.string().nullable(),
});
const settingsSchema = z.object({ activeProfile: z.string(), profiles: z.record(z.string(), profileSchema) });

/** What a profile remembers. Nothing of it is secret. */
export type ProfileSettings = z.infer<typeof profileSchema>;

type SettingsFile = z.infer<typeof settingsSchema>;

/** The profile that is used unless one is named. */
export const DEFAULT_PROFILE = "default";

/** The settings of this user on this machine. Every method throws SessionError `settings_unreadable`. */
export interface Settings {
  activeProfile(): string;
  profile(name: string): ProfileSettings | null;
  saveProfile(name: string, profile: ProfileSettings): void;
  removeProfile(name: string): void;
}

/**
 * Opens the settings of a configuration directory. Not on `conf`: that package handles signals on import, which would
 * spoil the exit code of Ctrl-C, and takes longer to load than the rest of a command.
 */
export function createSettings(directory: string, machine: FileMachine): Settings {
  const path = join(directory, "settings.json");
  const load = () => read(path, machine);
  return {
    activeProfile: () => load().activeProfile,
    profile: (name) => {
      const { profiles } = load();
      return Object.hasOwn(profiles, name) ? (profiles[name] ?? null) : null;
    },
    saveProfile: (name, profile) => {
      const settings = load();
      write(path, { ...settings, profiles: { ...settings.profiles, [name]: profile } }, machine);
    },
    removeProfile: (name) => {
      const settings = load();
      if (!Object.hasOwn(settings.profiles, name)) return;
      const { [name]: _removed, ...profiles } = settings.profiles;
      const activeProfile = settings.activeProfile === name ? DEFAULT_PROFILE : settings.activeProfile;
      write(path, { activeProfile, profiles }, machine);
    },
  };
}

function read(path: string, machine: FileMachine): SettingsFile {
  try {
    const text = readPrivateFile(path, machine);
    return text === null ? { activeProfile: DEFAULT_PROFILE, profiles: {} } : settingsSchema.parse(JSON.parse(text));
  } catch (cause) {
    if (cause instanceof SessionError) throw cause;
    const hint = `Repair it, or remove it to begin anew: rm "${path}"`;
    throw new SessionError("settings_unreadable", `The settings in ${path} cannot be read`, hint, { cause });
  }
}

function write(path: string, settings: SettingsFile, machine: FileMachine): void {
  try {
    writePrivateFile(path, `${JSON.stringify(settings, null, 2)}\n`, machine);
  } catch (cause) {
    const hint = "Check that its directory can be written and that the disk is not full.";
    throw new SessionError("settings_unreadable", `The settings cannot be written to ${path}`, hint, { cause });
  }
}
