import { join } from "node:path";
import { type FileMachine, readPublicFile } from "./privateFile.ts";

/** The file in the configuration directory that keeps the settings. */
export const SETTINGS_FILE = "settings.json";

/**
 * The names of the profiles, for a person who waits with a finger on Tab: without the schemas, which take longer to load
 * than all the rest. What is no settings file has none.
 *
 * @throws SessionError where the file is not this user's own
 */
export function readProfileNames(directory: string, machine: FileMachine): readonly string[] {
  const text = readPublicFile(join(directory, SETTINGS_FILE), machine);
  const settings: unknown = text === null ? null : JSON.parse(text);
  const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;
  return isObject(settings) && "profiles" in settings && isObject(settings.profiles)
    ? Object.keys(settings.profiles)
    : [];
}
