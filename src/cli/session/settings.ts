import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type Conf from "conf";
import { z } from "zod";
import { SessionError } from "./errors.ts";
import { type FileMachine, readPrivateFile } from "./privateFile.ts";

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
  activeProfile(): Promise<string>;
  profile(name: string): Promise<ProfileSettings | null>;
  saveProfile(name: string, profile: ProfileSettings): Promise<void>;
  removeProfile(name: string): Promise<void>;
}

/** `conf`, as it is imported. */
export type ConfModule = typeof import("conf");

/**
 * Opens the settings of a configuration directory.
 *
 * @param loadConf imports `conf`; asked only when there are settings to read or to write, because it loads slowly
 */
export function createSettings(directory: string, machine: FileMachine, loadConf: () => Promise<ConfModule>): Settings {
  const file = new SettingsStore(directory, machine, loadConf);
  return {
    activeProfile: async () => (await file.read()).activeProfile,
    profile: async (name) => {
      const { profiles } = await file.read();
      return Object.hasOwn(profiles, name) ? (profiles[name] ?? null) : null;
    },
    saveProfile: async (name, profile) => {
      const settings = await file.read();
      await file.write({ ...settings, profiles: { ...settings.profiles, [name]: profile } });
    },
    removeProfile: async (name) => {
      const settings = await file.read();
      if (!Object.hasOwn(settings.profiles, name)) return;
      const { [name]: _removed, ...profiles } = settings.profiles;
      const activeProfile = settings.activeProfile === name ? DEFAULT_PROFILE : settings.activeProfile;
      await file.write({ activeProfile, profiles });
    },
  };
}

/** `settings.json`, which `conf` keeps. */
class SettingsStore {
  private readonly path: string;

  constructor(
    private readonly directory: string,
    private readonly machine: FileMachine,
    private readonly loadConf: () => Promise<ConfModule>,
  ) {
    this.path = join(directory, "settings.json");
  }

  async read(): Promise<SettingsFile> {
    try {
      // Settings say where a token goes, and `conf` would take another user's file or a link.
      if (readPrivateFile(this.path, this.machine) === null) return { activeProfile: DEFAULT_PROFILE, profiles: {} };
      return settingsSchema.parse((await this.open()).store);
    } catch (cause) {
      if (cause instanceof SessionError) throw cause;
      const hint = `Repair it, or remove it to begin anew: rm "${this.path}"`;
      throw new SessionError("settings_unreadable", `The settings in ${this.path} cannot be read`, hint, { cause });
    }
  }

  async write(settings: SettingsFile): Promise<void> {
    try {
      mkdirSync(this.directory, { recursive: true, mode: 0o700 });
      (await this.open()).store = settings;
    } catch (cause) {
      const hint = "Check that its directory can be written and that the disk is not full.";
      throw new SessionError("settings_unreadable", `The settings cannot be written to ${this.path}`, hint, { cause });
    }
  }

  private async open(): Promise<Conf<SettingsFile>> {
    const { default: Store } = await this.loadConf();
    return new Store<SettingsFile>({
      cwd: this.directory,
      configName: "settings",
      configFileMode: 0o600,
      // A profile's name may hold a dot.
      accessPropertiesByDotNotation: false,
    });
  }
}
