import { policyDecisionSchema, policyRequestSchema, policySchema } from "../policy.ts";
import { type Operation, organizationParams } from "./operation.ts";

/** The policy of an organization, and the changes that wait for a second administrator. */
export const policyOperations = {
  getPolicy: {
    method: "GET",
    path: "/organizations/{organizationId}/policy",
    summary: "The approval threshold and the budget, and the changes that wait",
    access: "billing:read",
    params: organizationParams,
    answers: { 200: policySchema },
  },
  setPolicy: {
    method: "PUT",
    path: "/organizations/{organizationId}/policy",
    summary:
      "Change the policy: what tightens it applies at once, what loosens it waits and replaces what waited before",
    access: "administrator",
    freshCode: "enrolled",
    params: organizationParams,
    body: policyRequestSchema,
    answers: { 200: policySchema },
  },
  approvePolicyChange: {
    method: "POST",
    path: "/organizations/{organizationId}/policy/approve",
    summary: "Approve a change that another administrator asked for",
    access: "administrator",
    freshCode: "enrolled",
    params: organizationParams,
    body: policyDecisionSchema,
    answers: { 200: policySchema },
  },
  rejectPolicyChange: {
    method: "POST",
    path: "/organizations/{organizationId}/policy/reject",
    summary: "Reject a change that waits, or withdraw one's own",
    access: "administrator",
    freshCode: "enrolled",
    params: organizationParams,
    body: policyDecisionSchema,
    answers: { 200: policySchema },
  },
} as const satisfies Record<string, Operation>;
