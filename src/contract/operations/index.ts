import { billingOperations } from "./billing.ts";
import { eventOperations } from "./events.ts";
import { identityOperations } from "./identity.ts";
import { policyOperations } from "./policy.ts";
import { reportOperations } from "./reports.ts";
import { serviceOperations } from "./service.ts";
import { userOperations } from "./users.ts";

/** Every call of the contract, by name. */
export const operations = {
  ...identityOperations,
  ...billingOperations,
  ...eventOperations,
  ...policyOperations,
  ...reportOperations,
  ...userOperations,
  ...serviceOperations,
} as const;

/** The name of a call. */
export type OperationId = keyof typeof operations;
