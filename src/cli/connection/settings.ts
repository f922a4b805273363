import { join } from "node:path";
import * as z from "zod";
import { CliError } from "../errors.ts";
import { type LockMachine, withFileLock } from "../files/fileLock.ts";
import { deniedError } from "../files/ownership.ts";
import { type FileMachine, MAX_BYTES, makePrivateDirectory, readPublicFile } from "../files/privateFile.ts";
import { DEFAULT_PROFILE } from "../kit/values.ts";

const profileSchema = z.object({
  apiUrl: z.string().trim(),
  organizationId: z.int().nullable(),
  email: z.string().trim().nullable(),
});

/** Profiles are read one by one, so that one that is broken hides no other. */
const settingsSchema = z.object({ activeProfile: z.string(), profiles: z.record(z.string(), z.unknown()) });

/** What a profile remembers. Nothing of it is secret. */
export type ProfileSettings = z.infer<typeof profileSchema>;

type SettingsFile = z.infer<typeof settingsSchema>;

const UNREADABLE: ProfileSettings = { apiUrl: "", organizationId: null, email: null };

/**
 * The settings of this user on this machine. Every method throws CliError `settings_unreadable`; those that write
 * also what taking a lock throws.
 */
export interface Settings {
  activeProfile(): Promise<string>;
  profile(name: string): Promise<ProfileSettings | null>;
  /** Every profile by its name, the oldest first; one that cannot be read has no URL. */
  profiles(): Promise<ReadonlyMap<string, ProfileSettings>>;
  /** Gives whether the profile is active only since now, because the one that was is not there. */
  saveProfile(name: string, profile: ProfileSettings): Promise<boolean>;
  removeProfile(name: string): Promise<void>;
  /** Makes a profile the one that is used unless another is named. */
  activateProfile(name: string): Promise<void>;
}

/** Opens the settings of a configuration directory. */
export function createSettings(directory: string, machine: LockMachine): Settings {
  const file = new SettingsStore(directory, machine);
  return {
    activeProfile: async () => file.read().activeProfile,
    profile: async (name) => {
      const { profiles } = file.read();
      return Object.hasOwn(profiles, name) ? file.parseProfile(name, profiles[name]) : null;
    },
    profiles: async () => {
      const profiles = Object.entries(file.read().profiles);
      return new Map(profiles.map(([name, profile]) => [name, profileSchema.safeParse(profile).data ?? UNREADABLE]));
    },
    saveProfile: async (name, profile) => {
      const before = await file.change(({ activeProfile, profiles }) => ({
        activeProfile: Object.hasOwn(profiles, activeProfile) ? activeProfile : name,
        profiles: { ...profiles, [name]: profile },
      }));
      return before.activeProfile !== name && !Object.hasOwn(before.profiles, before.activeProfile);
    },
    removeProfile: async (name) => {
      if (!Object.hasOwn(file.read().profiles, name)) return;
      await file.change(({ activeProfile, profiles: { [name]: _removed, ...profiles } }) => ({
        activeProfile: activeProfile === name ? DEFAULT_PROFILE : activeProfile,
        profiles,
      }));
    },
    activateProfile: async (name) => void (await file.change((settings) => ({ ...settings, activeProfile: name }))),
  };
}

/** How `conf` writes the settings: a profile's name may hold a dot, and nothing that cannot be read is replaced. */
const CONF = {
  configName: "settings",
  configFileMode: 0o600,
  accessPropertiesByDotNotation: false,
  clearInvalidConfig: false,
} as const;

/** The settings' file, read here because every start does, and written by `conf`. It holds no secret, so that it may be a link and readable by others. */
class SettingsStore {
  private readonly path: string;

  constructor(
    private readonly directory: string,
    private readonly machine: LockMachine,
  ) {
    this.path = join(directory, SETTINGS_FILE);
  }

  read(): SettingsFile {
    try {
      const text = readPublicFile(this.path, this.machine);
      return text === null ? { activeProfile: DEFAULT_PROFILE, profiles: {} } : settingsSchema.parse(JSON.parse(text));
    } catch (cause) {
      if (cause instanceof CliError)
        throw new CliError("settings_unreadable", cause.message, { hint: cause.hint, cause });
      const hint = `Repair it, or remove it to start over: \`rm "${this.path}"\`.`;
      throw new CliError("settings_unreadable", `Cannot read the settings in ${this.path}`, { hint, cause });
    }
  }

  parseProfile(name: string, profile: unknown): ProfileSettings {
    const parsed = profileSchema.safeParse(profile);
    if (parsed.success) return parsed.data;
    const hint = "Run `secureflag-licenses login` with that profile again.";
    const message = `Cannot read the profile "${name}" in ${this.path}`;
    throw new CliError("settings_unreadable", message, { hint, cause: parsed.error });
  }

  /** Reads, changes and writes while no other process does; gives the settings as they were. */
  async change(changed: (settings: SettingsFile) => SettingsFile): Promise<SettingsFile> {
    return await withFileLock(`${this.path}.lock`, this.machine, async () => {
      const before = this.read();
      await this.write(changed(before));
      return before;
    });
  }

  private async write(settings: SettingsFile): Promise<void> {
    try {
      if (Buffer.byteLength(JSON.stringify(settings)) > MAX_BYTES) throw new RangeError("the settings are too large");
      makePrivateDirectory(this.directory);
      const { default: Conf } = await import("conf");
      new Conf<SettingsFile>({ ...CONF, cwd: this.directory }).store = settings;
    } catch (cause) {
      const denied = deniedError(cause, this.path, this.machine.uid, "settings_unreadable");
      if (denied) throw denied;
      const hint = "Check that its directory can be written and that the disk is not full.";
      throw new CliError("settings_unreadable", `Cannot write the settings to ${this.path}`, { hint, cause });
    }
  }
}

/** The file in the configuration directory that keeps the settings. */
export const SETTINGS_FILE = "settings.json";

/**
 * The names of the profiles, for a person who waits with a finger on Tab: without the schemas, which take longer to load
 * than all the rest. What is no settings file has none.
 *
 * @throws CliError where the file is not this user's own
 */
export function readProfileNames(directory: string, machine: FileMachine): readonly string[] {
  const text = readPublicFile(join(directory, SETTINGS_FILE), machine);
  const settings: unknown = text === null ? null : JSON.parse(text);
  const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;
  return isObject(settings) && "profiles" in settings && isObject(settings.profiles)
    ? Object.keys(settings.profiles)
    : [];
}
