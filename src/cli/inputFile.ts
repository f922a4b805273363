import { constants } from "node:fs";
import { open } from "node:fs/promises";

/** What is named as a file to read is none. */
class NoFileError extends Error {
  override readonly name = "NoFileError";
}

/**
 * Reads a file that a person named; of one that is too large no more than tells so. What is no file, such as a named
 * pipe, which could keep the command waiting for ever, is refused.
 *
 * @param most the largest content that makes sense, in bytes
 * @throws what the file system throws
 */
export async function readInputFile(path: string, most: number): Promise<Buffer> {
  // Windows has no O_NONBLOCK.
  const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    if (!(await file.stat()).isFile()) throw new NoFileError("it is no file");
    const chunks: Buffer[] = [];
    for await (const chunk of file.createReadStream({ end: most, autoClose: false })) chunks.push(Buffer.from(chunk));
    return Buffer.concat(chunks);
  } finally {
    await file.close();
  }
}

/** Why a file cannot be read: what the system says of it, without its code and the path, which whoever asks has said. */
export function whyUnread(cause: unknown): string {
  const text = cause instanceof Error ? cause.message : String(cause);
  return text.replace(/^[A-Z]+: (.*?), \w+(?: '.*')?$/s, "$1");
}
