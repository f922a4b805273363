import type { z } from "zod";
import type {
  Purchase,
  PurchaseAnswer,
  PurchaseRequest,
  Quote,
  ReductionRequest,
  StoredPaymentMethod,
  Subscription,
} from "../contract/billing.ts";
import type { clockAnswerSchema, clockRequestSchema, sandboxStateSchema } from "../contract/sandbox.ts";
import { assertVerifiedTls, parseAddress } from "./address.ts";
import { another, isNamed, ofOrganization } from "./asked.ts";
import { Caller, type CallInput, type ClientOptions } from "./call.ts";
import { type DocumentCalls, documentCalls } from "./documents.ts";
import { ClientError } from "./errors.ts";
import { type EventCalls, eventCalls } from "./events.ts";
import { type IdentityCalls, identityCalls } from "./identity.ts";
import { ASK_AGAIN_HINT } from "./outcome.ts";
import { type PolicyCalls, policyCalls } from "./policy.ts";
import { type RawCalls, rawCalls } from "./raw.ts";
import { createTransport } from "./transport.ts";
import { type UserCalls, userCalls } from "./users.ts";

/** The sandbox's clock and its provider's record. */
export type SandboxState = z.infer<typeof sandboxStateSchema>;

/** Where the sandbox's clock is to go. */
export type ClockRequest = z.infer<typeof clockRequestSchema>;

/** Where the sandbox's clock is now. */
export type ClockAnswer = z.infer<typeof clockAnswerSchema>;

/** What became of an Idempotency-Key: `unknown` only if the backend says that it never arrived. */
export type KeyOutcome =
  | { readonly state: "known"; readonly purchase: PurchaseAnswer }
  | { readonly state: "unknown" }
  | { readonly state: "void" };

/**
 * The contract, seen from a command: one client per command, because they share the time for retries. Every method throws `ClientError`. Strings in answers are the backend's, not cleaned.
 */
export interface Client extends IdentityCalls, UserCalls, DocumentCalls, EventCalls, PolicyCalls, RawCalls {
  readonly apiUrl: string;
  readonly origin: string;
  readonly isLoopback: boolean;
  subscription(organizationId: number): Promise<Subscription>;
  paymentMethod(organizationId: number): Promise<StoredPaymentMethod>;
  createQuote(organizationId: number, licenses: number): Promise<Quote>;
  quote(organizationId: number, quoteId: string): Promise<Quote>;
  /**
   * Buys a quote under a key. A declined payment resolves with its failed purchase. `replayed` is true where the
   * purchase was made before this call, false where only an earlier try of this very call may have made it.
   */
  createPurchase(
    organizationId: number,
    idempotencyKey: string,
    request: PurchaseRequest,
  ): Promise<{ purchase: PurchaseAnswer; replayed: boolean; requestId: string | null }>;
  purchaseByKey(organizationId: number, idempotencyKey: string): Promise<KeyOutcome>;
  /**
   * Tries to pay a declined purchase again. One that is declined once more resolves as the failed purchase. Repeated
   * only while it certainly never left: after a decline a second request would be a second attempt. `outcome_unknown`
   * where the answer is lost.
   */
  payPurchase(organizationId: number, purchaseId: string): Promise<PurchaseAnswer>;
  /** Ends a purchase that waits for approval. `outcome_unknown` where an answer was lost and no refusal came after it. */
  cancelPurchase(organizationId: number, purchaseId: string): Promise<PurchaseAnswer>;
  /**
   * Approves a purchase that waits for another administrator, by the digest of what was shown. Approving again changes
   * nothing. One that is declined then resolves as the failed purchase. `outcome_unknown` as with `cancelPurchase`.
   */
  approvePurchase(organizationId: number, purchaseId: string, digest: string): Promise<PurchaseAnswer>;
  /** Ends a purchase that waits for another administrator. `outcome_unknown` as with `cancelPurchase`. */
  rejectPurchase(organizationId: number, purchaseId: string, reason: string): Promise<PurchaseAnswer>;
  /** Spends a key forever. Returns the purchase of a key that the backend knew, `null` where the key is void now. */
  voidKey(organizationId: number, idempotencyKey: string): Promise<PurchaseAnswer | null>;
  purchases(
    organizationId: number,
    query: { limit?: number; after?: string; status?: string; kind?: string; from?: string; to?: string },
  ): Promise<{ items: Purchase[]; next: string | null }>;
  /**
   * Schedules fewer licenses for the renewal, only if the subscription is still at that version. Asking again for what is
   * scheduled changes nothing. `outcome_unknown` where an answer was lost and no refusal came after it.
   */
  reduceLicenses(organizationId: number, request: ReductionRequest): Promise<Subscription>;
  /** Takes a scheduled reduction back; there may be none. `outcome_unknown` as with `reduceLicenses`. */
  cancelReduction(organizationId: number): Promise<Subscription>;
  /**
   * `purchaseId` may be the first 8 digits of the id, or more, or the receipt number, here and in the calls of receipts.
   * `waitSeconds`: how long the backend may hold the answer until the purchase settles.
   */
  purchase(organizationId: number, purchaseId: string, waitSeconds?: number): Promise<PurchaseAnswer>;
  sandboxState(): Promise<SandboxState>;
  /** Never repeated, and `outcome_unknown` where the answer is lost. */
  advanceClock(request: ClockRequest): Promise<ClockAnswer>;
  /** Cuts every connection. */
  close(): Promise<void>;
}

