/** Why a sandbox cannot start or be reset; `hint` says what to do. All of them are wrong usage (exit 2). */
export class SandboxError extends Error {
  override readonly name = "SandboxError";

  constructor(
    readonly code:
      | "seed_invalid"
      | "sandbox_data_in_use"
      | "sandbox_data_unusable"
      | "sandbox_data_not_empty"
      | "sqlite_missing"
      | "port_in_use",
    message: string,
    readonly hint: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
