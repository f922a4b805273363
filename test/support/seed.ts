/** The parts of a seed file (README.md, Sandbox). */
export interface SeedOrganization {
  id: number;
  name: string;
  timeZone: string;
  subscription: {
    plan: string;
    interval: "month" | "year";
    intervalCount: number;
    anchorDate: string;
    unitPrice: { amount: number; currency: string };
    taxRate: string;
    licenses: number;
    autoRenew: boolean;
  };
  paymentMethod: string | null;
  usedLicenses: number;
  users: SeedUser[];
  tokens: SeedToken[];
}

/** A user of a seed file. */
export interface SeedUser {
  email: string;
  firstName: string;
  lastName: string;
  role: number;
  password: string;
  totpSecret: string | null;
  adminNoTraining: boolean;
}

/** A token of a seed file. */
export interface SeedToken {
  name: string;
  token: string;
  scopes: string[];
  userEmail: string;
  spendLimit: { amount: number; licenses: number } | null;
}

/** The password of everyone in a seed. */
export const PASSWORD = "correct horse battery staple";

/** The administrator of every organization, one person: one password to hash. */
export const ADMIN = "admin@northwind.example";

/** The instant at which the first worked figure of billing-rules.md is bought. */
export const NOW = "2026-11-22T12:00:00Z";

/** The name of an organization's token for CI. */
export const tokenOf = (organizationId: number) => `sfl_sandbox_ci_${organizationId}`;

/** Changes to the built-in organization; of the subscription, only the named fields. */
export type SeedChanges = Partial<Omit<SeedOrganization, "subscription">> & {
  subscription?: Partial<SeedOrganization["subscription"]>;
};

/** The built-in organization under another ID, with changes. */
export function organization(id: number, changes: SeedChanges = {}): SeedOrganization {
  return {
    id,
    name: "Northwind Labs",
    timeZone: "Europe/London",
    paymentMethod: "card_ok",
    usedLicenses: 22,
    users: [user({})],
    tokens: [token(id, {})],
    ...changes,
    subscription: {
      plan: "SMB",
      interval: "year",
      intervalCount: 1,
      anchorDate: "2026-03-01",
      unitPrice: { amount: 15000, currency: "GBP" },
      taxRate: "20",
      licenses: 25,
      autoRenew: true,
      ...changes.subscription,
    },
  };
}

/** The administrator, or another user. */
export function user(changes: Partial<SeedUser>): SeedUser {
  return {
    email: ADMIN,
    firstName: "Ada",
    lastName: "Admin",
    role: 0,
    password: PASSWORD,
    totpSecret: null,
    adminNoTraining: true,
    ...changes,
  };
}

/** The administrator's token for CI, which may read and buy, or another one. */
export function token(organizationId: number, changes: Partial<SeedToken>): SeedToken {
  return {
    name: "ci",
    token: tokenOf(organizationId),
    scopes: ["billing:read", "billing:purchase"],
    userEmail: ADMIN,
    spendLimit: null,
    ...changes,
  };
}

/** A seed file's content. */
export function seed(...organizations: SeedOrganization[]): { organizations: SeedOrganization[] } {
  return { organizations };
}