/**
 * Makes the client of one backend for one command. Sends nothing yet.
 *
 * @throws ClientError `invalid_usage`, `insecure_url`, `insecure_tls`
 */
export function createClient(options: ClientOptions): Client {
  const address = parseAddress(options.apiUrl);
  assertVerifiedTls(options.env);
  const transport = createTransport(address, options.env);
  const caller = new Caller(address, transport, options);
  return {
    apiUrl: address.origin + address.basePath,
    origin: address.origin,
    isLoopback: address.isLoopback,
    ...identityCalls(caller),
    ...readingCalls(caller),
    ...documentCalls(caller),
    ...eventCalls(caller),
    ...userCalls(caller),
    ...policyCalls(caller),
    ...rawCalls(caller),
    ...buyingCalls(caller),
    ...payingCalls(caller),
    ...reducingCalls(caller),
    ...sandboxCalls(caller),
    close: () => transport.close(),
  };
}

type ReadingCalls = "subscription" | "paymentMethod" | "purchases" | "purchase";

function readingCalls(caller: Caller): Pick<Client, ReadingCalls> {
  const repeat = "transient";
  return {
    subscription: async (organizationId) =>
      ofOrganization(organizationId, await caller.call("getSubscription", { params: { organizationId }, repeat })),
    paymentMethod: async (organizationId) =>
      (await caller.call("getPaymentMethod", { params: { organizationId }, repeat })).value,
    purchases: async (organizationId, query) =>
      (await caller.call("listPurchases", { params: { organizationId }, query, repeat })).value,
    purchase: async (organizationId, purchaseId, waitSeconds) => {
      const params = { organizationId, purchaseId };
      const heldMs = (waitSeconds ?? 0) * 1000;
      const { value } = await caller.call("getPurchase", { params, query: { wait: waitSeconds }, heldMs, repeat });
      if (isNamed(purchaseId, value.id, value.receiptNumber)) return value;
      throw another(purchaseId, value.id);
    },
  };
}

type BuyingCalls = "createQuote" | "quote" | "createPurchase" | "purchaseByKey" | "voidKey";

