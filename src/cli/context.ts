import { userInfo } from "node:os";
import { version } from "../../package.json";
import type { ClientOptions } from "../client/call.ts";
import type { Client } from "../client/client.ts";
import type { Journal } from "./buying/engine/journal.ts";
import type { CredentialStore } from "./connection/credentials.ts";
import { findConfigDirectory, findSandboxDirectory } from "./connection/directories.ts";
import type { Settings } from "./connection/settings.ts";
import { busyRetry, type RetryBusy } from "./files/errno.ts";
import { createLifetime, type Io, isOnGithub, processIo } from "./io.ts";
import { isAsciiTerminal } from "./kit/ascii.ts";
import type { BrowserMachine } from "./kit/browser.ts";
import type { Prompter, PrompterStyle } from "./kit/prompter.ts";

/** The machine's clock. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Milliseconds that never go back, from an arbitrary start. */
  monotonic(): number;
  sleep(milliseconds: number): Promise<void>;
}

/** A signal that a person or a supervisor ends a process with. */
export type EndSignal = "SIGINT" | "SIGTERM" | "SIGHUP";

/** What is printed after an interruption. */
export interface InterruptionNote {
  readonly message: string;
  readonly hint: string;
}

/** What moves on the terminal while work lasts, and stands still while a person is asked something. */
interface Animation {
  pause(): void;
  resume(): void;
}

/** Everything that a command takes from the machine. Built here and nowhere else; its fallible members are lazy. */
export interface Context {
  readonly version: string;
  /** As Node.js names it, such as `linux` or `darwin`. */
  readonly platform: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly io: Io;
  readonly clock: Clock;
  readonly random: { bytes(count: number): Buffer /** [0, 1) */; fraction(): number };
  readonly pid: number;
  /** The user's number; `null` where the system has none. */
  readonly uid: number | null;
  /** When a process started, as text that stays the same; `null` if it does not run. */
  processStart(pid: number): Promise<string | null>;
  /** What the program runs on: the version of Node.js without `v`, and its name for the processor. */
  readonly runtime: { readonly node: string; readonly arch: string };
  /**
   * Where settings, sign-ins and the journal are; `null` where there is no place for them.
   *
   * @throws CliError `settings_unreadable` for a SECUREFLAG_CONFIG_DIR that is not an absolute path
   */
  readonly configDirectory: string | null;
  /** The sandbox's default data directory; `null` if there is no place for one. */
  readonly sandboxDirectory: string | null;
  settings(): Promise<Settings>;
  /** The names of the profiles in the settings, found fast. */
  profileNames(): Promise<readonly string[]>;
  credentials(): Promise<CredentialStore>;
  journal(): Promise<Journal>;
  prompter(style: PrompterStyle): Promise<Prompter>;
  createClient(options: ClientOptions): Promise<Client>;
  /** Listens for a signal; the answer stops listening. */
  onSignal(signal: EndSignal, listener: () => void): () => void;
  /** What Ctrl-C would leave behind at this moment, for the message of an interrupted command. */
  interruption: InterruptionNote | null;
  /** What moves on the terminal at this moment. */
  animation: Animation | null;
  /** Opens a URL in the person's browser, as one argument and without a shell. Failing to is no error. */
  openUrl(url: string): void;
  /** A crash point: kills or pauses the process if SECUREFLAG_CRASH_AT names it. */
  reach(point: string): void;
  /** Runs work on files, on Windows again while another program holds one of them. */
  readonly retryBusy: RetryBusy;
  /** Whether to end the process after the command even if work, such as a request, is still pending. */
  leavesWork: boolean;
  /** Runs at the very end of the process, after everything else and without waiting; not where it is killed. */
  atExit(work: () => void): void;
  /** Runs when the command has ended, however it ended. */
  onEnd(cleanUp: () => Promise<void>): void;
  /**
   * Stops what a command still does after it was interrupted: cuts its connections, and gives it no client, journal,
   * settings or prompt any more. Only its message can still be printed.
   */
  stop(): Promise<void>;
  /** Lets go of everything that would keep the process alive. */
  end(): Promise<void>;
}

/**
 * The context of the running process.
 *
 * @param changes variables that the command finds other than the process has them; `undefined` for one that is not set
 */
