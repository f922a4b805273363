/** Why a billing rule failed. */
export type BillingErrorCode =
  | "amount_out_of_range"
  | "invalid_amount"
  | "invalid_rate"
  | "invalid_date"
  | "invalid_state";

/** An error of the billing rules. `code` is stable; the message is for people. */
export class BillingError extends Error {
  override readonly name = "BillingError";

  constructor(
    readonly code: BillingErrorCode,
    message: string,
  ) {
    super(message);
  }
}
