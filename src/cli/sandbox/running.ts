import { readdirSync, rmdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import * as z from "zod";
import { isLoopbackHost } from "../../client/address.ts";
import { canonicalUrl } from "../connection/target.ts";
import type { Context } from "../context.ts";
import { usageError } from "../errors.ts";
import { isOthersHome } from "../files/ownership.ts";
import { readPrivateFile, removePrivateFile, writePrivateFile } from "../files/privateFile.ts";

const runningSchema = z.object({
  url: z.string(),
  pid: z.int(),
  startedAt: z.string(),
  admin: z.object({ email: z.string(), password: z.string() }),
});

/** A sandbox of this user that runs, and its administrator. */
export type RunningSandbox = z.infer<typeof runningSchema>;

/**
 * Writes down, for this user alone, that a sandbox runs, so that `login --sandbox` finds it. Nothing is written for one
 * without an administrator, where nothing can be, or by root in another user's home: the sandbox runs all the same.
 *
 * @returns removes what was written
 */
export async function recordRunning(
  { url, pid, admin }: Pick<RunningSandbox, "url" | "pid"> & { readonly admin: RunningSandbox["admin"] | null },
  context: Context,
): Promise<() => void> {
  // Settings that cannot be found are no reason not to run.
  const directory = attempt(() => directoryOf(context));
  const startedAt = await context.processStart(pid);
  if (directory === null || admin === null || startedAt === null) return () => {};
  if (isOthersHome(directory, context.uid)) return () => {};
  const path = join(directory, `${new URL(url).port}.json`);
  try {
    const running: RunningSandbox = { url, pid, startedAt, admin };
    writePrivateFile(path, JSON.stringify(running), context);
    return () => {
      attempt(() => removePrivateFile(path, context));
      // Empty directories only: that of another sandbox that runs, or of settings, stays.
      const ours = basename(dirname(directory)) === "secureflag-licenses" ? [dirname(directory)] : [];
      for (const each of [directory, ...ours]) attempt(() => rmdirSync(each));
    };
  } catch {
    return () => {};
  }
}

/**
 * Finds the sandbox of this user that runs on this machine.
 *
 * @param apiUrl chooses one of several; `null` for the only one
 * @throws CliError `invalid_usage` if there is none, or if several run and none is chosen
 */
export async function findRunning(apiUrl: string | null, context: Context): Promise<RunningSandbox> {
  const found = await allRunning(context);
  const chosen = apiUrl ?? preferredOf(found, context);
  const matching = chosen === null ? found : found.filter(({ url }) => isSame(url, chosen));
  const [only, another] = matching;
  if (only && !another) return only;
  const urls = found.map(({ url }) => url).join(", ");
  if (found.length === 0)
    throw usageError("No sandbox is running", "Run `secureflag-licenses sandbox` in another terminal.");
  throw usageError(
    only ? `Several sandboxes are running: ${urls}` : `No sandbox of yours is running at ${apiUrl}`,
    only ? "Pass --api-url to choose one." : `Running: ${urls}.`,
  );
}

/** The address in the environment, if a sandbox runs there: the line that `sandbox` prints sets it. */
function preferredOf(found: readonly RunningSandbox[], { env }: Context): string | null {
  const { SECUREFLAG_API_URL: address = "" } = env;
  return found.some(({ url }) => isSame(url, address)) ? address : null;
}

/** Sandboxes listen on loopback only, so its names are one. */
function isSame(url: string, address: string): boolean {
  if (!URL.canParse(address)) return false;
  const named = new URL(canonicalUrl(address));
  if (isLoopbackHost(named.hostname)) named.hostname = new URL(url).hostname;
  return named.href === url;
}

/** Removes what a sandbox that was killed has left. */
async function allRunning(context: Context): Promise<RunningSandbox[]> {
  const directory = directoryOf(context);
  const names = directory === null ? [] : (attempt(() => readdirSync(directory)) ?? []);
  const all = names
    .filter((name) => name.endsWith(".json"))
    .map(async (name) => {
      const path = join(directory ?? "", name);
      const running = attempt(() => runningSchema.parse(JSON.parse(readPrivateFile(path, context) ?? "")));
      if (running && (await context.processStart(running.pid)) === running.startedAt) return [running];
      attempt(() => removePrivateFile(path, context));
      return [];
    });
  return (await Promise.all(all)).flat();
}

/** Beside the settings: who uses others has other sandboxes. */
function directoryOf({ configDirectory }: Context): string | null {
  return configDirectory && join(configDirectory, "running");
}

function attempt<Result>(work: () => Result): Result | null {
  try {
    return work();
  } catch {
    return null;
  }
}
