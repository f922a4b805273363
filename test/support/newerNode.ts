import { execFileSync } from "node:child_process";

/** The lines of Node.js that have SQLite. 22 warns that it is experimental. */
export type NewerLine = 22 | 24;

const found = new Map<NewerLine, string | null>();

/**
 * The path of a Node.js of a line: the one that runs the tests, or the one that `npx node@22` has already fetched. `null`
 * without one; `leftOut.ts` prints that.
 */
export function newerNode(line: NewerLine): string | null {
  const path = found.get(line) ?? findNode(line);
  found.set(line, path);
  return path;
}

function findNode(line: NewerLine): string | null {
  if (process.versions.node.startsWith(`${line}.`)) return process.execPath;
  const args = ["--offline", "--yes", `node@${line}`, "-p", "process.execPath"];
  try {
    return execFileSync("npx", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    return null;
  }
}
