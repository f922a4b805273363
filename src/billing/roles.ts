/** Role numbers of the platform (product.md): a lower number is more powerful. */
export const ROLES = {
  platformAdministrator: -1,
  organizationAdministrator: 0,
  manager: 3,
  statistics: 4,
  creator: 5,
  threatCanvasReviewer: 6,
  user: 7,
} as const;

const NAMES: Readonly<Record<number, string>> = {
  [-1]: "platform administrator",
  0: "organization administrator",
  1: "reviewer",
  3: "team manager",
  4: "statistics",
  5: "creator",
  6: "ThreatCanvas reviewer",
  7: "user",
};

/** The role's name for people; an unknown number is shown as `role 2`. */
export function roleName(role: number): string {
  return NAMES[role] ?? `role ${role}`;
}

/** Whether the role is one that the platform has or had. */
export function isRole(role: number): boolean {
  return Object.hasOwn(NAMES, role);
}

/** Whether a user may be given the role: one that only the platform has, or had, is shown and never given. */
export function isOfferedRole(role: number): boolean {
  return role !== ROLES.platformAdministrator && Object.values<number>(ROLES).includes(role);
}

/** Only an organization administrator, or above, sees billing and buys (security.md, Signing in). */
export function mayBuy(role: number): boolean {
  return role <= ROLES.organizationAdministrator;
}

/** Whether a user with this role takes a license: an administrative user without training does not (product.md). */
export function takesLicense(user: { role: number; adminNoTraining: boolean }): boolean {
  return !(user.adminNoTraining && user.role < ROLES.user);
}
