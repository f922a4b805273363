import { Readable } from "node:stream";
// The program begins to load it before it is needed: a test file that ends meanwhile would break it for the next one.
import "../../../src/client/client.ts";
import type { CredentialStore, StoredCredential } from "../../../src/cli/connection/credentials.ts";
import { keyringLocked, keyringMissing } from "../../../src/cli/connection/keyring.ts";
import type { ProfileSettings, Settings } from "../../../src/cli/connection/settings.ts";
import type { Context, EndSignal } from "../../../src/cli/context.ts";
import { CliError } from "../../../src/cli/errors.ts";
import type { Prompter } from "../../../src/cli/kit/prompter.ts";
import { SLOW_MS } from "../../../src/cli/kit/spinner.ts";
import type { Client } from "../../../src/client/client.ts";
import { type FakeJournal, fakeJournal } from "./fakeJournal.ts";

/** What a fake context starts with. */
export interface FakeWorld {
  readonly env?: Record<string, string>;
  readonly client?: Client;
  readonly input?: string;
  readonly isTerminal?: boolean;
  readonly isStdoutTerminal?: boolean;
  /** The width of the terminal. */
  readonly columns?: number;
  /** Whether terminals show nothing but ASCII. */
  readonly isAscii?: boolean;
  /** Answers to questions, in order; a question beyond them fails. */
  readonly answers?: readonly (string | boolean)[];
  readonly profiles?: Record<string, ProfileSettings>;
  readonly credential?: StoredCredential;
  readonly hasKeyring?: boolean;
  /** Whether there is one that cannot be used before a person unlocks it; then `hasKeyring` is false. */
  readonly isKeyringLocked?: boolean;
  readonly journal?: FakeJournal;
  /** Whether work lasts so long that a sentence says so where nothing animates. */
  readonly isSlow?: boolean;
  /** Whether every write to stdout fails. */
  readonly isStdoutFull?: boolean;
}

/** A context without a machine: everything that was written, asked and kept can be looked at. */
export interface FakeContext extends Context {
  readonly written: { stdout: string; stderr: string };
  readonly questions: string[];
  readonly profiles: Record<string, ProfileSettings>;
  readonly stored: Map<string, { credential: StoredCredential; source: "keyring" | "file" }>;
  readonly reached: string[];
  readonly opened: string[];
  send(signal: EndSignal): void;
}

/** A failure of the test, not of what is tested. */
class Unexpected extends Error {}

export function fakeContext(world: FakeWorld = {}): FakeContext {
  const { env = {}, isTerminal = false, answers = [], hasKeyring = true } = world;
  const written = { stdout: "", stderr: "" };
  const questions: string[] = [];
  const left = [...answers];
  const profiles = { ...world.profiles };
  const stored: FakeContext["stored"] = new Map();
  if (world.credential) stored.set("default", { credential: world.credential, source: "keyring" });
  const listeners: [EndSignal, () => void][] = [];
  const reached: string[] = [];
  const opened: string[] = [];
  let time = 0;

  const ask = async (question: string) => {
    questions.push(question);
    const answer = left.shift();
    if (answer === undefined) throw new Unexpected(`nobody expected the question: ${question}`);
    return answer;
  };
  const prompter: Prompter = {
    confirm: async (question) => (await ask(question)) === true,
    text: async (question) => String(await ask(question)),
    secret: async (question) => String(await ask(question)),
    interrupt: () => {},
  };
  let active = "default";
  const settings: Settings = {
    activeProfile: async () => active,
    profile: async (name) => profiles[name] ?? null,
    profiles: async () => new Map(Object.entries(profiles)),
    saveProfile: async (name, profile) => {
      const isActiveNow = name !== active && !Object.hasOwn(profiles, active);
      profiles[name] = profile;
      if (isActiveNow) active = name;
      return isActiveNow;
    },
    removeProfile: async (name) => {
      delete profiles[name];
      if (active === name) active = "default";
    },
    activateProfile: async (name) => {
      active = name;
    },
  };
  const credentials: CredentialStore = {
    read: async (name) => stored.get(name) ?? null,
    place: async (name) => stored.get(name)?.source ?? null,
    check: async (place) => {
      if (hasKeyring || place === "file") return;
      throw world.isKeyringLocked ? keyringLocked() : keyringMissing(null);
    },
    write: async (name, credential, source) => {
      await credentials.check(source);
      stored.set(name, { credential, source });
    },
    remove: async (name) => stored.delete(name),
    exclusively: (_name, work) => work(),
  };
  const journal = world.journal ?? fakeJournal();

  return {
    version: "1.2.3",
    platform: "linux",
    env,
    io: {
      stdinIsTerminal: isTerminal,
      stdoutIsTerminal: world.isStdoutTerminal ?? false,
      stderrIsTerminal: isTerminal,
      columns: world.columns,
      isAscii: world.isAscii ?? false,
      readInput: async () => Buffer.from(world.input ?? ""),
      print: async (text) => {
        if (world.isStdoutFull) throw new CliError("output_not_written", "The output could not be written");
        written.stdout += text;
        return true;
      },
      note: (text) => {
        written.stderr += text;
      },
      workflowCommand: () => false,
      openInput: () => Readable.from(world.input === undefined ? [] : [Buffer.from(world.input)]),
      terminal: () => {
        throw new Unexpected("a test has no terminal");
      },
    },
    clock: {
      now: () => Date.parse("2026-11-22T10:00:00Z") + time,
      monotonic: () => time,
      sleep: async (milliseconds) => {
        if (milliseconds === SLOW_MS && !world.isSlow) return await new Promise(() => {});
        // What needs no time at all settles first.
        await new Promise((done) => setImmediate(done));
        time += milliseconds;
      },
    },
    random: { bytes: (count) => Buffer.alloc(count, 7), fraction: () => 0.5 },
    pid: 1,
    uid: null,
    processStart: async () => "start",
    runtime: { node: "24.0.0", arch: "x64" },
    configDirectory: "/config",
    sandboxDirectory: "/data/sandbox",
    settings: async () => settings,
    profileNames: async () => Object.keys(profiles),
    credentials: async () => credentials,
    journal: async () => journal,
    prompter: async () => prompter,
    createClient: async () => {
      if (!world.client) throw new Unexpected("nothing may be sent");
      return world.client;
    },
    onSignal: (signal, listener) => {
      listeners.push([signal, listener]);
      return () => {};
    },
    interruption: null,
    animation: null,
    openUrl: (url) => opened.push(url),
    reach: (point) => reached.push(point),
    retryBusy: (work) => work(),
    leavesWork: false,
    atExit: (work) => work(),
    onEnd: () => {},
    stop: async () => {},
    end: async () => {},
    written,
    questions,
    profiles,
    stored,
    reached,
    opened,
    send: (signal) => {
      for (const [expected, listener] of listeners) if (expected === signal) listener();
    },
  };
}
