import { addEndpoint, type NewEndpoint } from "./account.ts";
import type { RequestRecord, Violation } from "./api.ts";
import { settlePayment } from "./attempts.ts";
import { CARDS, NEXT, type RefundOutcome } from "./cards.ts";
import { closeDispute, openDispute } from "./disputes.ts";
import { emit, release, WEBHOOKS, type WebhookSettings } from "./events.ts";
import { addFault, clearFaults, type Fault, readFaults } from "./faults.ts";
import { settleLaterRefunds, settleRefund } from "./refunds.ts";
import { expireSessions } from "./sessions.ts";
import { cancelSubscription, createSubscription, type NewSubscription, payInvoice, renew } from "./subscriptions.ts";
import { idOf, need, type World } from "./world.ts";

/** The money that a payment took. */
export interface Capture {
  readonly payment: string;
  readonly customer: string | null;
  readonly metadata: Readonly<Record<string, string>>;
  readonly amount: number;
  readonly refunded: number;
  readonly currency: string;
}

/** What tests can do at the stand-in that callers of Stripe cannot. Each function is called by its name over HTTP. */
export function createControls(world: World, { advance }: { advance(seconds: number): void }) {
  const { store } = world;
  const change = <Result>(work: () => Result) => store.transaction(work);
  return {
    /** Lists the requests to the API, oldest first. */
    requests: () => store.records<RequestRecord>("request"),
    /** Lists what Stripe's types do not know. */
    violations: () => store.records<Violation>("violation"),
    /** Forgets the violations of a test that wanted them. */
    forgetViolations: () => store.forget("violation"),
    /** Lets the next requests of a call go wrong. */
    fault: (fault: Fault) => addFault(store, fault),
    /** Lists what has not gone wrong yet. */
    faults: () => readFaults(store),
    /** Lets nothing go wrong any more. */
    clearFaults: () => clearFaults(store),
    /** Changes fields of an object, whatever they mean, and sends an event if its type is given. */
    alter: (id: string, fields: Readonly<Record<string, unknown>>, event?: string) =>
      change(() => {
        const found = store.find(id);
        if (found === null) throw new TypeError(`There is no object ${id}`);
        const altered = store.put({ ...found, ...fields });
        const previous = Object.fromEntries(Object.keys(fields).map((name) => [name, Reflect.get(found, name)]));
        return event === undefined ? altered : emit(world, event, altered, previous);
      }),
    /** Lets the next attempts of a payment, or with a payment method, behave as those of test payment methods. */
    setCard(id: string, ...cards: readonly string[]) {
      const unknown = [...cards].find((name) => !Object.hasOwn(CARDS, name));
      if (unknown !== undefined || store.find(id) === null) throw new TypeError(`There is no ${unknown ?? id}`);
      store.setNote(id, NEXT, cards);
    },
    /** Moves the clock ahead: sessions expire, and refunds that end later do. */
    advance(seconds: number) {
      advance(seconds);
      store.transaction(() => {
        expireSessions(world);
        settleLaterRefunds(world);
      });
    },
    /** Ends a payment that is processing. */
    settlePayment: (id: string, outcome: "succeeded" | "failed") => change(() => settlePayment(world, id, outcome)),
    /** Lets the next refund of a payment's last charge become this. */
    setRefund(payment: string, outcome: RefundOutcome) {
      const charge = idOf(need(world, "payment_intent", payment).latest_charge);
      if (charge === null) throw new TypeError(`PaymentIntent ${payment} has no charge`);
      store.setNote(charge, "refund", outcome);
    },
    /** Ends a refund that is pending, or that had succeeded so far. */
    settleRefund: (id: string, status: "succeeded" | "failed" | "canceled") =>
      change(() => settleRefund(world, id, status)),
    /** Lets a cardholder dispute a payment; fraudulent by default, and the whole amount. */
    dispute: (payment: string, fields: { amount?: number; reason?: string } = {}) =>
      change(() => openDispute(world, payment, fields)),
    /** Ends a dispute. */
    closeDispute: (id: string, status: "won" | "lost") => change(() => closeDispute(world, id, status)),
    /** Creates a subscription that Stripe renews; its current period is paid. */
    createSubscription: (settings: NewSubscription) => change(() => createSubscription(world, settings)),
    /** Begins the next period of a subscription. */
    renew: (id: string, outcome: "paid" | "failed") => change(() => renew(world, id, outcome)),
    /** Pays an invoice that is open. */
    payInvoice: (id: string) => change(() => payInvoice(world, id)),
    /** Ends a subscription. */
    cancelSubscription: (id: string) => change(() => cancelSubscription(world, id)),
    /** Adds to the endpoints that the account lists; `setWebhooks` says where events really go. */
    addEndpoint: (endpoint: NewEndpoint) => addEndpoint(world, endpoint),
    /** Says where events are sent, and how; those that were made before keep their time. */
    setWebhooks: (settings: WebhookSettings) => store.setNote(...WEBHOOKS, settings),
    /** Sends what is held. */
    release: (order: "as_made" | "shuffled" = "as_made") => release(store, order),
    /** Sends an event again. */
    resend: (event: string) => store.addDelivery(event, Date.now()),
    /** Lists what was sent, or will be, in the order in which it was made. */
    deliveries: () => store.deliveries({ dueOnly: false }),
    /** Lists the money that payments took, newest first. */
    captures(): Capture[] {
      const { data } = store.list("charge", { status: "succeeded" }, { limit: 1_000_000 });
      return data.map((charge) => ({
        payment: idOf(charge.payment_intent) ?? "",
        customer: idOf(charge.customer),
        metadata: charge.metadata,
        amount: charge.amount_captured,
        refunded: charge.amount_refunded,
        currency: charge.currency,
      }));
    },
  };
}

/** The functions of a control. */
export type Controls = ReturnType<typeof createControls>;
