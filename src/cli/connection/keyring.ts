import { isSea } from "node:sea";
import { fileURLToPath } from "node:url";
import { CliError } from "../errors.ts";

/**
 * The system's keyring, as far as it is used here. Every method throws CliError `keyring_unavailable` where there is
 * none or it does not answer, `keyring_locked` where a person has to unlock it.
 */
export interface Keyring {
  read(account: string): Promise<string | null>;
  write(account: string, secret: string): Promise<void>;
  /** Gives whether there was a secret. */
  remove(account: string): Promise<boolean>;
  /** Makes sure that something can be kept. */
  probe(): Promise<void>;
}

/** What the keyring's program is asked, as one line of JSON on its stdin. */
export type KeyringRequest =
  | { readonly do: "read" | "remove"; readonly account: string }
  | { readonly do: "write"; readonly account: string; readonly secret: string }
  | { readonly do: "probe" };

/** What it answers, one line of JSON each. `open`: the keyring was found and is asked now. */
export type KeyringAnswer =
  | { readonly state: "open" }
  | { readonly state: "done"; readonly value: string | null }
  | { readonly state: "failed"; readonly why: string };

/** What the keyring takes from the machine. */
export interface KeyringMachine {
  /** The file that this process runs: Node.js, or the executable that has everything inside. */
  readonly node: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Runs when the command has ended, however it ended. */
  onEnd(cleanUp: () => Promise<void>): void;
}

/** How long the keyring may take for one call, in milliseconds. */
const LIMIT_MS = 5_000;

/** What the build made of keyringProcess.ts: every chunk lies beside it. */
const PROGRAM = fileURLToPath(new URL("keyring.js", import.meta.url));

/** Started under this name, the executable is the keyring's process (bin/executable.js): no argument is taken for it. */
const NAME = "secureflag-licenses-keyring";

/**
 * Opens the system's keyring. Its native calls block, and some keyrings never answer, so that each is made by a process of
 * its own, which is killed after 5 seconds and when the command ends. Nothing runs before the first call. Secrets travel
 * through its stdin and stdout.
 *
 * @param program the file of that process
 */
export function openKeyring(machine: KeyringMachine, program = PROGRAM): Keyring {
  let failure: unknown = null;
  const call = async (request: KeyringRequest): Promise<string | null> => {
    // What failed once would fail again, or take another 5 seconds to do so.
    if (failure !== null) throw failure;
    try {
      return await ask(request, machine, program);
    } catch (error) {
      failure = error;
      throw error;
    }
  };
  return {
    read: (account) => call({ do: "read", account }),
    write: async (account, secret) => void (await call({ do: "write", account, secret })),
    remove: async (account) => (await call({ do: "remove", account })) !== null,
    probe: async () => void (await call({ do: "probe" })),
  };
}

async function ask(request: KeyringRequest, machine: KeyringMachine, program: string): Promise<string | null> {
  const { spawn } = await import("node:child_process");
  const { SECUREFLAG_API_TOKEN: _token, SECUREFLAG_ID_TOKEN: _identity, ...others } = machine.env;
  const { ACTIONS_ID_TOKEN_REQUEST_TOKEN: _request, ...env } = others;
  const child = spawn(machine.node, isSea() ? [] : [program], {
    env,
    stdio: ["pipe", "pipe", "ignore"],
    windowsHide: true,
    ...(isSea() && { argv0: NAME }),
  });
  // If it ended before it was asked, its end says so.
  child.stdin.on("error", () => {});
  child.stdin.write(`${JSON.stringify(request)}\n`);
  return await new Promise((resolve, reject) => {
    let isOpen = false;
    let text = "";
    const stop = () => {
      clearTimeout(timer);
      child.removeAllListeners();
      child.stdout.removeAllListeners();
      child.on("error", () => {}).kill("SIGKILL");
    };
    const fail = (error: CliError) => {
      stop();
      reject(error);
    };
    const timer = setTimeout(() => fail(isOpen ? keyringLocked() : silent()), LIMIT_MS);
    // What still waits for an answer then waits forever.
    machine.onEnd(async () => stop());
    child.once("error", (cause) => fail(keyringMissing(cause)));
    child.once("close", (code, signal) =>
      fail(keyringMissing(new KeyringError(`its process ended: ${signal ?? code}`))),
    );
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      const lines = (text + chunk).split("\n");
      text = lines.pop() ?? "";
      for (const answer of lines.map((line) => JSON.parse(line) as KeyringAnswer)) {
        if (answer.state === "open") isOpen = true;
        else if (answer.state === "failed") fail(failureOf(answer.why));
        else {
          stop();
          resolve(answer.value);
        }
      }
    });
  });
}

/** What the keyring says. */
class KeyringError extends Error {
  override readonly name = "KeyringError";
}

/** What secret services (Linux) and the keychain (macOS) report for a keyring that is locked or was not unlocked. */
const LOCKED = /\blocked\b|prompt was dismissed|user interaction is not allowed|user canceled/i;

function failureOf(why: string): CliError {
  const cause = new KeyringError(why);
  return LOCKED.test(why) ? keyringLocked(cause) : keyringMissing(cause);
}

const INSTEAD = "sign in with `secureflag-licenses login --insecure-storage`, or set SECUREFLAG_API_TOKEN.";

/** The error of a keyring that a person has to unlock. */
export function keyringLocked(cause: unknown = new KeyringError("it waits to be unlocked")): CliError {
  const hint = `Unlock it and run the command again. Or ${INSTEAD}`;
  return new CliError("keyring_locked", "The system keyring is locked", { hint, cause });
}

function silent(): CliError {
  const message = `The system keyring did not answer within ${LIMIT_MS / 1000} seconds`;
  const hint = `Check that the keyring service runs. Or ${INSTEAD}`;
  return new CliError("keyring_unavailable", message, { hint });
}

/** The error of a keyring that cannot be used here. */
export function keyringMissing(cause: unknown): CliError {
  const hint = `Start the keyring service. Or ${INSTEAD}`;
  return new CliError("keyring_unavailable", "The system keyring is not available", { hint, cause });
}
