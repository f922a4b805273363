import { join } from "node:path";
import type Conf from "conf";
import * as z from "zod";
import { SessionError } from "./errors.ts";
import type { LockMachine } from "./fileLock.ts";
import { makePrivateDirectory, readPrivateFile } from "./privateFile.ts";
import { SETTINGS_FILE } from "./profileNames.ts";

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

/**
 * The settings of this user on this machine. Every method throws SessionError `settings_unreadable`; those that write
 * also what taking a lock throws.
 */
export interface Settings {
  activeProfile(): Promise<string>;
  profile(name: string): Promise<ProfileSettings | null>;
  /** Every profile by its name, the oldest first. */
  profiles(): Promise<ReadonlyMap<string, ProfileSettings>>;
  /** Gives whether the profile is active only since now, because the one that was is not there. */
  saveProfile(name: string, profile: ProfileSettings): Promise<boolean>;
  removeProfile(name: string): Promise<void>;
  /** Makes a profile the one that is used unless another is named. */
  activateProfile(name: string): Promise<void>;
}

/** `conf`, as it is imported. */
export type ConfModule = typeof import("conf");

/**
 * Opens the settings of a configuration directory.
 *
 * @param loadConf imports `conf`; asked only when there are settings to read or to write, because it loads slowly
 */
export function createSettings(directory: string, machine: LockMachine, loadConf: () => Promise<ConfModule>): Settings {
  const file = new SettingsStore(directory, machine, loadConf);
  return {
    activeProfile: async () => (await file.read()).activeProfile,
    profile: async (name) => {
      const { profiles } = await file.read();
      return Object.hasOwn(profiles, name) ? (profiles[name] ?? null) : null;
    },
    profiles: async () => new Map(Object.entries((await file.read()).profiles)),
    saveProfile: async (name, profile) => {
      const before = await file.change(({ activeProfile, profiles }) => ({
        activeProfile: Object.hasOwn(profiles, activeProfile) ? activeProfile : name,
        profiles: { ...profiles, [name]: profile },
      }));
      return before.activeProfile !== name && !Object.hasOwn(before.profiles, before.activeProfile);
    },
    removeProfile: async (name) => {
      if (!Object.hasOwn((await file.read()).profiles, name)) return;
      await file.change(({ activeProfile, profiles: { [name]: _removed, ...profiles } }) => ({
        activeProfile: activeProfile === name ? DEFAULT_PROFILE : activeProfile,
        profiles,
      }));
    },
    activateProfile: async (name) => void (await file.change((settings) => ({ ...settings, activeProfile: name }))),
  };
}

/** The settings' file, which `conf` keeps. */
class SettingsStore {
  private readonly path: string;

  constructor(
    private readonly directory: string,
    private readonly machine: LockMachine,
    private readonly loadConf: () => Promise<ConfModule>,
  ) {
    this.path = join(directory, SETTINGS_FILE);
  }

  async read(): Promise<SettingsFile> {
    try {
      // Settings say where a token goes, and `conf` would take another user's file or a link.
      if (readPrivateFile(this.path, this.machine) === null) return { activeProfile: DEFAULT_PROFILE, profiles: {} };
      return settingsSchema.parse((await this.open()).store);
    } catch (cause) {
      if (cause instanceof SessionError) throw cause;
      const hint = `Repair it, or remove it to begin anew: \`rm "${this.path}"\`.`;
      throw new SessionError("settings_unreadable", `The settings in ${this.path} cannot be read`, hint, { cause });
    }
  }

  /** Reads, changes and writes while no other process does; gives the settings as they were. */
  async change(changed: (settings: SettingsFile) => SettingsFile): Promise<SettingsFile> {
    const { withFileLock } = await import("./fileLock.ts");
    return await withFileLock(`${this.path}.lock`, this.machine, async () => {
      const before = await this.read();
      await this.write(changed(before));
      return before;
    });
  }

  private async write(settings: SettingsFile): Promise<void> {
    try {
      makePrivateDirectory(this.directory);
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
