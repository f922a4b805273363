import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import * as z from "zod";
import { instantSchema, moneySchema } from "../../../contract/basics.ts";
import { idempotencyKeySchema } from "../../../contract/billing.ts";
import { HINT, WHY } from "../../connection/directories.ts";
import { CliError } from "../../errors.ts";
import { isMissing } from "../../files/errno.ts";
import { deniedError } from "../../files/ownership.ts";
import { type FileMachine, readPrivateFile, removePrivateFile, writePrivateFile } from "../../files/privateFile.ts";
import type { ProcessProbe } from "../../files/processProbe.ts";
import { licenseTargetSchema } from "./wanted.ts";

const entrySchema = z.object({
  idempotencyKey: idempotencyKeySchema,
  /** Where the key comes from: random, derived from a CI run or a quote file, or passed with `--idempotency-key`. */
  keySource: z.enum(["random", "ci", "file", "explicit"]),
  origin: z.string(),
  apiUrl: z.string(),
  organizationId: z.int(),
  quoteId: z.string(),
  licenses: z.int().positive(),
  /** How many licenses were purchased when it was quoted; `null` in an entry of an earlier version. */
  purchased: z.int().nullable().default(null),
  /** Of a top-up. */
  target: licenseTargetSchema.nullable().default(null),
  total: moneySchema,
  purchaseOrder: z.string().nullable(),
  note: z.string().nullable(),
  createdAt: instantSchema,
  /** When another command saw the end of the purchase, which the command that started it did not. */
  settledAt: instantSchema.nullable().default(null),
  owner: z.object({ pid: z.int(), startedAt: z.string() }),
});

/** A purchase that is about to be sent (src/cli/README.md, The journal). Holds no secret. */
export type JournalEntry = z.infer<typeof entrySchema>;

/** What a journal needs of the machine. */
export interface JournalMachine extends FileMachine {
  /** When a process started; `null` if it does not run. */
  readonly processStart: ProcessProbe;
}

/** The purchases started here whose end has not been shown yet. */
export interface Journal {
  /**
   * Writes an entry for this process; when it returns, the entry survives a power cut.
   *
   * @throws CliError `journal_not_written`: nothing may be sent
   */
  record(entry: Omit<JournalEntry, "owner" | "settledAt">): Promise<void>;
  /**
   * The entries of one organization at one backend, oldest first.
   *
   * @throws CliError `journal_unreadable` if any file of the journal cannot be read: it may be a purchase
   */
  entries(origin: string, organizationId: number): Promise<JournalEntry[]>;
  /**
   * Records that the purchase of an entry has ended while its own command did not see it. If that fails, the entry stays as
   * it is and is settled again.
   *
   * @param at RFC 3339
   */
  settle(entry: JournalEntry, at: string): void;
  /**
   * Gives up an entry of this process, which goes on: another command settles it without waiting for this one. If that fails,
   * the entry stays as it is.
   */
  release(idempotencyKey: string): void;
  /** Removes the entry of a purchase whose end was shown. A key without an entry is not an error. */
  remove(idempotencyKey: string): void;
  /** Whether another running process owns the entry. */
  ownerRuns(entry: JournalEntry): Promise<boolean>;
}

