import { readFile } from "node:fs/promises";
import { type BackendError, startError } from "../errors.ts";

/** Settings from a command line: flags by name, without dashes, and the environment. */
export interface GivenSettings {
  readonly flags: Readonly<Record<string, string | boolean | undefined>>;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Reads settings, and collects all problems instead of stopping at the first. */
export interface SettingsReader {
  /** Adds a problem: a sentence without a period that starts with the name of the setting. */
  refuse(problem: string): void;
  flag(name: string): string | null;
  isSet(name: string): boolean;
  /** The value of a flag, else of `SECUREFLAG_<variable>` or of the file that `SECUREFLAG_<variable>_FILE` names. */
  variable(variable: string, flag?: string): Promise<string | null>;
  /** The same for a setting that is required. */
  required(variable: string, flag?: string): Promise<string | null>;
  /** A whole number. */
  number(name: string, range: { usual: number; min: number; max: number }): number;
  /** The contents of the file that a flag points to. */
  file(name: string): Promise<string | null>;
}

/**
 * Reads settings and reports all problems together.
 *
 * @throws BackendError `settings_invalid`, which lists every setting that is missing or invalid
 */
export async function collectSettings<Settings>(
  given: GivenSettings,
  read: (reader: SettingsReader) => Promise<Settings>,
): Promise<Settings> {
  const problems: string[] = [];
  const settings = await read(createReader(given, problems));
  if (problems.length > 0) throw invalidSettings(problems);
  return settings;
}

/** Returns the error for settings that are missing or invalid. */
export function invalidSettings(problems: readonly string[], hint = SEE_SETTINGS): BackendError {
  return startError("settings_invalid", problems.join("; "), hint);
}

const SEE_SETTINGS = "Run `secureflag-licenses serve --help` to see the settings.";

function createReader({ flags, env }: GivenSettings, problems: string[]): SettingsReader {
  const refuse = (problem: string) => void problems.push(problem);
  const flag = (name: string) => {
    const value = flags[name];
    return typeof value === "string" ? value.trim() : null;
  };
  const read = async (name: string, path: string) => {
    try {
      return await readFile(path, "utf8");
    } catch (error) {
      refuse(`${name}: cannot read the file (${(error as NodeJS.ErrnoException).code ?? error})`);
      return null;
    }
  };
  const variable = async (suffix: string, flagName?: string) => {
    const given = flagName === undefined ? null : flag(flagName);
    if (given) return given;
    const name = `SECUREFLAG_${suffix}`;
    const [value, path] = [env[name], env[`${name}_FILE`]];
    if (value && path) refuse(`${name} and ${name}_FILE cannot both be set`);
    if (value) return value.trim();
    return path ? ((await read(`${name}_FILE`, path))?.trim() ?? null) : null;
  };
  return {
    refuse,
    flag,
    isSet: (name) => flags[name] === true,
    variable,
    async required(suffix, flagName) {
      const before = problems.length;
      const value = await variable(suffix, flagName);
      const name = `SECUREFLAG_${suffix}`;
      if (!value && problems.length === before) {
        refuse(`${flagName === undefined ? name : `--${flagName} (or ${name})`} is required`);
      }
      return value;
    },
    number(name, { usual, min, max }) {
      const text = flag(name);
      if (text === null) return usual;
      const value = /^(0|[1-9]\d*)$/.test(text) ? Number(text) : Number.NaN;
      if (value >= min && value <= max) return value;
      refuse(`--${name} must be a whole number, ${min} to ${max}`);
      return usual;
    },
    async file(name) {
      const path = flag(name);
      return path === null ? null : read(`--${name}`, path);
    },
  };
}
