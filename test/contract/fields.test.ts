import { describe, expect, test } from "vitest";
import type { z } from "zod";
import { licenseCountsSchema, moneySchema, termSchema } from "../../src/contract/basics.ts";
import {
  idempotencyKeySchema,
  purchaseAnswerSchema,
  purchaseRequestSchema,
  purchaseSchema,
  quoteRequestSchema,
  quoteSchema,
  receiptSchema,
  reductionRequestSchema,
  subscriptionSchema,
} from "../../src/contract/billing.ts";
import { meSchema, sessionSchema, spendLimitSchema } from "../../src/contract/identity.ts";
import { clockAnswerSchema, clockRequestSchema, sandboxStateSchema } from "../../src/contract/sandbox.ts";
import {
  addUserAnswerSchema,
  addUserRequestSchema,
  importUsersAnswerSchema,
  importUsersRequestSchema,
  listedUserSchema,
  userSchema,
} from "../../src/contract/users.ts";

const PURCHASE_FIELDS =
  "approval completedAt createdAt dueNow failure id idempotencyKey kind licenses livemode mode nextAction note purchaseOrder purchasedBy quoteId receiptNumber refund status tax total";

const USER_FIELDS =
  "addedDateTime adminNoTraining defaultOrganization email firstName idUser joinedDateTime lastLogin lastName licenseEnd licenseStart role status stripeCustomerId stripeSubscriptionAutorenewal stripeSubscriptionId team username uuid";

/** Field names that scripts rely on: a change here breaks them. */
const FIELDS: readonly [string, z.ZodObject, string][] = [
  ["money", moneySchema, "amount currency"],
  ["licenses", licenseCountsSchema, "available purchased used"],
  ["term", termSchema, "days daysRemaining renewalDate start"],
  [
    "subscription",
    subscriptionSchema,
    "asOf budget idle licenses livemode mode organization paymentMethod pending plan reduction renewal state taxRate term unpaid version",
  ],
  ["subscription.organization", subscriptionSchema.shape.organization, "id name timeZone"],
  ["subscription.plan", subscriptionSchema.shape.plan, "interval intervalCount name unitPrice"],
  ["subscription.renewal", subscriptionSchema.shape.renewal, "autoRenew licenses subtotal tax total"],
  ["subscription.unpaid", subscriptionSchema.shape.unpaid.unwrap().unwrap(), "deadline missed purchaseId total"],
  ["subscription.pending", subscriptionSchema.shape.pending, "licenses purchases"],
  [
    "quote",
    quoteSchema,
    "chargeStep createdAt dueNow expiresAt id licenses licensesAfter purchaseDate renewsAt subscriptionVersion tax taxRate term total unitPrice",
  ],
  ["quote.renewsAt", quoteSchema.shape.renewsAt.unwrap(), "date licenses subtotal tax total"],
  ["purchase", purchaseSchema, PURCHASE_FIELDS],
  ["purchase.failure", purchaseSchema.shape.failure.unwrap(), "code message"],
  ["purchase.nextAction", purchaseSchema.shape.nextAction.unwrap(), "expiresAt type url"],
  ["purchase.approval", purchaseSchema.shape.approval.unwrap().unwrap(), "approvedAt approvedBy digest"],
  ["purchase.purchasedBy", purchaseSchema.shape.purchasedBy.unwrap(), "email token"],
  [
    "purchase on its own",
    purchaseAnswerSchema,
    [...PURCHASE_FIELDS.split(" "), "organizationLicenses"].sort().join(" "),
  ],
  [
    "receipt",
    receiptSchema,
    "buyer dueNow issuedAt kind licenses licensesAfter livemode mode note organization paymentMethod plan purchaseDate purchaseId purchaseOrder purchasedBy receiptNumber refund seller status tax taxRate term total unitPrice",
  ],
  ["me", meSchema, "invitations livemode mode organizations token user"],
  ["me.user", meSchema.shape.user, "email role roleName"],
  ["me.token", meSchema.shape.token, "expiresAt expiresIn last4 name scopes spendLimit"],
  ["spend limit", spendLimitSchema, "amount amountLeft licenses licensesLeft"],
  ["session", sessionSchema, "accessToken expiresIn refreshToken scopes status tokenType"],
  ["user", userSchema, USER_FIELDS],
  ["user in a list", listedUserSchema, USER_FIELDS],
  ["user added", addUserAnswerSchema, "assignmentStrategy organizationLicenses pending user"],
  ["users imported", importUsersAnswerSchema, "assignmentStrategy existing organizationLicenses"],
  ["sandbox", sandboxStateSchema, "captures next now"],
  ["clock", clockAnswerSchema, "now renewalCount renewals"],
  ["subscription.reduction", subscriptionSchema.shape.reduction.unwrap(), "date licenses"],
  ["capture", sandboxStateSchema.shape.captures.element, "amount currency paymentId purchaseId refunded"],
];

