import { priceLicenses } from "../../../src/billing/quote.ts";
import type { JournalEntry } from "../../../src/cli/buying/engine/journal.ts";
import type { VerifiedQuote } from "../../../src/cli/buying/engine/offer.ts";
import type { BuyRequest } from "../../../src/cli/buying/engine/tools.ts";
import type { CreditNote, PurchaseAnswer, Quote, Receipt, Subscription } from "../../../src/contract/billing.ts";
import type { Me } from "../../../src/contract/identity.ts";
import type { Report, ReportMonth } from "../../../src/contract/report.ts";
import type { OwnUser } from "../../../src/contract/users.ts";

export const ORIGIN = "http://127.0.0.1:4010";

export const API_URL = `${ORIGIN}/rest/management/v2`;

export const ORGANIZATION = 4201;

const gbp = (amount: number) => ({ amount, currency: "GBP" });

/** The built-in organization on 2026-11-22: 25 licenses at £150.00 a year, 20 % tax. */
export function subscription(change: Partial<Subscription> = {}): Subscription {
  return {
    organization: { id: ORGANIZATION, name: "Northwind Labs", timeZone: "Europe/London" },
    plan: { name: "SMB", interval: "year", intervalCount: 1, unitPrice: gbp(15000) },
    state: "active",
    licenses: { purchased: 25, used: 22, available: 3 },
    term: { start: "2026-03-01", renewalDate: "2027-03-01", days: 365, daysRemaining: 99 },
    renewal: { autoRenew: true, licenses: 25, subtotal: gbp(375000), tax: gbp(75000), total: gbp(450000) },
    paymentMethod: { type: "card", label: "Visa ending in 4242" },
    taxRate: "20",
    pending: { purchases: 0, licenses: 0 },
    reduction: null,
    idle: { days: 90, licenses: 0 },
    unpaid: null,
    budget: null,
    version: 1,
    asOf: "2026-11-22T10:00:00Z",
    ...change,
  };
}

/** What the subscription owes when its renewal of 2027-03-01 was declined. */
export const UNPAID = { purchaseId: "pur_9", total: gbp(450000), deadline: "2027-03-15", missed: null };

/** The backend's quote for a subscription. */
export function quote(licenses: number, change: Partial<Quote> = {}, base: Subscription = subscription()): Quote {
  const facts = {
    unitPrice: base.plan.unitPrice,
    taxRate: base.taxRate,
    term: base.term,
    purchased: base.licenses.purchased,
    used: base.licenses.used,
    reduction: base.reduction?.licenses ?? null,
    autoRenew: base.renewal.autoRenew,
  };
  return {
    id: "quo_1",
    ...priceLicenses(facts, licenses, "2026-11-22"),
    subscriptionVersion: base.version,
    createdAt: "2026-11-22T10:00:00Z",
    expiresAt: "2026-11-22T10:30:00Z",
    ...change,
  };
}

export function verified(offered: Quote): VerifiedQuote {
  return { ...offered, verified: true };
}

/** A purchase of the quote above that succeeded. */
export function purchase(change: Partial<PurchaseAnswer> = {}): PurchaseAnswer {
  const { dueNow, tax, total } = quote(change.licenses ?? 5);
  return {
    id: "pur_1",
    kind: "purchase",
    status: "succeeded",
    licenses: 5,
    dueNow,
    tax,
    total,
    quoteId: "quo_1",
    idempotencyKey: "key_1",
    createdAt: "2026-11-22T10:00:01Z",
    completedAt: "2026-11-22T10:00:02Z",
    purchaseOrder: null,
    note: null,
    receiptNumber: "4201-000001",
    failure: null,
    nextAction: null,
    purchasedBy: { email: "admin@northwind.example", token: null },
    organizationLicenses: { purchased: 30, used: 22, available: 8 },
    ...change,
  };
}

export function failedPurchase(change: Partial<PurchaseAnswer> = {}): PurchaseAnswer {
  return purchase({
    status: "failed",
    receiptNumber: null,
    failure: { code: "card_declined", message: "The card was declined." },
    organizationLicenses: { purchased: 25, used: 22, available: 3 },
    ...change,
  });
}

/** One that was declined and can still be paid with another card. */
export function payablePurchase(change: Partial<PurchaseAnswer> = {}): PurchaseAnswer {
  const nextAction = { type: "pay", url: `${ORIGIN}/pay/pur_1`, expiresAt: "2026-11-23T10:00:01Z" };
  return failedPurchase({ nextAction, ...change });
}

export function openPurchase(
  status: "processing" | "requires_approval" | "needs_review",
  change: Partial<PurchaseAnswer> = {},
): PurchaseAnswer {
  const nextAction = { type: "approve_payment", url: `${ORIGIN}/pay/pur_1`, expiresAt: "2026-11-23T10:00:01Z" };
  return purchase({
    status,
    receiptNumber: null,
    completedAt: null,
    nextAction: status === "requires_approval" ? nextAction : null,
    ...change,
  });
}

/** The digest of what an administrator approves. */
export const DIGEST = "d1".repeat(32);

/** One that waits for another administrator. */
export function awaitingPurchase(change: Partial<PurchaseAnswer> = {}): PurchaseAnswer {
  return openPurchase("requires_approval", {
    nextAction: { type: "administrator_approval", url: null, expiresAt: "2026-11-25T10:00:01Z" },
    approval: { digest: DIGEST, approvedBy: null, approvedAt: null },
    organizationLicenses: { purchased: 25, used: 22, available: 3 },
    ...change,
  });
}