export function createContext(changes: Context["env"] = {}): Context {
  const env = readEnvironment(changes);
  const lifetime = createLifetime();
  const cleanUps: (() => Promise<void>)[] = [];
  let isStopped = false;
  /** Whatever asks for it after the command was stopped waits forever, which keeps no process alive. */
  const unlessStopped =
    <Args extends unknown[], Value>(make: (...args: Args) => Promise<Value>) =>
    async (...args: Args): Promise<Value> => {
      const made = isStopped ? null : await make(...args);
      return isStopped || made === null ? await new Promise<never>(() => {}) : made;
    };
  const { platform } = process;
  const io = processIo(process, lifetime, { onGithub: isOnGithub(env), isAscii: isAsciiTerminal({ env, platform }) });
  const places = { platform, env, accountHome: () => userInfo().homedir };
  const reach = crashPoints(env.SECUREFLAG_CRASH_AT);
  const retryBusy = busyRetry(platform);
  const clock: Clock = { now: Date.now, monotonic: () => performance.now(), sleep: lifetime.sleep };
  const probe = once(async () =>
    (await import("./files/processProbe.ts")).processProbe({ ...clock, platform, env, pid: process.pid }),
  );
  const machine = {
    pid: process.pid,
    uid: process.getuid?.() ?? null,
    reach,
    retryBusy,
    monotonic: clock.monotonic,
    sleep: clock.sleep,
    processStart: async (pid: number) => (await probe())(pid),
  };
  const context: Context = {
    version,
    platform,
    env,
    io,
    clock,
    random: {
      bytes: randomBytes,
      fraction: () => randomBytes(4).readUInt32BE() / 2 ** 32,
    },
    pid: process.pid,
    uid: machine.uid,
    processStart: machine.processStart,
    runtime: { node: process.versions.node, arch: process.arch },
    get configDirectory() {
      return findConfigDirectory(places);
    },
    get sandboxDirectory() {
      return findSandboxDirectory(places);
    },
    settings: unlessStopped(async () => {
      const directory = context.configDirectory;
      return directory === null
        ? (await import("./connection/directories.ts")).noSettings
        : (await import("./connection/settings.ts")).createSettings(directory, machine);
    }),
    profileNames: async () => {
      const directory = context.configDirectory;
      return directory === null ? [] : (await import("./connection/settings.ts")).readProfileNames(directory, machine);
    },
    credentials: unlessStopped(
      once(async () => {
        const directory = context.configDirectory;
        if (directory === null) return (await import("./connection/directories.ts")).noCredentials;
        const [{ createCredentialStore }, { openKeyring }] = await Promise.all([
          import("./connection/credentials.ts"),
          import("./connection/keyring.ts"),
        ]);
        const { onEnd } = context;
        return createCredentialStore(directory, machine, openKeyring({ node: process.execPath, env, onEnd }));
      }),
    ),
    journal: unlessStopped(async () => {
      const directory = context.configDirectory;
      return directory === null
        ? (await import("./buying/engine/journal.ts")).noJournal
        : (await import("./buying/engine/journal.ts")).createJournal(directory, machine);
    }),
    prompter: unlessStopped(async (style) => (await import("./kit/prompter.ts")).createPrompter(io.terminal(), style)),
    createClient: unlessStopped(async (options) => (await import("../client/client.ts")).createClient(options)),
    onSignal: (signal, listener) => {
      process.on(signal, listener);
      return () => process.off(signal, listener);
    },
    interruption: null,
    animation: null,
    openUrl: (url) => void (isStopped || openUrl(url, { platform, env }).catch(() => {})),
    reach,
    retryBusy,
    leavesWork: false,
    atExit: (work) => void process.once("exit", work),
    onEnd: (cleanUp) => {
      if (isStopped) void cleanUp().catch(() => {});
      else cleanUps.push(cleanUp);
    },
    stop: async () => {
      isStopped = true;
      await Promise.allSettled(cleanUps.splice(0).map((cleanUp) => cleanUp()));
    },
    end: async () => {
      lifetime.end();
      await context.stop();
      io.close();
    },
  };
  return context;
}

/** What is pasted into a variable, or read into it from a file, brings spaces, line ends and byte order marks along. */
const TRIMMED = /^(SECUREFLAG_|(https|no)_proxy$)/i;

/** The environment of the process, with our settings trimmed: `trim` takes U+FEFF as a space, too. */
function readEnvironment(changes: Context["env"]): Context["env"] {
  const isChanged = Object.keys(changes).length > 0;
  return new Proxy(isChanged ? { ...process.env, ...changes } : process.env, {
    get: (env, name) => {
      const value = typeof name === "string" ? env[name] : undefined;
      return typeof name === "string" && TRIMMED.test(name) ? value?.trim() : value;
    },
  });
}

function once<Value>(make: () => Promise<Value>): () => Promise<Value> {
  let made: Promise<Value> | null = null;
  return () => {
    made ??= make();
    return made;
  };
}

/** `B3` kills the process at the first time that the point is reached, `C1:2` at the second; `B3:1:pause` stops it there. */
function crashPoints(armed: string | undefined): (point: string) => void {
  if (!armed) return () => {};
  const [name, time = "1", action] = armed.split(":");
  let left = Number(time);
  return (point) => {
    if (point !== name) return;
    left -= 1;
    if (left === 0) process.kill(process.pid, action === "pause" ? "SIGSTOP" : "SIGKILL");
  };
}

/** From the global that is only loaded when it is used, so that a start does not pay for it. */
function randomBytes(count: number): Buffer {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(count)));
}

async function openUrl(url: string, machine: BrowserMachine): Promise<void> {
  await (await import("./kit/browser.ts")).openBrowser(url, machine);
}
