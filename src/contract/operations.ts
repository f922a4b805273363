import { billingOperations } from "./operations/billing.ts";
import { identityOperations } from "./operations/identity.ts";
import { serviceOperations } from "./operations/service.ts";
import { userOperations } from "./operations/users.ts";

export { BASE_PATH } from "./basePath.ts";
export { MAX_BODY_BYTES, type Operation } from "./operations/operation.ts";

/** Every call of the contract by its name (contract.md). */
export const operations = {
  ...identityOperations,
  ...billingOperations,
  ...userOperations,
  ...serviceOperations,
} as const;

/** The name of a call. */
export type OperationId = keyof typeof operations;
