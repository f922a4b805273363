import type { Kysely } from "kysely";
import { dateInZone, startOfDateInZone } from "../../billing/calendar.ts";
import { renewalDueAt } from "../../billing/renewal.ts";
import { canBuy, takesLicense } from "../../billing/roles.ts";
import { termIndexOn } from "../../billing/term.ts";
import { emailKey } from "../../contract/email.ts";
import type { Database, UserRow } from "../database/schema.ts";
import { NO_PASSWORD, savePasswordHash } from "../identity/memberships.ts";
import { hashToken, type Passwords, uuidFrom } from "../identity/secrets.ts";
import { invalidSeed } from "./seed.ts";
import type { Seed, SeedOrganization } from "./seedFile.ts";
import { type SeedRows, UNENCRYPTED, usersWithoutPassword } from "./store.ts";

type SeedUser = SeedOrganization["users"][number];

/**
 * Creates the rows of an organization of a seed: its users, and sample users for the licenses that its users do not take.
 *
 * @param now the billing clock, milliseconds
 */
export function seedRows(organization: SeedOrganization, now: number, random: (bytes: number) => Buffer): SeedRows {
  const { id, name, timeZone } = organization;
  const users = [...organization.users, ...sampleUsers(organization, now)];
  const joined = startOfDateInZone(organization.subscription.anchorDate, timeZone);
  return {
    organization: { id, name, time_zone: timeZone, created_at: now },
    subscription: subscriptionRow(organization, now),
    users: users.map((user) => ({
      uuid: uuidFrom(random(16)),
      email: user.email,
      email_key: emailKey(user.email),
      password_hash: user.password ? null : NO_PASSWORD,
      totp_secret: user.totpSecret ? UNENCRYPTED : null,
    })),
    totpSecrets: new Map(users.flatMap(({ email, totpSecret }) => (totpSecret ? [[emailKey(email), totpSecret]] : []))),
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
      joined_at: joined,
      added_at: joined,
      last_login: user.lastLogin ? Date.parse(user.lastLogin) : null,
      assignment_strategy: "NONE",
      accepted: 1,
      administrator_since: canBuy(user.role) ? joined : null,
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

/**
 * Refuses a seed with a subscription that has not started, or with a sign-in that has not happened.
 *
 * @param path the seed file, for the message
 * @param now the billing clock, milliseconds
 * @throws BackendError `seed_invalid`
 */
export function assertStarted({ organizations }: Seed, path: string, now: number): void {
  for (const [index, { subscription, timeZone, users }] of organizations.entries()) {
    const today = dateInZone(now, timeZone);
    if (subscription.anchorDate > today) {
      const where = `organizations[${index}].subscription.anchorDate`;
      throw invalidSeed(path, [{ path: where, message: `${subscription.anchorDate} is after today, ${today}` }]);
    }
    const early = users.findIndex(({ lastLogin }) => lastLogin && Date.parse(lastLogin) > now);
    if (early !== -1) {
      const where = `organizations[${index}].users[${early}].lastLogin`;
      throw invalidSeed(path, [{ path: where, message: "is in the future" }]);
    }
  }
}

function subscriptionRow(organization: SeedOrganization, now: number): SeedRows["subscription"] {
  const { subscription, timeZone } = organization;
  const { anchorDate, interval, intervalCount, autoRenew } = subscription;
  const rule = { anchorDate, interval, intervalCount };
  const termIndex = termIndexOn(rule, dateInZone(now, timeZone));
  const renewsHere = autoRenew && !organization.stripeSubscriptionId;
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
    renew_at: renewsHere ? renewalDueAt(rule, termIndex, timeZone) : null,
    payment_method: organization.paymentMethod,
    version: 1,
    receipt_count: 0,
    credit_note_count: 0,
    customer_id: organization.stripeCustomerId ?? null,
    provider_subscription: organization.stripeSubscriptionId ?? null,
    provider_item: organization.stripeSubscriptionItemId ?? null,
  };
}

/** They last signed in now, so that none of them is idle. */
function sampleUsers(organization: SeedOrganization, now: number): SeedUser[] {
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
    totpSecret: null,
    adminNoTraining: false,
    lastLogin: new Date(now).toISOString(),
  }));
}

/** Hashes the passwords of a seed in the background. A sign-in that comes first waits for its own hash. */
export class SeedPasswords {
  private readonly wanted: ReadonlyMap<string, string>;
  private readonly hashes = new Map<number, Promise<string>>();
  private readonly byPassword: Map<string, Promise<string>>;
  private isStopped = false;
  private running: Promise<void> = Promise.resolve();

  /** @param known precomputed hashes, by password */
  constructor(
    private readonly database: Kysely<Database>,
    private readonly passwords: Passwords,
    known: Readonly<Record<string, string>>,
    seed: Seed | null,
  ) {
    const users = (seed?.organizations ?? []).flatMap((organization) => organization.users);
    this.byPassword = new Map(Object.entries(known).map(([password, hash]) => [password, Promise.resolve(hash)]));
    this.wanted = new Map(users.flatMap(({ email, password }) => (password ? [[emailKey(email), password]] : [])));
  }

  /** Returns the hash of a user's password, `null` without a password. */
  async hashOf(user: Pick<UserRow, "id" | "email_key" | "password_hash">): Promise<string | null> {
    if (user.password_hash !== null) return user.password_hash;
    const password = this.wanted.get(user.email_key);
    if (password === undefined) return null;
    const hash = this.hashes.get(user.id) ?? this.hash(user.id, password);
    this.hashes.set(user.id, hash);
    // If it cannot be stored, a later sign-in stores it.
    hash.catch(() => this.hashes.delete(user.id));
    return hash;
  }

  /** Starts hashing the missing passwords, one after the other. */
  start(onFailure: (error: unknown) => void): void {
    this.running = this.hashMissing().catch(onFailure);
  }

  /** Stops hashing, after all of it or at once after the current one. */
  async end(how: "all" | "now"): Promise<void> {
    this.isStopped = how === "now";
    await this.running;
  }

  private async hashMissing(): Promise<void> {
    if (this.wanted.size === 0) return;
    for (const user of await usersWithoutPassword(this.database, [...this.wanted.keys()])) {
      if (this.isStopped) return;
      await this.hashOf({ ...user, password_hash: null });
    }
  }

  private async hash(userId: number, password: string): Promise<string> {
    // Users of a seed often share a password, and a hash takes a third of a second.
    const shared = this.byPassword.get(password) ?? this.passwords.hash(password);
    this.byPassword.set(password, shared);
    const hash = await shared;
    await savePasswordHash(this.database, userId, hash);
    return hash;
  }
}
