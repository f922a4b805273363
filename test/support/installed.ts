import { existsSync } from "node:fs";
import { join } from "node:path";

/** Whether a program of the system can be run. */
export function isInstalled(program: string): boolean {
  return (process.env.PATH ?? "").split(":").some((folder) => existsSync(join(folder, program)));
}
