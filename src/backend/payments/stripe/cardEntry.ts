import type Stripe from "stripe";
import type { CustomerRecords } from "../gateway.ts";
import { call } from "./errors.ts";
import { choiceOf } from "./labels.ts";
import { attachCard, customerExists, findPaymentMethod, idOf } from "./lookups.ts";

/**
 * How long a card page stays open: Stripe's minimum, half an hour, rounded up to the end of a half hour so that a
 * repeated request has the same parameters. Milliseconds.
 */
const HALF_HOUR_MS = 30 * 60_000;

/** Added to Stripe's minimum for the time that the request itself takes, milliseconds. */
const MARGIN_MS = 60_000;

type Session = Stripe.Checkout.Session;
type CardEntry = Awaited<ReturnType<CustomerRecords["readCardEntry"]>>;

/**
 * The customers of a Stripe account, and Stripe's page that asks them for a card.
 *
 * @param now the machine's clock, milliseconds
 */
export function stripeCustomers(stripe: Stripe, now: () => number): CustomerRecords {
  return {
    async create({ id, name }, idempotencyKey) {
      const customer = { name, metadata: { organizationId: String(id) } };
      return (await call(() => stripe.customers.create(customer, { idempotencyKey }))).id;
    },

    async startCardEntry({ idempotencyKey, organizationId, purchaseId, customer, returnUrl }) {
      const metadata = { organizationId: String(organizationId), ...(purchaseId !== null && { purchaseId }) };
      const session = await call(() =>
        stripe.checkout.sessions.create(
          {
            mode: "setup",
            ui_mode: "hosted_page",
            allowed_payment_method_types: ["card"],
            customer,
            success_url: returnUrl,
            cancel_url: returnUrl,
            expires_at: Math.ceil((now() + HALF_HOUR_MS + MARGIN_MS) / HALF_HOUR_MS) * (HALF_HOUR_MS / 1_000),
            metadata,
            setup_intent_data: { metadata },
          },
          { idempotencyKey },
        ),
      );
      return cardEntryOf(stripe, session);
    },

    async readCardEntry(id) {
      const expand = ["setup_intent.payment_method"];
      return cardEntryOf(stripe, await call(() => stripe.checkout.sessions.retrieve(id, { expand })));
    },

    exists: (customer) => customerExists(stripe, customer),
    findMethod: (customer, paymentMethod) => findPaymentMethod(stripe, customer, paymentMethod),
    attachCard: (customer, paymentMethod) => attachCard(stripe, customer, paymentMethod),
  };
}

async function cardEntryOf(stripe: Stripe, session: Session): Promise<CardEntry> {
  const { id, url, livemode } = session;
  const isSetup = session.mode === "setup" && session.status === "complete";
  return {
    id,
    status: statusOf(session),
    url,
    customer: idOf(session.customer),
    mode: livemode ? "live" : "test",
    method: isSetup ? await methodOf(stripe, session) : null,
  };
}

function statusOf({ status }: Session): CardEntry["status"] {
  const known = { open: "open", complete: "complete" } as const;
  return status === "open" || status === "complete" ? known[status as keyof typeof known] : "expired";
}

async function methodOf(stripe: Stripe, { setup_intent }: Session): Promise<CardEntry["method"]> {
  if (setup_intent === null) return null;
  const intent =
    typeof setup_intent === "string" ? await call(() => stripe.setupIntents.retrieve(setup_intent)) : setup_intent;
  const { payment_method: method } = intent;
  if (method === null) return null;
  return choiceOf(typeof method === "string" ? await call(() => stripe.paymentMethods.retrieve(method)) : method);
}
