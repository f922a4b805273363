import { writeSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { getAsset, getRawAsset, isSea } from "node:sea";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import type * as Keyring from "@napi-rs/keyring";
import type { KeyringAnswer, KeyringRequest } from "./keyring.ts";
import { readSecret, removeSecret, WINDOWS_LIMIT, writeSecret } from "./keyringParts.ts";
import { loadLibrary } from "./nativeLibrary.ts";

/**
 * A program of its own, `dist/keyring.js`, which is also inside the executable: does one thing in the system's keyring, and
 * answers on stdout. The calls are native and block for as long as the keyring likes, so that they are made in a thread;
 * meanwhile the main thread watches stdin, whose end means that the process waiting for the answer has gone.
 */

const SERVICE = "secureflag-licenses";

/** Without this, a Linux without a secret service falls back to the kernel's keyring, which forgets at the next start. */
const OPTIONS = { linux: { store: "secret-service" } } as const;

/** Under a name that no profile has, so that no sign-in is ever touched. */
const PROBE = "(keyring check)";

/** How long one secret may be. */
const LIMIT = process.platform === "win32" ? WINDOWS_LIMIT : Number.POSITIVE_INFINITY;

if (isMainThread) watch();
else void work(workerData as KeyringRequest);

function watch(): void {
  // Ctrl-C is the waiting process's business, which then ends stdin.
  process.on("SIGINT", () => {});
  const lines = createInterface({ input: process.stdin });
  lines.once("line", (line) => {
    const thread = startThread(JSON.parse(line));
    thread.on("message", (answer: KeyringAnswer) => writeSync(1, `${JSON.stringify(answer)}\n`));
  });
  // A thread in a native call cannot be ended in any other way.
  lines.once("close", () => process.kill(process.pid, "SIGKILL"));
}

function startThread(request: KeyringRequest): Worker {
  if (!isSea()) return new Worker(new URL(import.meta.url), { workerData: request });
  return new Worker(`${getAsset("keyring.js", "utf8")}(require)`, { eval: true, workerData: request });
}

async function loadEntry(): Promise<typeof Keyring.Entry> {
  if (!isSea()) return (await import("@napi-rs/keyring")).Entry;
  const library = { exports: {} };
  loadLibrary(Buffer.from(getRawAsset("keyring.node") as ArrayBuffer), {
    platform: process.platform,
    places: writablePlaces(),
    load: (file) => process.dlopen(library, file),
  });
  return (library.exports as typeof Keyring).Entry;
}

/** On Windows only the directory of this user, since a service shares its temporary one with every user. */
function writablePlaces(): string[] {
  const { LOCALAPPDATA, XDG_CACHE_HOME } = process.env;
  if (process.platform === "win32") return LOCALAPPDATA ? [LOCALAPPDATA] : [];
  // A library in a temporary directory that is mounted without execution cannot be loaded.
  return [tmpdir(), XDG_CACHE_HOME || join(home(), ".cache")];
}

/** Without an account there may be no home; nothing can be made in the root directory then. */
function home(): string {
  try {
    return homedir();
  } catch {
    return "/";
  }
}

async function work(request: KeyringRequest): Promise<void> {
  const answer = (message: KeyringAnswer) => parentPort?.postMessage(message);
  try {
    const Entry = await loadEntry();
    const entryOf = (account: string) => new Entry(SERVICE, account, OPTIONS);
    const probe = entryOf(PROBE);
    // From here on it runs, and what is still waited for is a person who unlocks it.
    answer({ state: "open" });
    switch (request.do) {
      case "read":
        return answer({ state: "done", value: readSecret(entryOf, request.account) });
      case "write":
        writeSecret(entryOf, request.account, request.secret, LIMIT);
        return answer({ state: "done", value: null });
      case "remove":
        return answer({ state: "done", value: removeSecret(entryOf, request.account, LIMIT) ? "removed" : null });
      case "probe":
        probe.setPassword("none");
        probe.deletePassword();
        return answer({ state: "done", value: null });
    }
  } catch (error) {
    answer({ state: "failed", why: error instanceof Error ? error.message : String(error) });
  }
}
