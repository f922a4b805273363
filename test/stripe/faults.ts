import type { Call } from "./parameters.ts";
import { Problem } from "./problems.ts";
import type { Store } from "./store.ts";

/** What goes wrong with a call. */
export interface Fault {
  readonly call: Call;
  /** Only for requests with this text in the path, the parameters or the idempotency key. */
  readonly about?: string;
  /**
   * `lost`: the connection breaks. `failed`: 500, stored under the key. `slow`: the answer takes long. Others are refused
   * by the API's front, so nothing is stored.
   */
  readonly effect: "lost" | "failed" | "slow" | keyof typeof REFUSALS;
  /** Whether the call is executed first; before by default. Only what is `lost`, `failed` or `slow` can be after. */
  readonly when?: "before" | "after";
  /** How many requests; one by default. */
  readonly times?: number;
  /** How long a `slow` one takes; a second by default. */
  readonly milliseconds?: number;
}

const REFUSALS = {
  unauthorized: {
    status: 401,
    type: "invalid_request_error",
    message: "Invalid API Key provided",
  },
  forbidden: {
    status: 403,
    type: "invalid_request_error",
    message: "The provided key does not have the required permissions for this endpoint.",
  },
  key_in_use: {
    status: 409,
    type: "invalid_request_error",
    message: "There is currently another in-progress request using this Idempotent Key.",
    code: "idempotency_key_in_use",
  },
  lock_timeout: {
    status: 429,
    type: "invalid_request_error",
    message: "This object cannot be accessed right now because another API request or Stripe process is accessing it.",
    code: "lock_timeout",
  },
  rate_limit: { status: 429, type: "invalid_request_error", message: "Too many requests.", code: "rate_limit" },
} as const;

/** What the API's front answers. */
export function refusal(reason: keyof typeof REFUSALS): Problem {
  const { status, ...body } = REFUSALS[reason];
  return new Problem(status, body, { isKept: false });
}

/** A failure of Stripe's own: 500. */
export function failure(): Problem {
  return new Problem(500, { type: "api_error", message: "An unknown error occurred" });
}

/** Whether a fault is a refusal by the API's front. */
export function isRefusal(effect: Fault["effect"]): effect is keyof typeof REFUSALS {
  return Object.hasOwn(REFUSALS, effect);
}

const [ID, NAME] = ["faults", "list"];

/** Adds a fault; those that were added first come first. */
export function addFault(store: Store, fault: Fault): void {
  store.setNote(ID, NAME, [...readFaults(store), fault]);
}

/** Lists the faults that no request has met. */
export function readFaults(store: Store): Fault[] {
  return store.note<Fault[]>(ID, NAME) ?? [];
}

/** Removes every fault. */
export function clearFaults(store: Store): void {
  store.setNote(ID, NAME, null);
}

/**
 * Takes the fault that a request meets.
 *
 * @param words what of the request `about` is looked for in
 */
export function takeFault(store: Store, call: Call, words: string): Fault | null {
  const faults = readFaults(store);
  const index = faults.findIndex((fault) => fault.call === call && words.includes(fault.about ?? ""));
  const fault = faults[index];
  if (fault === undefined) return null;
  const times = (fault.times ?? 1) - 1;
  store.setNote(ID, NAME, times > 0 ? faults.with(index, { ...fault, times }) : faults.toSpliced(index, 1));
  return fault;
}