function buyingCalls(caller: Caller): Pick<Client, BuyingCalls> {
  const repeat = "transient";
  return {
    // A second quote costs nothing, so a quote may be asked for again.
    createQuote: async (organizationId, licenses) =>
      (await caller.call("createQuote", { params: { organizationId }, body: { licenses }, repeat })).value,
    quote: async (organizationId, quoteId) => {
      const { value } = await caller.call("getQuote", { params: { organizationId, quoteId }, repeat });
      if (value.id === quoteId) return value;
      throw another(quoteId, value.id);
    },
    createPurchase: async (organizationId, idempotencyKey, body) => {
      const reply = await caller.call("createPurchase", { params: { organizationId }, body, idempotencyKey, repeat });
      const { value, replayed, requestId } = reply;
      return { purchase: ofKey(value, idempotencyKey), replayed, requestId };
    },
    purchaseByKey: async (organizationId, idempotencyKey) => {
      try {
        const { value } = await caller.call("getPurchaseByKey", { params: { organizationId, idempotencyKey }, repeat });
        return { state: "known", purchase: ofKey(value, idempotencyKey) };
      } catch (error) {
        if (hasCode(error, "idempotency_key_unknown")) return { state: "unknown" };
        if (hasCode(error, "idempotency_key_void")) return { state: "void" };
        throw error;
      }
    },
    voidKey: async (organizationId, idempotencyKey) => {
      try {
        const { value } = await caller.call("voidKey", { params: { organizationId, idempotencyKey }, repeat });
        return value && ofKey(value, idempotencyKey);
      } catch (error) {
        if (hasCode(error, "idempotency_key_void")) return null;
        throw error;
      }
    },
  };
}

type PayingCalls = "payPurchase" | "cancelPurchase" | "approvePurchase" | "rejectPurchase";

function payingCalls(caller: Caller): Pick<Client, PayingCalls> {
  const change = async (
    id: PayingCalls,
    params: { organizationId: number; purchaseId: string },
    repeat: "unsent" | "transient",
    safety: string,
    body?: unknown,
  ) => {
    const { purchaseId } = params;
    const hint = `See \`secureflag-licenses purchases show ${purchaseId}\`; ${safety}.`;
    const { value } = await caller.change(id, { params, body, repeat }, hint);
    if (value.id === purchaseId) return value;
    throw another(purchaseId, value.id, hint);
  };
  return {
    payPurchase: (organizationId, purchaseId) =>
      change(
        "payPurchase",
        { organizationId, purchaseId },
        "unsent",
        "paying again is safe, it is charged once at most",
      ),
    // A purchase that is canceled already is answered like one that is canceled now.
    cancelPurchase: (organizationId, purchaseId) =>
      change("cancelPurchase", { organizationId, purchaseId }, "transient", "canceling again is safe"),
    approvePurchase: (organizationId, purchaseId, digest) =>
      change("approvePurchase", { organizationId, purchaseId }, "transient", "approving again is safe", { digest }),
    rejectPurchase: (organizationId, purchaseId, reason) =>
      change("rejectPurchase", { organizationId, purchaseId }, "transient", "rejecting again is safe", { reason }),
  };
}

const CHANGED_HINT = "See `secureflag-licenses status`. Running the same command again is safe.";

const CLOCK_HINT = "See `secureflag-licenses sandbox clock show` before you move it again.";

function reducingCalls(caller: Caller): Pick<Client, "reduceLicenses" | "cancelReduction"> {
  const change = async (id: "reduceLicenses" | "cancelReduction", organizationId: number, body?: ReductionRequest) => {
    const input: CallInput = { params: { organizationId }, body, repeat: "transient" };
    return ofOrganization(organizationId, await caller.change(id, input, CHANGED_HINT), CHANGED_HINT);
  };
  return {
    reduceLicenses: (organizationId, body) => change("reduceLicenses", organizationId, body),
    cancelReduction: (organizationId) => change("cancelReduction", organizationId),
  };
}

/** An answer about another key's purchase says nothing about this one. */
function ofKey(purchase: PurchaseAnswer, idempotencyKey: string): PurchaseAnswer {
  if (purchase.idempotencyKey === idempotencyKey) return purchase;
  throw new ClientError("outcome_unknown", `The backend answered with another purchase, ${purchase.id}`, {
    hint: ASK_AGAIN_HINT,
  });
}

function sandboxCalls(caller: Caller): Pick<Client, "sandboxState" | "advanceClock"> {
  return {
    sandboxState: async () => (await caller.call("getSandbox", { repeat: "transient" })).value,
    // Years of renewals on the way take their time.
    advanceClock: async (body) =>
      (await caller.change("advanceClock", { body, heldMs: 90_000, repeat: "never" }, CLOCK_HINT)).value,
  };
}

function hasCode(error: unknown, code: ClientError["code"]): boolean {
  return error instanceof ClientError && error.code === code;
}