/** Opens the journal of a configuration directory: a folder with one file per key (src/cli/README.md, The journal). */
export function createJournal(configDirectory: string, machine: JournalMachine): Journal {
  const directory = join(configDirectory, "journal");
  // A key may contain any visible character, so the file is named by its digest.
  const pathOf = (key: string) => join(directory, `${createHash("sha256").update(key).digest("hex")}.json`);
  const rewrite = (key: string, change: Partial<JournalEntry>) => {
    const path = pathOf(key);
    try {
      const entry = read(path, machine);
      if (entry !== null) write(path, { ...entry, ...change }, machine);
    } catch (error) {
      if (!(error instanceof CliError)) throw error;
    }
  };
  return {
    async record(entry) {
      const startedAt = (await machine.processStart(machine.pid)) ?? "unknown";
      const whole: JournalEntry = { ...entry, settledAt: null, owner: { pid: machine.pid, startedAt } };
      machine.reach("C0");
      write(pathOf(entry.idempotencyKey), whole, machine);
      machine.reach("C1");
    },
    async entries(origin, organizationId) {
      return namesIn(directory, machine)
        .map((name) => read(join(directory, name), machine))
        .filter((entry) => entry !== null)
        .filter((entry) => entry.origin === origin && entry.organizationId === organizationId)
        .sort((one, other) => (one.createdAt < other.createdAt ? -1 : 1));
    },
    settle: (entry, at) => rewrite(entry.idempotencyKey, { settledAt: at }),
    release: (key) => rewrite(key, { owner: { pid: machine.pid, startedAt: "ended" } }),
    remove(idempotencyKey) {
      const path = pathOf(idempotencyKey);
      try {
        removePrivateFile(path, machine);
      } catch (cause) {
        throw unreadable(path, cause, machine);
      }
    },
    async ownerRuns({ owner }) {
      if (owner.pid === machine.pid) return false;
      return (await machine.processStart(owner.pid)) === owner.startedAt;
    },
  };
}

function write(path: string, entry: JournalEntry, machine: FileMachine): void {
  try {
    writePrivateFile(path, `${JSON.stringify(entry, null, 2)}\n`, machine);
  } catch (cause) {
    const denied = deniedError(cause, path, machine.uid, "credentials_unsafe");
    if (denied) {
      const message = `The purchase was not sent: failed to write its journal entry. ${denied.message}`;
      throw new CliError("journal_not_written", message, { hint: denied.hint, cause });
    }
    const hint = "Check its permissions and the free disk space, or set SECUREFLAG_CONFIG_DIR.";
    const message = `The purchase was not sent: failed to write its journal entry in ${dirname(path)}`;
    throw new CliError("journal_not_written", message, { hint, cause });
  }
}

/** Reads an entry; `null` if another process has just removed the file. */
function read(path: string, machine: FileMachine): JournalEntry | null {
  try {
    const text = readPrivateFile(path, machine);
    return text === null ? null : entrySchema.parse(JSON.parse(text));
  } catch (cause) {
    throw unreadable(path, cause, machine);
  }
}

/** Names the files of entries; a temporary file left by a killed process is not one. */
function namesIn(directory: string, machine: FileMachine): string[] {
  try {
    return readdirSync(directory).filter((name) => name.endsWith(".json"));
  } catch (cause) {
    if (isMissing(cause)) return [];
    throw unreadable(directory, cause, machine);
  }
}

function unreadable(path: string, cause: unknown, { uid }: FileMachine): CliError {
  // The error of a file that others can read or write has its own hint.
  const denied = cause instanceof CliError ? cause : deniedError(cause, path, uid, "credentials_unsafe");
  if (denied) return new CliError("journal_unreadable", denied.message, { hint: denied.hint, cause });
  const hint = "It may contain a purchase: see `secureflag-licenses purchases list`, then remove it.";
  return new CliError("journal_unreadable", `Failed to read the journal in ${path}`, { hint, cause });
}

/** The journal of a user who has no configuration directory: has no entries, and `record` throws `journal_not_written`. */
export const noJournal: Journal = {
  record: async () => {
    throw new CliError("journal_not_written", `The purchase was not sent: no journal can be kept, as ${WHY}`, {
      hint: HINT,
    });
  },
  entries: async () => [],
  settle: () => {},
  release: () => {},
  remove: () => {},
  ownerRuns: async () => false,
};

/**
 * Removes the journal entries of purchases whose end was printed, as the last thing this process does. If it is killed
 * before, running the command again shows the purchase and buys nothing more.
 *
 * @param keys of purchases that have ended
 */
export function forgetAtExit(
  context: { atExit(work: () => void): void; reach(point: string): void },
  journal: Journal,
  keys: readonly string[],
): void {
  if (keys.length === 0) return;
  context.atExit(() => {
    context.reach("C3");
    for (const key of keys) tryRemove(journal, key);
  });
}

/** Removes an entry, or leaves it: then the purchase is only shown once more. */
function tryRemove(journal: Journal, key: string): void {
  try {
    journal.remove(key);
  } catch {
    return;
  }
}