export function receipt(change: Partial<Receipt> = {}): Receipt {
  const { unitPrice, term, dueNow, taxRate, tax, total } = quote(5);
  return {
    receiptNumber: "4201-000001",
    issuedAt: "2026-11-22T10:00:02Z",
    purchaseId: "pur_1",
    kind: "purchase",
    organization: { id: ORGANIZATION, name: "Northwind Labs" },
    plan: "SMB",
    licenses: 5,
    licensesAfter: 30,
    unitPrice,
    purchaseDate: "2026-11-22",
    term,
    dueNow,
    taxRate,
    tax,
    total,
    paymentMethod: { type: "card", label: "Visa ending in 4242" },
    purchaseOrder: null,
    note: null,
    purchasedBy: { email: "admin@northwind.example", token: null },
    seller: {
      name: "Example Seller Ltd",
      address: ["1 Example Street", "London"],
      country: "GB",
      vatNumber: "GB999999973",
    },
    buyer: { name: "Northwind Labs", address: ["2 High Street"], country: "DE", vatNumber: "DE123456789", email: null },
    ...change,
  };
}

/** The credit note of `receipt`. */
export function creditNote(): CreditNote {
  const { licensesAfter: _, issuedAt, ...document } = receipt();
  return {
    ...document,
    creditNoteNumber: "CN-4201-000001",
    receiptIssuedAt: issuedAt,
    issuedAt: "2027-03-01T10:00:00Z",
  };
}

export function me(change: Partial<Me> = {}): Me {
  return {
    user: { email: "admin@northwind.example", role: 0, roleName: "organization administrator" },
    organizations: [{ id: ORGANIZATION, name: "Northwind Labs", role: 0 }],
    token: {
      name: "ci",
      scopes: ["billing:read", "billing:purchase"],
      expiresAt: null,
      last4: "x_ci",
      spendLimit: null,
    },
    ...change,
  };
}

/** A user who was just added. */
export function user(change: Partial<OwnUser> = {}): OwnUser {
  return {
    idUser: 7,
    email: "ada@northwind.example",
    username: "ada@northwind.example",
    firstName: "Ada",
    lastName: "Lovelace",
    role: 7,
    status: "INVITED",
    adminNoTraining: false,
    joinedDateTime: null,
    licenseStart: null,
    licenseEnd: null,
    defaultOrganization: { id: ORGANIZATION, name: "Northwind Labs" },
    team: null,
    stripeCustomerId: null,
    stripeSubscriptionId: null,
    stripeSubscriptionAutorenewal: false,
    uuid: "00000000-0000-4000-8000-000000000007",
    lastLogin: null,
    addedDateTime: null,
    ...change,
  };
}

export function entry(change: Partial<JournalEntry> = {}): JournalEntry {
  return {
    idempotencyKey: "key_old",
    keySource: "random",
    origin: ORIGIN,
    apiUrl: API_URL,
    organizationId: ORGANIZATION,
    quoteId: "quo_old",
    licenses: 5,
    purchased: 25,
    target: null,
    total: quote(change.licenses ?? 5).total,
    purchaseOrder: null,
    note: null,
    createdAt: "2026-11-22T09:00:00.000Z",
    settledAt: null,
    owner: { pid: 99, startedAt: "then" },
    ...change,
  };
}

export function buyRequest(change: Partial<BuyRequest> = {}): BuyRequest {
  return {
    wanted: { licenses: 5 },
    purchaseOrder: null,
    note: null,
    explicitKey: null,
    quoteFile: null,
    maxTotal: null,
    maxLicenses: null,
    ifPurchased: null,
    dryRun: false,
    ...change,
  };
}

const known = (month: string, change: Partial<ReportMonth> = {}): ReportMonth => ({
  month,
  purchased: 25,
  used: 22,
  usersAdded: 0,
  usersRemoved: 0,
  purchases: 0,
  charged: gbp(0),
  tax: gbp(0),
  refunded: gbp(0),
  net: gbp(0),
  ...change,
});

/** A report on five months: nothing is known of the first one, and more was refunded than charged in the last one. */
export function report(change: Partial<Report> = {}): Report {
  const unknown = Object.fromEntries(Object.keys(known("")).map((name) => [name, null])) as unknown as ReportMonth;
  const spent = { purchases: 1, charged: gbp(24410), tax: gbp(4068) };
  return {
    organization: { id: ORGANIZATION, name: "Northwind Labs" },
    currency: "GBP",
    from: "2026-07",
    to: "2026-11",
    months: [
      { ...unknown, month: "2026-07" },
      known("2026-08", { used: null }),
      known("2026-09", { ...spent, purchased: 30, used: 24, usersAdded: 2, net: gbp(24410) }),
      known("2026-10", { ...spent, purchased: 30, used: 23, usersAdded: 1, usersRemoved: 2, net: gbp(24410) }),
      known("2026-11", { purchased: 30, used: 23, refunded: gbp(24410), net: gbp(-24410) }),
    ],
    total: { purchases: 2, charged: gbp(48820), tax: gbp(8136), refunded: gbp(24410), net: gbp(24410) },
    by: null,
    runway: { days: 210, usersPerDay: 0.0333, basisDays: 90 },
    unused: { licenses: 7, renewalTotal: gbp(126000) },
    asOf: "2026-11-22T10:00:00.000Z",
    ...change,
  };
}
