import type { PolicyRequest, PolicyState } from "../contract/policy.ts";
import type { Caller } from "./call.ts";

/** The calls about the policy of an organization. Every method throws `ClientError`. */
export interface PolicyCalls {
  policy(organizationId: number): Promise<PolicyState>;
  /** Changes only the fields passed. `outcome_unknown` where an answer was lost and no refusal came after it. */
  setPolicy(organizationId: number, request: PolicyRequest): Promise<PolicyState>;
  /** Repeated only while it certainly never left, and `outcome_unknown` where the answer is lost. */
  approvePolicyChange(organizationId: number, changeId: string): Promise<PolicyState>;
  /** As `approvePolicyChange`. */
  rejectPolicyChange(organizationId: number, changeId: string): Promise<PolicyState>;
}

const HINT = "See `secureflag-licenses organizations policy`.";

/** The calls of `PolicyCalls` at one backend. */
export function policyCalls(caller: Caller): PolicyCalls {
  const decide = async (call: "approvePolicyChange" | "rejectPolicyChange", organizationId: number, id: string) =>
    (await caller.change(call, { params: { organizationId }, body: { id }, repeat: "unsent" }, HINT)).value;
  return {
    policy: async (organizationId) =>
      (await caller.call("getPolicy", { params: { organizationId }, repeat: "transient" })).value,
    setPolicy: async (organizationId, body) =>
      (await caller.change("setPolicy", { params: { organizationId }, body, repeat: "transient" }, HINT)).value,
    approvePolicyChange: (organizationId, id) => decide("approvePolicyChange", organizationId, id),
    rejectPolicyChange: (organizationId, id) => decide("rejectPolicyChange", organizationId, id),
  };
}
