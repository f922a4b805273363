import type { PurchasingTools } from "../../../src/cli/buying/engine/tools.ts";
import type { InterruptionNote } from "../../../src/cli/context.ts";
import { ORGANIZATION } from "./builders.ts";
import { type FakeJournal, fakeJournal } from "./fakeJournal.ts";
import { type ExpectedCall, type ScriptedClient, scriptedClient } from "./script.ts";

/** Tools of purchasing without a machine: everything that was said, shown and reached can be looked at. */
export interface FakeTools extends PurchasingTools {
  readonly journal: FakeJournal;
  readonly scripted: ScriptedClient;
  readonly said: string[];
  /** The ids of purchases whose page was shown. */
  readonly shown: string[];
  readonly reached: string[];
  /** The last words of every moment, in order. */
  readonly lastWords: (InterruptionNote | null)[];
  /** Monotonic milliseconds so far. Only sleeping takes time. */
  elapsed(): number;
}

/** Tools with a scripted client. */
export function fakeTools(
  script: readonly ExpectedCall[],
  { journal = fakeJournal(), waitSeconds = 0 }: { journal?: FakeJournal; waitSeconds?: number } = {},
): FakeTools {
  const scripted = scriptedClient(script);
  const said: string[] = [];
  const shown: string[] = [];
  const reached: string[] = [];
  const lastWords: (InterruptionNote | null)[] = [];
  let time = 0;
  return {
    client: scripted.client,
    scripted,
    journal,
    organizationId: ORGANIZATION,
    clock: {
      now: () => Date.parse("2026-11-22T10:00:00Z"),
      monotonic: () => time,
      sleep: async (milliseconds) => {
        time += milliseconds;
      },
    },
    waitSeconds,
    say: (text) => said.push(text),
    busy: (_text, work) => work,
    setInterruption: (words) => lastWords.push(words),
    showPage: ({ id }) => shown.push(id),
    isPageOnScreen: () => false,
    reach: (point) => reached.push(point),
    said,
    shown,
    reached,
    lastWords,
    elapsed: () => time,
  };
}
