import { billingOperations } from "./operations/billing.ts";
import { identityOperations } from "./operations/identity.ts";
import { serviceOperations } from "./operations/service.ts";

export { BASE_PATH, type Operation } from "./operations/operation.ts";

/** Every call of the contract by its name (contract.md). */
export const operations = { ...identityOperations, ...billingOperations, ...serviceOperations } as const;

/** The name of a call. */
export type OperationId = keyof typeof operations;
