import { parseStrictJson } from "../http/body.ts";
import { describeIssue } from "../http/register.ts";
import { digestOf, invalidSeed, type SeedFile } from "./seed.ts";
import { seedSchema } from "./seedSchema.ts";

/**
 * Reads a seed file.
 *
 * @throws SandboxError `seed_invalid`, naming the path in the file
 */
export function readSeed(file: { path: string; text: string }): SeedFile {
  const result = seedSchema.safeParse(parseJson(file), { jitless: true });
  if (!result.success) throw invalidSeed(file.path, result.error.issues.flatMap(describeIssue));
  return { seed: result.data, digest: digestOf(file.text) };
}

function parseJson(file: { path: string; text: string }): unknown {
  try {
    // Editors on Windows begin a file with a byte order mark.
    return parseStrictJson(file.text.replace(/^\ufeff/, ""));
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw invalidSeed(file.path, [{ path: "", message: message.replace(/^is /, "it is ") }]);
  }
}
