import { buy } from "../../../src/cli/buying/engine/buy.ts";
import type { JournalEntry } from "../../../src/cli/buying/engine/journal.ts";
import { type CiRun, keySeries } from "../../../src/cli/buying/engine/keys.ts";
import {
  type Approver,
  automaticApprover,
  type BuyRequest,
  type Concluded,
} from "../../../src/cli/buying/engine/tools.ts";
import { targetOf } from "../../../src/cli/buying/engine/wanted.ts";
import { ClientError, type ClientErrorCode } from "../../../src/client/errors.ts";
import { API_URL, buyRequest, me, ORGANIZATION, purchase, quote, subscription } from "./builders.ts";
import { type FakeJournal, fakeJournal } from "./fakeJournal.ts";
import { type FakeTools, fakeTools } from "./fakeTools.ts";
import type { ExpectedCall } from "./script.ts";

/** The first random key of a command. */
export const KEY = `cli_${"07".repeat(16)}`;

/** A run in CI. */
export const RUN: CiRun = { provider: "github", repository: "northwind/app", run: "17", job: "seats" };

/** A refusal of the contract. */
export const refusal = (code: ClientErrorCode) => new ClientError(code, `refused: ${code}`);

/** The backend knows the key. */
export const known = (found = purchase()): ExpectedCall => ({
  call: "purchaseByKey",
  gives: { state: "known", purchase: found },
});

/** The backend never saw the key. */
export const unknown: ExpectedCall = { call: "purchaseByKey", gives: { state: "unknown" } };

/** The key is void. */
export const isVoid: ExpectedCall = { call: "purchaseByKey", gives: { state: "void" } };

/** What pricing asks. */
export const PRICED: ExpectedCall[] = [
  { call: "subscription", gives: subscription() },
  { call: "createQuote", gives: quote(5) },
];

/** Who the token belongs to, which may buy. */
export const ME: ExpectedCall = { call: "me", gives: me() };

/** The purchase is made, and paid at once. */
export const SOLD: ExpectedCall = {
  call: "createPurchase",
  gives: { purchase: purchase({ idempotencyKey: KEY }), replayed: false },
};

/** Takes offers as `--yes` does, and tells nobody. */
export function silentApprover({ decidesAnew = false }: { decidesAnew?: boolean } = {}): Approver {
  return automaticApprover({ decidesAnew, announce: async () => {} });
}

/** A `buy` and what is around it. */
export interface Scene {
  readonly request?: Partial<BuyRequest>;
  readonly ciRun?: CiRun | null;
  readonly journal?: JournalEntry[];
  readonly script: readonly ExpectedCall[];
  readonly approver?: Approver;
  readonly prepare?: (journal: FakeJournal) => void;
  readonly waitSeconds?: number;
}

/** How it went. */
export interface Played {
  readonly outcome: Concluded | { code: unknown; message: string };
  readonly journal: FakeJournal;
  readonly tools: FakeTools;
  readonly said: string;
  readonly calls: readonly string[];
}

/** Plays a scene; fails where the script was not followed to its end. */
export async function play(scene: Scene): Promise<Played> {
  const request = buyRequest(scene.request);
  const journal = fakeJournal(scene.journal);
  scene.prepare?.(journal);
  const tools = fakeTools(scene.script, { journal, waitSeconds: scene.waitSeconds ?? 0 });
  const keys = keySeries(request, {
    ciRun: scene.ciRun ?? null,
    apiUrl: API_URL,
    organizationId: ORGANIZATION,
    randomBytes: (count) => Buffer.alloc(count, 7),
  });
  const outcome = await buy(
    request,
    keys,
    scene.approver ?? silentApprover({ decidesAnew: targetOf(request.wanted) !== null }),
    tools,
  ).catch((error: Error & { code?: unknown }) => {
    if (error.code === undefined) throw error;
    return { code: error.code, message: error.message };
  });
  tools.scripted.assertDone();
  return { outcome, journal, tools, said: tools.said.join("\n"), calls: tools.scripted.calls };
}
