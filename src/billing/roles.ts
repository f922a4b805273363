/** Role numbers of the platform (product.md): a lower number is more powerful. */
export const ROLES = {
  platformAdministrator: -1,
  organizationAdministrator: 0,
  reviewer: 1,
  manager: 3,
  statistics: 4,
  user: 7,
} as const;

const NAMES: Readonly<Record<number, string>> = {
  [-1]: "platform administrator",
  0: "organization administrator",
  1: "reviewer",
  3: "team manager",
  4: "statistics",
  7: "user",
};

/** The role's name for people; an unknown number is shown as `role 5`. */
export function roleName(role: number): string {
  return NAMES[role] ?? `role ${role}`;
}

/** Whether the role is one that the platform has. */
export function isRole(role: number): boolean {
  return Object.hasOwn(NAMES, role);
}

/** Only an organization administrator, or above, sees billing and buys (security.md, Signing in). */
export function mayBuy(role: number): boolean {
  return role <= ROLES.organizationAdministrator;
}

/** Whether a user with this role takes a license: an administrative user without training does not (product.md). */
export function takesLicense(user: { role: number; adminNoTraining: boolean }): boolean {
  return !(user.adminNoTraining && user.role < ROLES.user);
}
