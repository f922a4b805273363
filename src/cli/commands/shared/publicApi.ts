import { parseAddress } from "../../../client/address.ts";
import { CliError } from "../../errors.ts";
import type { Target } from "./target.ts";

/** SecureFlag's public API, which its own scripts talk to: what a command talks to where nothing is set. */
export const PUBLIC_API_URL = "https://api.secureflag.com/rest/management/v2";

/** What a command needs of a backend. `public`: nothing beyond the public API. */
export type Need = "billing" | "users" | "public";

const HINT =
  "Try everything with `secureflag-licenses sandbox`. To list your users, set SECUREFLAG_API_TOKEN and run " +
  "`secureflag-licenses users list --org <id>`.";

/** Whether a URL, which is one of a backend, is that of SecureFlag's public API. */
function isPublicApi(apiUrl: string): boolean {
  const { origin, basePath } = parseAddress(apiUrl);
  return origin + basePath === PUBLIC_API_URL;
}

/**
 * Says what works at SecureFlag's public API, before a sign-in is looked for and anything is sent, where a command needs
 * more than that, or nothing at all is configured.
 *
 * @param token SECUREFLAG_API_TOKEN
 * @throws CliError `not_signed_in` where nothing is configured, `billing_not_offered`, `users_not_offered`
 */
export function assertOffered({ apiUrl, profile }: Target, token: string | undefined, need: Need): void {
  if (!isPublicApi(apiUrl)) return;
  if (!token?.trim() && profile === null) {
    const message = "No backend is set: SecureFlag's API (https://api.secureflag.com) has no public billing calls";
    throw new CliError("not_signed_in", message, { hint: HINT });
  }
  if (need === "billing") {
    const message = "The billing calls of SecureFlag's API (https://api.secureflag.com) are not public";
    throw new CliError("billing_not_offered", message, { hint: HINT });
  }
  if (need === "users") {
    const message =
      "SecureFlag's API (https://api.secureflag.com) lists users; its calls that change them are not public";
    const hint = "Manage users in SecureFlag's portal. Try it without an account: `secureflag-licenses sandbox`.";
    throw new CliError("users_not_offered", message, { hint });
  }
}

/**
 * Refuses to sign in to SecureFlag's public API, but for keeping a token with the organization whose users it lists.
 *
 * @throws CliError `sign_in_not_offered`, `organization_required`
 */
export function assertSignInOffered({ apiUrl, organizationId }: Target, withToken: boolean): void {
  if (!isPublicApi(apiUrl) || (withToken && organizationId !== null)) return;
  if (!withToken) {
    const message = "SecureFlag's API (https://api.secureflag.com) takes only tokens; its billing calls are not public";
    throw new CliError("sign_in_not_offered", message, { hint: HINT });
  }
  const message =
    "SecureFlag's API (https://api.secureflag.com) does not tell whose a token is, and has no public billing calls";
  const hint =
    "Pass --org <id> to keep the token and list users with `secureflag-licenses users list`. " +
    "Try everything with `secureflag-licenses sandbox`.";
  throw new CliError("organization_required", message, { hint });
}
