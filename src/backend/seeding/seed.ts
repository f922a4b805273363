import { createHash } from "node:crypto";
import { type BackendError, startError } from "../errors.ts";

/** The seed file of a sandbox without `--seed`. */
export const BUILT_IN_SEED = `{
  "organizations": [{
    "id": 4201, "name": "Northwind Labs", "timeZone": "Europe/London",
    "subscription": {
      "plan": "SMB", "interval": "year", "intervalCount": 1, "anchorDate": "2026-03-01",
      "unitPrice": { "amount": 15000, "currency": "GBP" }, "taxRate": "20",
      "licenses": 25, "autoRenew": true
    },
    "paymentMethod": "card_ok",
    "usedLicenses": 22,
    "users": [{ "email": "admin@northwind.example", "firstName": "Ada", "lastName": "Admin", "role": 0,
                "password": "correct horse battery staple", "totpSecret": null, "adminNoTraining": true }],
    "tokens": [{ "name": "ci", "token": "sfl_sandbox_ci", "scopes": ["billing:read", "billing:purchase"], "userEmail": "admin@northwind.example", "spendLimit": null }]
  }]
}`;

/** The password of the built-in administrator. */
export const BUILT_IN_PASSWORD = "correct horse battery staple";

/** The hash of the built-in administrator's password, so that the first sign-in does not wait for it. */
export const BUILT_IN_PASSWORD_HASH = "scrypt$9yUGx9JH5V9V0BCklpj8vQ$TN1OfLmOkwGhl-R_0p6pBHvVlEhsg1xNqNV2WaZf9Uo";

/** The digest that identifies a seed file: the SHA-256 of its text. */
export function digestOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** How many problems of a file the error lists. */
const MAX_PROBLEMS = 3;

/** The error of an invalid seed file, with the paths of its problems. */
export function invalidSeed(file: string, problems: { path: string; message: string }[]): BackendError {
  const lines = problems.slice(0, MAX_PROBLEMS).map(({ path, message }) => (path ? `${path}: ${message}` : message));
  const more = problems.length > lines.length ? `; and ${problems.length - lines.length} more` : "";
  return startError(
    "seed_invalid",
    `The seed file ${file} is not valid: ${lines.join("; ")}${more}`,
    "Correct the file. Its fields are described in the README, under Sandbox.",
  );
}
