import type Stripe from "stripe";
import * as z from "zod";

/** The parameters that a shape may have: each by a name of Stripe's own type, and giving what that type takes. */
type Known<Params, Shape> = {
  [Name in keyof Shape]: Name extends keyof Params ? z.ZodType<Params[Name]> : never;
};

/**
 * Declares the parameters of a call. What is not in the type of the `stripe` package does not compile, and a request with
 * anything else is refused.
 */
function known<Params>() {
  return <const Shape extends z.ZodRawShape & Known<Params, Shape>>(shape: Shape) => z.strictObject(shape);
}

const text = z.string().min(1).max(5_000);
const integer = z
  .string()
  .regex(/^-?\d{1,15}$/, "Invalid integer")
  .transform(Number);
const flag = z.enum(["true", "false"]).transform((value) => value === "true");
const metadata = z
  .record(z.string().max(40), z.string().max(500))
  .refine((fields) => Object.keys(fields).length <= 50, "At most 50 keys")
  .exactOptional();
const range = z.union([
  integer,
  z.strictObject({
    gt: integer.exactOptional(),
    gte: integer.exactOptional(),
    lt: integer.exactOptional(),
    lte: integer.exactOptional(),
  }),
]);
const url = z.url().max(5_000);
const expand = z.array(text).max(20).exactOptional();
const optional = text.exactOptional();
const currency = z
  .string()
  .regex(/^[A-Za-z]{3}$/, "Invalid currency")
  .transform((value) => value.toLowerCase());
const cards = z.array(z.literal("card")).length(1).exactOptional();

const page = {
  expand,
  limit: integer.pipe(z.number().min(1).max(100)).exactOptional(),
  starting_after: optional,
  ending_before: optional,
};
const listed = { ...page, created: range.exactOptional() };

