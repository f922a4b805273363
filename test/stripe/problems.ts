/** The fields of an error in Stripe's answers. */
export interface ProblemBody {
  readonly type: "api_error" | "card_error" | "idempotency_error" | "invalid_request_error";
  readonly message: string;
  readonly code?: string;
  readonly decline_code?: string;
  readonly param?: string;
  readonly charge?: string;
  readonly payment_intent?: unknown;
  readonly payment_method?: unknown;
  readonly [name: string]: unknown;
}

/**
 * What a request is answered with instead of an object. It is stored under the idempotency key if the request was being
 * executed; one that is wrong in itself is not (Stripe's API reference, Idempotent requests).
 */
export class Problem extends Error {
  override readonly name = "Problem";
  readonly status: number;
  readonly body: ProblemBody;
  readonly isKept: boolean;

  constructor(status: number, body: ProblemBody, { isKept = true }: { isKept?: boolean } = {}) {
    super(body.message);
    this.status = status;
    this.body = body;
    this.isKept = isKept;
  }
}

/** A request that is wrong in itself: 400, never stored. */
export function wrongRequest(message: string, param: string, code: string): Problem {
  return new Problem(400, { type: "invalid_request_error", message, param, code }, { isKept: false });
}

/** A request that does not fit what the object is now: 400. */
export function refused(message: string, fields: Omit<ProblemBody, "type" | "message"> = {}): Problem {
  return new Problem(400, { type: "invalid_request_error", message, ...fields });
}

/** Something that is not there. */
export function resourceMissing(kind: string, id: string, param: string): Problem {
  const message = `No such ${kind}: '${id}'`;
  const status = param === "id" ? 404 : 400;
  return new Problem(status, { type: "invalid_request_error", code: "resource_missing", message, param });
}
