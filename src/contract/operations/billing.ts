import * as z from "zod";
import { cursorSchema, dateSchema, idSchema, integerTextSchema, pageSchema } from "../basics.ts";
import {
  creditNoteSchema,
  idempotencyKeySchema,
  purchaseAnswerSchema,
  purchaseRequestSchema,
  purchaseSchema,
  quoteRequestSchema,
  quoteSchema,
  receiptSchema,
  reductionRequestSchema,
  storedPaymentMethodSchema,
  subscriptionSchema,
} from "../billing.ts";
import { billingDetailsRequestSchema, billingDetailsSchema } from "../billingDetails.ts";
import { type Operation, organizationParams } from "./operation.ts";

const withQuote = organizationParams.extend({ quoteId: idSchema });
const withPurchase = organizationParams.extend({ purchaseId: idSchema });
/** For reads, because people have a receipt number, or an id that a list shortened. */
const withNamedPurchase = organizationParams.extend({
  purchaseId: idSchema.describe(
    "The purchase's id, the beginning of it (`pur_` and 8 digits or more), or its receipt number",
  ),
});
const withKey = organizationParams.extend({ idempotencyKey: idempotencyKeySchema });
const page = { limit: integerTextSchema.optional(), after: cursorSchema.optional() };

/** Subscription, quotes and purchases of an organization. */
export const billingOperations = {
  getSubscription: {
    method: "GET",
    path: "/organizations/{organizationId}/subscription",
    summary: "The subscription, its licenses and its renewal",
    access: "billing:read",
    params: organizationParams,
    answers: { 200: subscriptionSchema },
  },
  getPaymentMethod: {
    method: "GET",
    path: "/organizations/{organizationId}/payment-method",
    summary: "The stored payment method, and the page that changes it",
    access: "billing:read",
    params: organizationParams,
    answers: { 200: storedPaymentMethodSchema },
  },
  reduceLicenses: {
    method: "PUT",
    path: "/organizations/{organizationId}/subscription/reduction",
    summary: "Fewer licenses from the renewal on; never fewer than are used",
    access: "billing:purchase",
    freshCode: true,
    params: organizationParams,
    body: reductionRequestSchema,
    answers: { 200: subscriptionSchema },
  },
  cancelReduction: {
    method: "DELETE",
    path: "/organizations/{organizationId}/subscription/reduction",
    summary: "Take a scheduled reduction back",
    access: "billing:purchase",
    params: organizationParams,
    answers: { 200: subscriptionSchema },
  },
  createQuote: {
    method: "POST",
    path: "/organizations/{organizationId}/quotes",
    summary: "Price N more licenses",
    access: "billing:read",
    params: organizationParams,
    body: quoteRequestSchema,
    answers: { 201: quoteSchema },
  },
  getQuote: {
    method: "GET",
    path: "/organizations/{organizationId}/quotes/{quoteId}",
    summary: "One quote",
    access: "billing:read",
    params: withQuote,
    answers: { 200: quoteSchema },
  },
  createPurchase: {
    method: "POST",
    path: "/organizations/{organizationId}/purchases",
    summary: "Buy what a quote offers, exactly once per Idempotency-Key",
    access: "billing:purchase",
    freshCode: true,
    params: organizationParams,
    body: purchaseRequestSchema,
    idempotent: true,
    answers: { 200: purchaseAnswerSchema, 201: purchaseAnswerSchema, 202: purchaseAnswerSchema },
  },
  listPurchases: {
    method: "GET",
    path: "/organizations/{organizationId}/purchases",
    summary: "Purchases and renewals, newest first; `from` and `to` are dates in the billing time zone, both included",
    access: "billing:read",
    params: organizationParams,
    query: z.object({
      ...page,
      status: purchaseSchema.shape.status.optional(),
      kind: purchaseSchema.shape.kind.optional(),
      from: dateSchema.optional(),
      to: dateSchema.optional(),
    }),
    answers: { 200: pageSchema(purchaseSchema) },
  },
  getPurchase: {
    method: "GET",
    path: "/organizations/{organizationId}/purchases/{purchaseId}",
    summary: "One purchase; `wait` holds the answer until it settles or that many seconds (at most 20) pass",
    access: "billing:read",
    params: withNamedPurchase,
    query: z.object({ wait: integerTextSchema.optional() }),
    answers: { 200: purchaseAnswerSchema },
  },
  getPurchaseByKey: {
    method: "GET",
    path: "/organizations/{organizationId}/purchases/by-key/{idempotencyKey}",
    summary: "What became of an Idempotency-Key; 404 idempotency_key_unknown when it never arrived",
    access: "billing:read",
    params: withKey,
    answers: { 200: purchaseAnswerSchema },
  },
  voidKey: {
    method: "POST",
    path: "/organizations/{organizationId}/purchases/by-key/{idempotencyKey}/void",
    summary: "Spend a key that the backend never saw, for ever; a key it saw answers with its purchase",
    access: "billing:purchase",
    params: withKey,
    answers: { 200: purchaseAnswerSchema, 204: null },
  },
  payPurchase: {
    method: "POST",
    path: "/organizations/{organizationId}/purchases/{purchaseId}/payment",
    summary: "Try again to pay a declined purchase or a failed renewal",
    access: "billing:purchase",
    freshCode: true,
    params: withPurchase,
    answers: { 200: purchaseAnswerSchema, 202: purchaseAnswerSchema },
  },
  cancelPurchase: {
    method: "POST",
    path: "/organizations/{organizationId}/purchases/{purchaseId}/cancel",
    summary: "End a purchase that waits for approval",
    access: "billing:purchase",
    params: withPurchase,
    answers: { 200: purchaseAnswerSchema, 202: purchaseAnswerSchema },
  },
  getReceipt: {
    method: "GET",
    path: "/organizations/{organizationId}/purchases/{purchaseId}/receipt",
    summary: "The receipt of a purchase that was paid, as JSON or, by `Accept`, as PDF",
    access: "billing:read",
    params: withNamedPurchase,
    alsoAs: "application/pdf",
    answers: { 200: receiptSchema },
  },
  getCreditNote: {
    method: "GET",
    path: "/organizations/{organizationId}/purchases/{purchaseId}/credit-note",
    summary: "The credit note of a purchase that was refunded, as JSON or, by `Accept`, as PDF",
    access: "billing:read",
    params: withNamedPurchase,
    alsoAs: "application/pdf",
    answers: { 200: creditNoteSchema },
  },
  getBillingDetails: {
    method: "GET",
    path: "/organizations/{organizationId}/billing-details",
    summary: "The organization as receipts name it: name, address, VAT number",
    access: "billing:read",
    params: organizationParams,
    answers: { 200: billingDetailsSchema },
  },
  setBillingDetails: {
    method: "PUT",
    path: "/organizations/{organizationId}/billing-details",
    summary: "Change how receipts name the organization from now on; fields left out stay, `null` clears one",
    access: "administrator",
    params: organizationParams,
    body: billingDetailsRequestSchema,
    answers: { 200: billingDetailsSchema },
  },
} as const satisfies Record<string, Operation>;