/** Of the suffix of a card statement (Stripe's documentation, Statement descriptors). */
const suffix = z
  .string()
  .max(22)
  .regex(/^(?=.*[A-Za-z])[^<>\\'"*]*$/, "Invalid statement descriptor");

/** The parameters of every call that the stand-in answers, by the name of the call in the `stripe` package. */
export const PARAMETERS = {
  "customers.create": known<Stripe.CustomerCreateParams>()({
    expand,
    metadata,
    name: optional,
    email: optional,
    description: optional,
    payment_method: optional,
  }),
  "customers.retrieve": known<Stripe.CustomerRetrieveParams>()({ expand }),
  // `serve check` tries it on a customer that does not exist.
  "customers.update": known<Stripe.CustomerUpdateParams>()({}),
  "customers.del": known<Stripe.CustomerDeleteParams>()({}),
  "customers.list": known<Stripe.CustomerListParams>()({ ...listed, email: optional }),
  "paymentMethods.retrieve": known<Stripe.PaymentMethodRetrieveParams>()({ expand }),
  "paymentMethods.attach": known<Stripe.PaymentMethodAttachParams>()({ expand, customer: text }),
  "paymentMethods.detach": known<Stripe.PaymentMethodDetachParams>()({ expand }),
  "paymentMethods.list": known<Stripe.PaymentMethodListParams>()({
    ...page,
    customer: optional,
    type: z.literal("card").exactOptional(),
  }),
  "customers.listPaymentMethods": known<Stripe.CustomerListPaymentMethodsParams>()({
    ...page,
    type: z.literal("card").exactOptional(),
  }),
  "paymentIntents.create": known<Stripe.PaymentIntentCreateParams>()({
    expand,
    metadata,
    amount: integer,
    currency,
    customer: optional,
    payment_method: optional,
    allowed_payment_method_types: cards,
    description: z.string().min(1).max(1_000).exactOptional(),
    statement_descriptor_suffix: suffix.exactOptional(),
  }),
  "paymentIntents.retrieve": known<Stripe.PaymentIntentRetrieveParams>()({ expand }),
  "paymentIntents.confirm": known<Stripe.PaymentIntentConfirmParams>()({
    expand,
    payment_method: optional,
    off_session: flag.exactOptional(),
    return_url: url.exactOptional(),
  }),
  "paymentIntents.cancel": known<Stripe.PaymentIntentCancelParams>()({
    expand,
    cancellation_reason: z.enum(["abandoned", "duplicate", "fraudulent", "requested_by_customer"]).exactOptional(),
  }),
  "paymentIntents.list": known<Stripe.PaymentIntentListParams>()({ ...listed, customer: optional }),
  "charges.retrieve": known<Stripe.ChargeRetrieveParams>()({ expand }),
  "charges.list": known<Stripe.ChargeListParams>()({ ...listed, customer: optional, payment_intent: optional }),
  "refunds.create": known<Stripe.RefundCreateParams>()({
    expand,
    metadata,
    amount: integer.exactOptional(),
    charge: optional,
    payment_intent: optional,
    reason: z.enum(["duplicate", "fraudulent", "requested_by_customer"]).exactOptional(),
  }),
  "checkout.sessions.create": known<Stripe.Checkout.SessionCreateParams>()({
    expand,
    metadata,
    mode: z.literal("setup"),
    ui_mode: z.literal("hosted_page").exactOptional(),
    customer: optional,
    currency: currency.exactOptional(),
    allowed_payment_method_types: cards,
    success_url: url,
    cancel_url: url.exactOptional(),
    expires_at: integer.exactOptional(),
    locale: z
      .literal("auto")
      .or(z.string().regex(/^[a-z]{2,3}(-[A-Za-z0-9]+)?$/))
      .exactOptional(),
    client_reference_id: z.string().max(200).exactOptional(),
    setup_intent_data: z.strictObject({ metadata, description: z.string().max(1_000).exactOptional() }).exactOptional(),
  }),
  "checkout.sessions.retrieve": known<Stripe.Checkout.SessionRetrieveParams>()({ expand }),
  "checkout.sessions.expire": known<Stripe.Checkout.SessionExpireParams>()({ expand }),
  "setupIntents.retrieve": known<Stripe.SetupIntentRetrieveParams>()({ expand }),
  "events.retrieve": known<Stripe.EventRetrieveParams>()({ expand }),
  "events.list": known<Stripe.EventListParams>()({ ...listed, type: optional }),
  "refunds.retrieve": known<Stripe.RefundRetrieveParams>()({ expand }),
  "refunds.list": known<Stripe.RefundListParams>()({ ...listed, charge: optional, payment_intent: optional }),
  "subscriptions.retrieve": known<Stripe.SubscriptionRetrieveParams>()({ expand }),
  "subscriptionItems.retrieve": known<Stripe.SubscriptionItemRetrieveParams>()({ expand }),
  // Nothing is ever prorated at Stripe: the service has charged it already.
  "subscriptionItems.update": known<Stripe.SubscriptionItemUpdateParams>()({
    expand,
    quantity: integer.pipe(z.number().min(0)),
    proration_behavior: z.literal("none"),
  }),
  "invoices.retrieve": known<Stripe.InvoiceRetrieveParams>()({ expand }),
  "invoices.list": known<Stripe.InvoiceListParams>()({ ...listed, customer: optional, subscription: optional }),
  "disputes.retrieve": known<Stripe.DisputeRetrieveParams>()({ expand }),
  "disputes.list": known<Stripe.DisputeListParams>()({ ...listed, charge: optional, payment_intent: optional }),
  "accounts.retrieveCurrent": known<Stripe.AccountRetrieveCurrentParams>()({ expand }),
  "balance.retrieve": known<Stripe.BalanceRetrieveParams>()({ expand }),
  "webhookEndpoints.list": known<Stripe.WebhookEndpointListParams>()(page),
};

/** The name of a call: `paymentIntents.confirm`. */
export type Call = keyof typeof PARAMETERS;

/** The parameters of a call, read and checked. */
export type Parameters<Name extends Call> = z.output<(typeof PARAMETERS)[Name]>;
