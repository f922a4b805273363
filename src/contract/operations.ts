import { billingOperations } from "./operations/billing.ts";
import { identityOperations } from "./operations/identity.ts";
import { serviceOperations } from "./operations/service.ts";
import { userOperations } from "./operations/users.ts";

/** Every call of the contract by its name (contract.md). */
export const operations = {
  ...identityOperations,
  ...billingOperations,
  ...userOperations,
  ...serviceOperations,
} as const;

/** The name of a call. */
export type OperationId = keyof typeof operations;