test.each(FIELDS)("the fields of %s are those documented", (_, schema, fields) => {
  expect(Object.keys(schema.shape).sort().join(" ")).toBe(fields);
});

describe("requests reject unknown fields and invalid values", () => {
  test.each<[string, z.ZodType, unknown, boolean]>([
    ["5 licenses", quoteRequestSchema, { licenses: 5 }, true],
    ["0 licenses", quoteRequestSchema, { licenses: 0 }, false],
    ["-1 licenses", quoteRequestSchema, { licenses: -1 }, false],
    ["1.5 licenses", quoteRequestSchema, { licenses: 1.5 }, false],
    ["licenses as a string", quoteRequestSchema, { licenses: "5" }, false],
    ["licenses beyond a safe integer", quoteRequestSchema, { licenses: 2 ** 53 }, false],
    ["an unknown field", quoteRequestSchema, { licenses: 5, price: 1 }, false],
    ["a reduction", reductionRequestSchema, { licenses: 0 }, true],
    ["a reduction with a version", reductionRequestSchema, { licenses: 5, subscriptionVersion: 3 }, true],
    ["a reduction to -1", reductionRequestSchema, { licenses: -1 }, false],
    ["a reduction without a count", reductionRequestSchema, {}, false],
    ["a purchase", purchaseRequestSchema, { quoteId: "q", purchaseOrder: "PO-1", note: "n" }, true],
    ["a purchase without a quote", purchaseRequestSchema, { note: "n" }, false],
    ["an empty note", purchaseRequestSchema, { quoteId: "q", note: "" }, false],
    ["a user", addUserRequestSchema, { email: "a@b.example", firstName: "A", lastName: "B" }, true],
    ["a user without an email address", addUserRequestSchema, { email: "a", firstName: "A", lastName: "B" }, false],
    ["an import without users", importUsersRequestSchema, { users: [] }, false],
    ["a date", clockRequestSchema, { to: "2027-03-01" }, true],
    ["an instant", clockRequestSchema, { to: "2027-03-01T00:00:00Z" }, true],
    ["a date that does not exist", clockRequestSchema, { to: "2027-02-29" }, false],
    ["days", clockRequestSchema, { days: 3 }, true],
    ["25 years in days", clockRequestSchema, { days: 9_132 }, true],
    ["more than 25 years in days", clockRequestSchema, { days: 9_133 }, false],
    ["negative days", clockRequestSchema, { days: -3 }, false],
    ["a renewal", clockRequestSchema, { toRenewalOf: 4201 }, true],
    ["two targets at once", clockRequestSchema, { days: 3, toRenewalOf: 4201 }, false],
    ["a key of 255 characters", idempotencyKeySchema, "k".repeat(255), true],
    ["a key of 256 characters", idempotencyKeySchema, "k".repeat(256), false],
    ["a key with / % ? #", idempotencyKeySchema, "a/b%c?d#e", true],
    ["an empty key", idempotencyKeySchema, "", false],
    ["a key with a space", idempotencyKeySchema, "a b", false],
    ["a key with a non-ASCII letter", idempotencyKeySchema, "clé", false],
    ["a key that ends in a newline", idempotencyKeySchema, "key\n", false],
  ])("%s", (_, schema, value, isValid) => {
    expect(schema.safeParse(value).success).toBe(isValid);
  });
});

test.each(["20343.5", Number.NaN, 2 ** 53, "20342", null])("%s is not an amount", (amount) => {
  expect(moneySchema.safeParse({ amount, currency: "GBP" }).success).toBe(false);
});
