import { ACCOUNT, balance } from "./account.ts";
import { attach, createCustomer, deleteCustomer, detach, needMethod } from "./customers.ts";
import type { Call, Parameters } from "./parameters.ts";
import { cancelPayment, confirmPayment, createPayment } from "./payments.ts";
import { createRefund } from "./refunds.ts";
import { createSession, expireSession, needSession } from "./sessions.ts";
import type { Filter, Kinds, Page } from "./store.ts";
import { needItem, updateItem } from "./subscriptions.ts";
import { need, type World } from "./world.ts";

/** What a call does. */
export interface Operation {
  readonly method: "GET" | "POST" | "DELETE";
  /** With `:id` where the ID of the object stands. */
  readonly path: string;
  run(world: World, parameters: Record<string, unknown>, id: string): object;
}

function operation<Name extends Call>(
  request: string,
  run: (world: World, parameters: Parameters<Name>, id: string) => object,
): Operation {
  const [method, path = ""] = request.split(" ");
  return { method: method as Operation["method"], path, run: run as Operation["run"] };
}

/** Reads an object by the ID in the path. */
const read = (path: string, kind: keyof Kinds) => operation(`GET ${path}/:id`, (world, _, id) => need(world, kind, id));

/** Lists objects by the parameters that are fields of them. */
const list = (path: string, kind: keyof Kinds, fields: readonly string[]) =>
  operation(`GET ${path}`, (world, parameters) =>
    listOf(world, path, kind, pick(parameters, fields), parameters as Page),
  );

function listOf(world: World, url: string, kind: keyof Kinds, filter: Filter, page: Page): object {
  const { store } = world;
  for (const param of ["starting_after", "ending_before"] as const) {
    const id = page[param];
    if (id !== undefined) need(world, kind, id, param);
  }
  const { data, hasMore } = store.list(kind, filter, page);
  return { object: "list", url, has_more: hasMore, data };
}

function pick(parameters: object, fields: readonly string[]): Filter {
  return Object.fromEntries(Object.entries(parameters).filter(([name]) => fields.includes(name)));
}

/** Every call that the stand-in answers. */
export const OPERATIONS: Readonly<Record<Call, Operation>> = {
  "customers.create": operation<"customers.create">("POST /v1/customers", createCustomer),
  "customers.retrieve": read("/v1/customers", "customer"),
  "customers.update": operation("POST /v1/customers/:id", (world, _, id) => need(world, "customer", id)),
  "customers.del": operation("DELETE /v1/customers/:id", (world, _, id) => deleteCustomer(world, id)),
  "customers.list": list("/v1/customers", "customer", ["email"]),
  "customers.listPaymentMethods": operation<"customers.listPaymentMethods">(
    "GET /v1/customers/:id/payment_methods",
    (world, parameters, id) => {
      need(world, "customer", id);
      return listOf(world, `/v1/customers/${id}/payment_methods`, "payment_method", { customer: id }, parameters);
    },
  ),
  "paymentMethods.retrieve": operation("GET /v1/payment_methods/:id", (world, _, id) => needMethod(world, id, "id")),
  "paymentMethods.attach": operation<"paymentMethods.attach">(
    "POST /v1/payment_methods/:id/attach",
    (world, parameters, id) => attach(world, id, parameters),
  ),
  "paymentMethods.detach": operation("POST /v1/payment_methods/:id/detach", (world, _, id) => detach(world, id)),
  "paymentMethods.list": list("/v1/payment_methods", "payment_method", ["customer"]),
  "paymentIntents.create": operation<"paymentIntents.create">("POST /v1/payment_intents", createPayment),
  "paymentIntents.retrieve": read("/v1/payment_intents", "payment_intent"),
  "paymentIntents.confirm": operation<"paymentIntents.confirm">(
    "POST /v1/payment_intents/:id/confirm",
    (world, parameters, id) => confirmPayment(world, id, parameters),
  ),
  "paymentIntents.cancel": operation<"paymentIntents.cancel">(
    "POST /v1/payment_intents/:id/cancel",
    (world, parameters, id) => cancelPayment(world, id, parameters),
  ),
  "paymentIntents.list": list("/v1/payment_intents", "payment_intent", ["customer"]),
  "charges.retrieve": read("/v1/charges", "charge"),
  "charges.list": list("/v1/charges", "charge", ["customer", "payment_intent"]),
  "refunds.create": operation<"refunds.create">("POST /v1/refunds", createRefund),
  "checkout.sessions.create": operation<"checkout.sessions.create">("POST /v1/checkout/sessions", createSession),
  "checkout.sessions.retrieve": operation("GET /v1/checkout/sessions/:id", (world, _, id) => needSession(world, id)),
  "checkout.sessions.expire": operation("POST /v1/checkout/sessions/:id/expire", (world, _, id) =>
    expireSession(world, id),
  ),
  "setupIntents.retrieve": read("/v1/setup_intents", "setup_intent"),
  "events.retrieve": read("/v1/events", "event"),
  "events.list": list("/v1/events", "event", ["type"]),
  "refunds.retrieve": read("/v1/refunds", "refund"),
  "refunds.list": list("/v1/refunds", "refund", ["charge", "payment_intent"]),
  "subscriptions.retrieve": read("/v1/subscriptions", "subscription"),
  "subscriptionItems.retrieve": operation("GET /v1/subscription_items/:id", (world, _, id) => needItem(world, id).item),
  "subscriptionItems.update": operation<"subscriptionItems.update">(
    "POST /v1/subscription_items/:id",
    (world, parameters, id) => updateItem(world, id, parameters),
  ),
  "invoices.retrieve": read("/v1/invoices", "invoice"),
  "invoices.list": operation<"invoices.list">("GET /v1/invoices", (world, parameters) => {
    const { customer, subscription } = parameters;
    const filter = { customer, "parent.subscription_details.subscription": subscription };
    return listOf(world, "/v1/invoices", "invoice", filter, parameters);
  }),
  "disputes.retrieve": read("/v1/disputes", "dispute"),
  "disputes.list": list("/v1/disputes", "dispute", ["charge", "payment_intent"]),
  "accounts.retrieveCurrent": operation("GET /v1/account", (world) => need(world, "account", ACCOUNT)),
  "balance.retrieve": operation("GET /v1/balance", balance),
  "webhookEndpoints.list": list("/v1/webhook_endpoints", "webhook_endpoint", []),
};

const ROUTES = (Object.entries(OPERATIONS) as [Call, Operation][]).map(([call, { method, path }]) => ({
  call,
  method,
  pattern: new RegExp(`^${path.replace(":id", "([^/]+)")}$`),
}));

/** Finds the call that a request makes. */
export function routeOf(method: string, path: string): { call: Call; id: string } | null {
  for (const route of ROUTES) {
    const match = route.method === method ? route.pattern.exec(path) : null;
    if (match) return { call: route.call, id: decodeURIComponent(match[1] ?? "") };
  }
  return null;
}
