/** The roles of the platform by number; a lower number has more rights (README.md, Roles). */
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

/** Returns the display name of a role, `role 2` for an unknown number. */
export function roleName(role: number): string {
  return NAMES[role] ?? `role ${role}`;
}

/** Reports whether the platform has, or used to have, the role. */
export function isRole(role: number): boolean {
  return Object.hasOwn(NAMES, role);
}

/** Reports whether a user can be given the role. The others are only shown, when a backend sends them. */
export function isAssignableRole(role: number): boolean {
  return role !== ROLES.platformAdministrator && Object.values<number>(ROLES).includes(role);
}

/** Reports whether the role may see billing and buy: organization administrators and above. */
export function canBuy(role: number): boolean {
  return role <= ROLES.organizationAdministrator;
}

/** What decides whether a user takes a license. */
export interface Training {
  readonly role: number;
  readonly adminNoTraining: boolean;
}

/** Reports whether a user takes a license. Everyone does, except an administrative user without training. */
export function takesLicense(user: Training): boolean {
  return !(user.adminNoTraining && user.role < ROLES.user);
}

/** Changes a role or the training; what is left out stays. A user who loses an administrative role trains. */
export function updatedTraining(
  before: Training,
  { role = before.role, adminNoTraining }: { role?: number | undefined; adminNoTraining?: boolean | undefined },
): Training {
  const becomesUser = role === ROLES.user && before.role !== ROLES.user;
  return { role, adminNoTraining: adminNoTraining ?? (before.adminNoTraining && !becomesUser) };
}
