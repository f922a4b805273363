import Stripe from "stripe";
import { BackendError } from "../../errors.ts";

/** What an event is about. Only the IDs count: what became of the objects is read from Stripe. */
interface EventSubject {
  /** The purchase that the object's metadata name. */
  readonly purchaseId: string | null;
  /** The customer or subscription that changed. */
  readonly followed: string | null;
  /** The payment or dispute to compare with the ledger. */
  readonly compared: string | null;
}

/** A genuine event of Stripe. */
export interface StripeEvent {
  readonly id: string;
  readonly type: string;
  /** When it happened, milliseconds. */
  readonly at: number;
  readonly isLive: boolean;
  /** `null` for a type of event that changes nothing here. */
  readonly subject: EventSubject | null;
}

/** How far the time of a signature may be off, seconds (Stripe's documentation, Verify webhook signatures manually). */
const [MAX_AGE_S, MAX_AHEAD_S] = [300, 60];

/**
 * Reads an event that Stripe sent.
 *
 * @param body the request body, byte by byte as it arrived
 * @param header the value of `Stripe-Signature`
 * @param options `secrets` of which one has signed it; `now` by the service's clock, milliseconds
 * @throws BackendError `invalid_request` for a body that Stripe has not signed, or not just now
 */
export function readStripeEvent(
  body: Buffer,
  header: string,
  { secrets, now }: { secrets: readonly string[]; now: number },
): StripeEvent {
  const event = secrets.map((secret) => verified(body, header, secret, now)).find((found) => found !== null);
  // Stripe's client accepts any time in the future.
  if (!event || signedAt(header) > now / 1_000 + MAX_AHEAD_S) {
    throw new BackendError("invalid_request", "The signature is missing, wrong, or not from the last 5 minutes");
  }
  const { id, type, created, livemode, data } = event;
  return { id, type, at: created * 1_000, isLive: livemode, subject: subjectOf(type, data) };
}

function verified(body: Buffer, header: string, secret: string, now: number): Stripe.Event | null {
  try {
    return Stripe.webhooks.constructEvent(body, header, secret, MAX_AGE_S, undefined, now);
  } catch (error) {
    if (error instanceof Stripe.errors.StripeSignatureVerificationError) return null;
    throw new BackendError("invalid_request", "The body is not an event", {}, {}, null, { cause: error });
  }
}

/** The last time in the header, which is the one that Stripe's client has verified. */
function signedAt(header: string): number {
  return Number(
    header
      .match(/(?:^|,)t=(\d+)/g)
      ?.at(-1)
      ?.replace(/\D/g, "") ?? Number.POSITIVE_INFINITY,
  );
}

type Reference = string | { readonly id: string } | null | undefined;

/** The fields of the objects in events that are read here. */
interface EventObject {
  readonly id: string;
  readonly metadata?: Readonly<Record<string, string>> | null;
  readonly payment_intent?: Reference;
  readonly customer?: Reference;
  readonly parent?: { readonly subscription_details?: { readonly subscription?: Reference } | null } | null;
}

/** The types that are followed. */
const [PAYMENTS, CARD_PAGES, MONEY_BACK, DISPUTES, METHODS, CUSTOMERS, INVOICES, SUBSCRIPTIONS] = [
  /^payment_intent\.\w+$/,
  /^checkout\.session\.(completed|expired)$/,
  /^(refund\.\w+|charge\.refunded)$/,
  /^charge\.dispute\.\w+$/,
  /^payment_method\.\w+$/,
  /^customer\.deleted$/,
  /^invoice\.(paid|payment_failed)$/,
  /^customer\.subscription\.\w+$/,
];

function subjectOf(type: string, { object, previous_attributes }: Stripe.Event.Data): EventSubject | null {
  const about = object as unknown as EventObject;
  const subject = { purchaseId: about.metadata?.purchaseId ?? null, followed: null, compared: null };
  if (PAYMENTS.test(type)) return { ...subject, compared: type === "payment_intent.succeeded" ? about.id : null };
  // A card page without a purchase asks for the customer's payment method.
  if (CARD_PAGES.test(type)) return subject.purchaseId ? subject : { ...subject, followed: idOf(about.customer) };
  if (MONEY_BACK.test(type)) return { ...subject, compared: idOf(about.payment_intent) };
  if (DISPUTES.test(type)) return { ...subject, compared: about.id };
  if (CUSTOMERS.test(type) || SUBSCRIPTIONS.test(type)) return { ...subject, followed: about.id };
  if (INVOICES.test(type)) return { ...subject, followed: idOf(about.parent?.subscription_details?.subscription) };
  if (!METHODS.test(type)) return null;
  // One that was detached belongs to nobody any more.
  const before = (previous_attributes ?? {}) as Pick<EventObject, "customer">;
  return { ...subject, followed: idOf(about.customer ?? before.customer) };
}

function idOf(reference: Reference): string | null {
  return typeof reference === "string" ? reference : (reference?.id ?? null);
}
