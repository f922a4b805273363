import { existsSync, readFileSync } from "node:fs";
import { getRawAsset, isSea } from "node:sea";

/**
 * Reads a file that the build writes next to the bundle: from the inside of the executable if that is what runs.
 *
 * @param name the path from `dist/`, such as `schema.sql`
 * @returns `null` when running from the sources
 */
export function readShipped(name: string): Buffer | null {
  if (isSea()) return Buffer.from(getRawAsset(name) as ArrayBuffer);
  const file = new URL(name, import.meta.url);
  return existsSync(file) ? readFileSync(file) : null;
}
