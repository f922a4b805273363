import type { Journal, JournalEntry } from "../../../src/cli/buying/engine/journal.ts";

/** A journal in memory. `log` tells what happened to it, in order. */
export interface FakeJournal extends Journal {
  readonly log: string[];
  readonly kept: JournalEntry[];
  /** How often an owner is still found running. */
  ownerRunsFor: number;
  /** Whether an owner that ends takes its entry with it. */
  ownerConcludes: boolean;
}

export function fakeJournal(entries: readonly JournalEntry[] = []): FakeJournal {
  const kept = [...entries];
  const drop = (key: string) => {
    const index = kept.findIndex(({ idempotencyKey }) => idempotencyKey === key);
    if (index >= 0) kept.splice(index, 1);
  };
  const journal: FakeJournal = {
    log: [],
    kept,
    ownerRunsFor: 0,
    ownerConcludes: false,
    async record(entry) {
      journal.log.push(`record ${entry.idempotencyKey}`);
      drop(entry.idempotencyKey);
      kept.push({ ...entry, settledAt: null, owner: { pid: 1, startedAt: "now" } });
    },
    settle(entry, at) {
      journal.log.push(`settle ${entry.idempotencyKey}`);
      drop(entry.idempotencyKey);
      kept.push({ ...entry, settledAt: at });
    },
    release(key) {
      journal.log.push(`release ${key}`);
    },
    entries: async () => [...kept],
    remove(key) {
      journal.log.push(`remove ${key}`);
      drop(key);
    },
    async ownerRuns(entry) {
      journal.ownerRunsFor -= 1;
      const runs = journal.ownerRunsFor >= 0;
      if (!runs && journal.ownerConcludes) drop(entry.idempotencyKey);
      return runs;
    },
  };
  return journal;
}
