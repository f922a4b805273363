import { dateInZone } from "../../billing/calendar.ts";
import { renewalDue } from "../../billing/renewal.ts";
import { takesLicense } from "../../billing/roles.ts";
import { termIndexOn } from "../../billing/term.ts";
import { emailKey } from "../../contract/email.ts";
import { hashToken, uuidFrom } from "../auth/secrets.ts";
import { NO_PASSWORD } from "../store/identities.ts";
import type { SeedRows } from "../store/seeding.ts";
import type { SeedOrganization } from "./seedSchema.ts";

type SeedUser = SeedOrganization["users"][number];

/**
 * The rows of one organization of a seed: listed users, and made-up ones for the licenses that the listed do not take.
 *
 * @param now the billing clock, milliseconds
 */
export function seedRows(organization: SeedOrganization, now: number, random: (bytes: number) => Buffer): SeedRows {
  const { id, name, timeZone } = organization;
  const users = [...organization.users, ...madeUpUsers(organization)];
  return {
    organization: { id, name, time_zone: timeZone },
    subscription: subscriptionRow(organization, now),
    users: users.map((user) => ({
      uuid: uuidFrom(random(16)),
      email: user.email,
      email_key: emailKey(user.email),
      password_hash: user.password === "" ? NO_PASSWORD : null,
      totp_secret: user.totpSecret ?? null,
    })),
    members: users.map((user) => ({
      organization_id: id,
      email_key: emailKey(user.email),
      uuid: uuidFrom(random(16)),
      email: user.email,
      first_name: user.firstName,
      last_name: user.lastName,
      role: user.role,
      admin_no_training: user.adminNoTraining ? 1 : 0,
      status: "ACTIVE",
      joined_at: now,
      assignment_strategy: "NONE",
      accepted: 1,
    })),
    tokens: (organization.tokens ?? []).map((token) => ({
      id: `tok_${random(12).toString("hex")}`,
      organization_id: id,
      email_key: emailKey(token.userEmail),
      name: token.name,
      token_hash: hashToken(token.token),
      scopes_json: JSON.stringify(token.scopes),
      expires_at: null,
      revoked_at: null,
      limit_amount: token.spendLimit?.amount ?? null,
      limit_licenses: token.spendLimit?.licenses ?? null,
      created_at: now,
      last4: token.token.slice(-4),
    })),
  };
}

function subscriptionRow(organization: SeedOrganization, now: number): SeedRows["subscription"] {
  const { subscription, timeZone } = organization;
  const { anchorDate, interval, intervalCount, autoRenew } = subscription;
  const rule = { anchorDate, interval, intervalCount };
  const termIndex = termIndexOn(rule, dateInZone(now, timeZone));
  return {
    organization_id: organization.id,
    plan: subscription.plan,
    interval,
    interval_count: intervalCount,
    anchor_date: anchorDate,
    term_index: termIndex,
    unit_price: subscription.unitPrice.amount,
    currency: subscription.unitPrice.currency,
    tax_rate: subscription.taxRate,
    licenses: subscription.licenses,
    used: organization.usedLicenses,
    auto_renew: autoRenew ? 1 : 0,
    renew_at: autoRenew ? renewalDue(rule, termIndex, timeZone) : null,
    payment_method: organization.paymentMethod,
    version: 1,
    receipt_count: 0,
    credit_note_count: 0,
  };
}

function madeUpUsers(organization: SeedOrganization): SeedUser[] {
  const missing = organization.usedLicenses - organization.users.filter(takesLicense).length;
  const taken = new Set(organization.users.map((user) => emailKey(user.email)));
  const emailOf = (number: number) => `user${number}@organization-${organization.id}.example`;
  const numbers = Array.from({ length: missing + taken.size }, (_, index) => index + 1);
  const free = numbers.filter((number) => !taken.has(emailOf(number))).slice(0, missing);
  return free.map((number) => ({
    email: emailOf(number),
    firstName: "Sample",
    lastName: `User ${number}`,
    role: 7,
    password: "",
    totpSecret: null,
    adminNoTraining: false,
  }));
}
