import { createHash } from "node:crypto";
import { dateInZone } from "../../billing/calendar.ts";
import { SandboxError } from "../errors.ts";
import type { Seed } from "./seedSchema.ts";

/** The seed file of the organization that a sandbox has without `--seed` (cli.md, Seed file). */
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

/** The hash of the built-in administrator's password, so that the first sign-in does not wait for it (details.md, 29). */
export const BUILT_IN_PASSWORD_HASH = "scrypt$9yUGx9JH5V9V0BCklpj8vQ$TN1OfLmOkwGhl-R_0p6pBHvVlEhsg1xNqNV2WaZf9Uo";

/** A seed with the digest of its file, by which the very same file is known again. */
export interface SeedFile {
  readonly seed: Seed;
  readonly digest: string;
}

/** The organization that a sandbox has without `--seed`. It is ours, so that nobody waits until it has been checked. */
export function builtInSeed(): SeedFile {
  return { seed: JSON.parse(BUILT_IN_SEED) as Seed, digest: digestOf(BUILT_IN_SEED) };
}

/**
 * Refuses a seed with a subscription that has not begun.
 *
 * @param now the billing clock, milliseconds
 * @throws SandboxError `seed_invalid`
 */
export function assertBegun({ organizations }: Seed, path: string, now: number): void {
  for (const [index, { subscription, timeZone }] of organizations.entries()) {
    const today = dateInZone(now, timeZone);
    if (subscription.anchorDate > today) {
      const where = `organizations[${index}].subscription.anchorDate`;
      throw invalidSeed(path, [{ path: where, message: `${subscription.anchorDate} is after today, ${today}` }]);
    }
  }
}

/** What a seed file is known by: the SHA-256 of its text. */
export function digestOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** So many problems of a file are told at once. */
const MOST_PROBLEMS = 3;

/** The refusal of a seed file, naming what is wrong with it by its paths in the file. */
export function invalidSeed(file: string, problems: { path: string; message: string }[]): SandboxError {
  const lines = problems.slice(0, MOST_PROBLEMS).map(({ path, message }) => (path ? `${path}: ${message}` : message));
  const more = problems.length > lines.length ? `; and ${problems.length - lines.length} more` : "";
  return new SandboxError(
    "seed_invalid",
    `The seed file ${file} is not valid: ${lines.join("; ")}${more}`,
    "Mend the file; its fields are described in the README, under Sandbox.",
  );
}
