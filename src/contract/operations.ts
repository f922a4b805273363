import { z } from "zod";
import { cursorSchema, idSchema, integerTextSchema, pageSchema } from "./basics.ts";
import {
  eventSchema,
  idempotencyKeySchema,
  purchaseAnswerSchema,
  purchaseRequestSchema,
  purchaseSchema,
  quoteRequestSchema,
  quoteSchema,
  receiptSchema,
  subscriptionSchema,
} from "./billing.ts";
import {
  loginAnswerSchema,
  loginRequestSchema,
  meSchema,
  revokeRequestSchema,
  tokenAnswerSchema,
  tokenRequestSchema,
} from "./identity.ts";
import { clockAnswerSchema, clockRequestSchema, sandboxStateSchema } from "./sandbox.ts";
import type { Scope } from "./scopes.ts";
import { addUserAnswerSchema, addUserRequestSchema, userSchema } from "./users.ts";

/** The path under which every call of the contract lives, but those marked `atRoot`. */
export const BASE_PATH = "/rest/management/v2";

/** One call of the contract. The backend registers its routes from these, the client calls by them, OpenAPI shows them. */
export interface Operation {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** With parameters as `{name}`, below `BASE_PATH` or below the root. */
  readonly path: string;
  readonly atRoot?: true;
  readonly summary: string;
  /** The scope that a token needs; `signed_in` for any live token, `public` for none. */
  readonly access: Scope | "signed_in" | "public";
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodType;
  /** How the body travels: JSON unless said. */
  readonly bodyType?: "form";
  /** Whether the call needs an `Idempotency-Key`. */
  readonly idempotent?: true;
  /** Statuses of success with their bodies; `null` is no body. */
  readonly answers: Readonly<Record<number, z.ZodType | null>>;
}

const organization = z.object({ organizationId: integerTextSchema });
const withQuote = organization.extend({ quoteId: idSchema });
const withPurchase = organization.extend({ purchaseId: idSchema });
const withKey = organization.extend({ idempotencyKey: idempotencyKeySchema });
const page = { limit: integerTextSchema.optional(), after: cursorSchema.optional() };

/** Every call of the contract by its name (contract.md). */
export const operations = {
  login: {
    method: "POST",
    path: "/auth/login",
    summary: "Sign in with email and password",
    access: "public",
    body: loginRequestSchema,
    answers: { 200: loginAnswerSchema },
  },
  refreshToken: {
    method: "POST",
    path: "/oauth/token",
    summary: "Exchange a refresh token for a new pair",
    access: "public",
    body: tokenRequestSchema,
    bodyType: "form",
    answers: { 200: tokenAnswerSchema },
  },
  revokeToken: {
    method: "POST",
    path: "/oauth/revoke",
    summary: "Revoke a session by one of its tokens",
    access: "public",
    body: revokeRequestSchema,
    bodyType: "form",
    answers: { 200: null },
  },
  me: {
    method: "GET",
    path: "/me",
    summary: "Who the token belongs to, and what it may do",
    access: "signed_in",
    answers: { 200: meSchema },
  },
  getSubscription: {
    method: "GET",
    path: "/organizations/{organizationId}/subscription",
    summary: "The subscription, its licenses and its renewal",
    access: "billing:read",
    params: organization,
    answers: { 200: subscriptionSchema },
  },
  createQuote: {
    method: "POST",
    path: "/organizations/{organizationId}/quotes",
    summary: "Price N more licenses",
    access: "billing:read",
    params: organization,
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
    params: organization,
    body: purchaseRequestSchema,
    idempotent: true,
    answers: { 200: purchaseAnswerSchema, 201: purchaseAnswerSchema, 202: purchaseAnswerSchema },
  },
  listPurchases: {
    method: "GET",
    path: "/organizations/{organizationId}/purchases",
    summary: "Purchases, newest first",
    access: "billing:read",
    params: organization,
    query: z.object({ ...page, status: purchaseSchema.shape.status.optional() }),
    answers: { 200: pageSchema(purchaseSchema) },
  },
  getPurchase: {
    method: "GET",
    path: "/organizations/{organizationId}/purchases/{purchaseId}",
    summary: "One purchase; `wait` holds the answer until it settles or that many seconds (at most 20) pass",
    access: "billing:read",
    params: withPurchase,
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
  getReceipt: {
    method: "GET",
    path: "/organizations/{organizationId}/purchases/{purchaseId}/receipt",
    summary: "The receipt of a purchase that succeeded",
    access: "billing:read",
    params: withPurchase,
    answers: { 200: receiptSchema },
  },
  listUsers: {
    method: "GET",
    path: "/organizations/{organizationId}/users/{page}",
    summary: "Users, up to 20 a page from page 0; an empty page ends the list",
    access: "users:read",
    params: organization.extend({ page: integerTextSchema }),
    answers: { 200: z.array(userSchema) },
  },
  addUser: {
    method: "POST",
    path: "/organizations/{organizationId}/users",
    summary: "Add a user, who takes a license at once",
    access: "users:write",
    params: organization,
    body: addUserRequestSchema,
    answers: { 201: addUserAnswerSchema },
  },
  listEvents: {
    method: "GET",
    path: "/organizations/{organizationId}/events",
    summary: "The audit log, oldest first",
    access: "billing:read",
    params: organization,
    query: z.object(page),
    answers: { 200: pageSchema(eventSchema) },
  },
  health: {
    method: "GET",
    path: "/healthz",
    atRoot: true,
    summary: "Whether the process runs",
    access: "public",
    answers: { 200: z.object({ status: z.literal("ok") }) },
  },
  ready: {
    method: "GET",
    path: "/readyz",
    atRoot: true,
    summary: "Whether the store answers",
    access: "public",
    answers: { 200: z.object({ status: z.literal("ready") }) },
  },
  openapi: {
    method: "GET",
    path: "/openapi.json",
    atRoot: true,
    summary: "This description",
    access: "public",
    answers: { 200: z.looseObject({ openapi: z.string() }) },
  },
  getSandbox: {
    method: "GET",
    path: "/sandbox",
    atRoot: true,
    summary: "Sandbox only: the clock and the provider's captures",
    access: "public",
    answers: { 200: sandboxStateSchema },
  },
  advanceClock: {
    method: "POST",
    path: "/sandbox/clock",
    atRoot: true,
    summary: "Sandbox only: move the clock forward",
    access: "public",
    body: clockRequestSchema,
    answers: { 200: clockAnswerSchema },
  },
} as const satisfies Record<string, Operation>;

/** The name of a call. */
export type OperationId = keyof typeof operations;
