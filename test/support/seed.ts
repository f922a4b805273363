import type { SeedOrganization as AnySeedOrganization } from "../../src/backend/seeding/seedFile.ts";

type SeedUser = AnySeedOrganization["users"][number];

type SeedToken = NonNullable<AnySeedOrganization["tokens"]>[number];

/** An organization of a seed file, with its tokens. */
export type SeedOrganization = AnySeedOrganization & { tokens: SeedToken[] };

/** The password of every user. */
export const PASSWORD = "correct horse battery staple";

/** The administrator of every organization: one person, so that there is one password to hash. */
export const ADMIN = "admin@northwind.example";

/** The purchase instant of the first worked figure (src/billing/README.md, Proration). */
export const NOW = "2026-11-22T12:00:00Z";

/** The token for CI of an organization made by `organization`. */
export const tokenOf = (organizationId: number) => `sfl_sandbox_ci_${organizationId}`;

/** Changes to the default organization; those of the subscription are merged. */
export type SeedChanges = Partial<Omit<SeedOrganization, "subscription">> & {
  subscription?: Partial<SeedOrganization["subscription"]>;
};

/** Builds an organization like the built-in seed's, with changes. */
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

/** Builds the administrator, or another user. */
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

/** Builds the administrator's token for CI, which can read and buy, or another one. */
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

/** Builds the content of a seed file. */
export function seed(...organizations: SeedOrganization[]): { organizations: SeedOrganization[] } {
  return { organizations };
}
