import { randomBytes } from "node:crypto";
import {
  GatewayRefusal,
  GatewayUnavailable,
  type Payment,
  type PaymentAttempt,
  type PaymentGateway,
} from "../../../src/backend/payments/gateway.ts";
import type { TestBackend } from "./backend.ts";

/** A page of the provider that asks for a card. */
export interface CardPage {
  readonly id: string;
  readonly purchaseId: string | null;
  readonly customer: string;
  readonly returnUrl: string;
  readonly key: string;
  status: "open" | "complete" | "expired";
  method: string | null;
}

/** What a provider with customers does beyond the sandbox's cards, on which it is built. */
export interface CardProvider {
  /** The pages that asked for a card, oldest first. */
  readonly pages: readonly CardPage[];
  /** The attempts to charge, in order, without repeated ones. */
  readonly attempts: readonly (PaymentAttempt & { readonly paymentId: string })[];
  /** How many payments and pages were read. */
  reads: number;
  /** Saves a card for a customer, as an import from the provider would have it. */
  save(customer: string, card: string): string;
  /** Enters a card on a page that asks for one, and saves it. */
  enter(page: CardPage, card: string): void;
  /** Changes what a page is reported as. */
  misreport(page: CardPage, changes: { customer?: string; mode?: "live" }): void;
  /** Removes a card from its customer. */
  detach(method: string): void;
  /** Answers for the bank, if a payment waits for it. Returns where the person is sent back to. */
  decide(paymentId: string, isApproved: boolean): Promise<string>;
  /** Makes the next call of a kind fail without an answer, after it was done. */
  loseAnswer(call: "read" | "readCardEntry" | "startCardEntry"): void;
}

const FAILED_AT_BANK = {
  code: "payment_intent_authentication_failure",
  message: "The bank did not approve the payment.",
};

const NEEDS_PERSON = { code: "authentication_required", message: "The bank asks for approval." };

type Waiting = Pick<Payment, "status" | "failure" | "approvalUrl" | "paymentMethod">;

/**
 * Gives a backend a provider with customers: cards belong to them, are entered on a page of the provider, and
 * `card_requires_approval` has to be approved on a page of the bank.
 *
 * @param origin where these pages are
 */
export function useCardProvider(backend: TestBackend, origin = "https://provider.test"): CardProvider {
  const sandbox: PaymentGateway = { ...backend.deps.gateway };
  const methods = new Map<string, { customer: string; card: string }>();
  const pages: (CardPage & { reported?: { customer?: string; mode?: "live" } })[] = [];
  const customers = new Map<string, string | null>();
  const charged = new Map<string, string | null>();
  const waiting = new Map<string, Waiting>();
  const returnUrls = new Map<string, string>();
  const attempts: (PaymentAttempt & { paymentId: string })[] = [];
  let lost: string | null = null;

  const answer = (call: string) => {
    if (lost !== call) return;
    lost = null;
    throw new GatewayUnavailable("no answer");
  };
  const labelOf = (method: string) => `${sandbox.describe(methods.get(method)?.card ?? "", null).label}`;
  const report = (payment: Payment): Payment => ({
    ...payment,
    customer: customers.get(payment.id) ?? null,
    paymentMethod: charged.get(payment.id) ?? null,
    ...waiting.get(payment.id),
  });
  const owned = (method: string | null, customer: string | null): string | null => {
    if (method === null) return null;
    const found = methods.get(method);
    if (found === undefined || found.customer !== customer) {
      throw new GatewayRefusal(`No such PaymentMethod: ${method}`, { isConflict: false });
    }
    return found.card;
  };
  const viewOf = ({ id, status, customer, method, reported }: (typeof pages)[number]) => ({
    id,
    status,
    url: status === "open" ? `${origin}/card/${id}` : null,
    customer,
    mode: sandbox.account.mode,
    method: method === null ? null : { id: method, label: labelOf(method) },
    ...reported,
  });
  const save = (customer: string, card: string) => {
    const id = `pm_${randomBytes(4).toString("hex")}`;
    methods.set(id, { customer, card });
    return id;
  };
  const provider: CardProvider = {
    pages,
    attempts,
    reads: 0,
    save,
    enter(page, card) {
      page.method = save(page.customer, card);
      page.status = "complete";
    },
    misreport(page, changes) {
      Object.assign(page, { reported: changes });
    },
    detach: (method) => void methods.delete(method),
    async decide(paymentId, isApproved) {
      if (waiting.get(paymentId)?.status === "requires_action") {
        if (isApproved) {
          waiting.delete(paymentId);
          const idempotencyKey = `bank_${randomBytes(4).toString("hex")}`;
          const approval = { idempotencyKey, paymentMethod: "card_ok", approvedByPerson: true, returnUrl: null };
          await sandbox.confirm(paymentId, approval);
        } else {
          waiting.set(paymentId, {
            status: "requires_payment_method",
            failure: FAILED_AT_BANK,
            approvalUrl: null,
            paymentMethod: null,
          });
        }
      }
      return `${returnUrls.get(paymentId)}?payment_intent=${paymentId}&payment_intent_client_secret=secret`;
    },
    loseAnswer(call) {
      lost = call;
    },
  };

  Object.assign(backend.deps.gateway, {
    choices: () => [],
    describe: (method, label) => ({ type: "card", label: label ?? `Card ${method}` }),
    async readLabel(method) {
      if (!methods.has(method)) throw new GatewayRefusal("No such PaymentMethod", { isConflict: false });
      return labelOf(method);
    },
    customers: {
      create: async ({ id }) => `cus_${id}`,
      exists: async () => true,
      async findMethod(customer, method) {
        return methods.get(method)?.customer === customer ? { id: method, label: labelOf(method) } : null;
      },
      async attachCard() {
        throw new TypeError("unexpected");
      },
      async startCardEntry({ idempotencyKey: key, purchaseId, customer, returnUrl }) {
        let page = pages.find((other) => other.key === key);
        if (page === undefined) {
          const id = `cs_${pages.length + 1}`;
          page = { id, key, purchaseId, customer, returnUrl, status: "open", method: null };
          pages.push(page);
        }
        answer("startCardEntry");
        return viewOf(page);
      },
      async readCardEntry(id) {
        provider.reads += 1;
        answer("readCardEntry");
        const page = pages.find((other) => other.id === id);
        if (page === undefined) throw new GatewayRefusal(`No such session: ${id}`, { isConflict: false });
        return viewOf(page);
      },
    },
    async create(request) {
      const card = owned(request.paymentMethod, request.customer);
      const payment = await sandbox.create({ ...request, paymentMethod: card });
      customers.set(payment.id, request.customer);
      return report(payment);
    },
    async confirm(paymentId, attempt) {
      const card = owned(attempt.paymentMethod, customers.get(paymentId) ?? null);
      if (attempts.some(({ idempotencyKey }) => idempotencyKey === attempt.idempotencyKey)) {
        return report(await sandbox.read(paymentId));
      }
      const needsApproval = card === "card_requires_approval";
      const confirmed = needsApproval
        ? null
        : await sandbox.confirm(paymentId, { ...attempt, paymentMethod: card ?? "" });
      attempts.push({ ...attempt, paymentId });
      charged.set(paymentId, attempt.paymentMethod);
      if (attempt.returnUrl !== null) returnUrls.set(paymentId, attempt.returnUrl);
      if (confirmed !== null) {
        waiting.delete(paymentId);
        return report(confirmed);
      }
      waiting.set(paymentId, {
        status: attempt.approvedByPerson ? "requires_action" : "requires_payment_method",
        failure: attempt.approvedByPerson ? null : NEEDS_PERSON,
        approvalUrl: attempt.approvedByPerson ? `${origin}/bank/${paymentId}` : null,
        paymentMethod: attempt.paymentMethod,
      });
      return report(await sandbox.read(paymentId));
    },
    async read(paymentId) {
      provider.reads += 1;
      answer("read");
      return report(await sandbox.read(paymentId));
    },
    async cancel(paymentId) {
      const canceled = await sandbox.cancel(paymentId);
      if (canceled.status === "canceled") waiting.delete(paymentId);
      return report(canceled);
    },
  } satisfies Partial<PaymentGateway>);
  return provider;
}
