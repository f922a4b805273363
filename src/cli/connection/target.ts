import { parseAddress } from "../../client/address.ts";
import type { Context } from "../context.ts";
import { CliError, usageError } from "../errors.ts";
import { tokenVariable } from "../io.ts";
import type { GlobalOptions } from "../kit/command.ts";
import { shorten } from "../kit/text.ts";
import { isProfileName } from "../kit/values.ts";
import type { ProfileSettings, Settings } from "./settings.ts";

/** Where a setting came from (src/cli/README.md, Environment). */
export type SettingSource = "flag" | "environment" | "profile" | "default";

/** The backend, and the organization there, that a command is about. */
export interface Target {
  readonly profileName: string;
  /** `null` where nothing is kept under that name. */
  readonly profile: ProfileSettings | null;
  readonly apiUrl: string;
  readonly apiUrlSource: SettingSource;
  /** `null` where neither flag, environment nor profile name one. */
  readonly organizationId: number | null;
}

/** Settings as the resolution reads them. */
type ProfileReader = Pick<Settings, "activeProfile" | "profile">;

/**
 * Finds the target: a flag beats the environment, the environment beats the profile, the profile beats the default.
 * The profile's organization counts only at the profile's own backend. The settings are read only if something is
 * left for them to say.
 *
 * @param mayBeNew whether a profile of a name that is not known yet is fine, as when signing in
 * @throws CliError `invalid_usage`, `profile_unknown`; ClientError `invalid_usage`, `insecure_url`
 */
export async function resolveTarget(
  context: Pick<Context, "env" | "settings" | "configDirectory">,
  options: Pick<GlobalOptions, "profile" | "apiUrl" | "organizationId">,
  mayBeNew = false,
): Promise<Target> {
  const { env } = context;
  const named = options.profile ?? environmentProfile(env.SECUREFLAG_PROFILE);
  const urlOutside = options.apiUrl ?? (env.SECUREFLAG_API_URL || null);
  const organizationOutside = options.organizationId ?? environmentOrganization(env.SECUREFLAG_ORGANIZATION);
  const complete = urlOutside !== null && organizationOutside !== null && tokenVariable(env) !== null;
  // Reading it refuses a wrong SECUREFLAG_CONFIG_DIR before anything is sent, also where nothing in it is needed.
  const isKept = context.configDirectory !== null;
  const settings: ProfileReader = !isKept || (complete && named === null) ? NO_SETTINGS : await context.settings();
  const profileName = named ?? (await settings.activeProfile());
  const profile = await settings.profile(profileName);
  if (named !== null && profile === null && named !== "default" && !mayBeNew) {
    throw new CliError("profile_unknown", `Profile not found: "${shorten(named)}"`, {
      hint: `Create it with \`secureflag-licenses login --profile ${named}\`.`,
    });
  }
  const apiUrl = canonicalUrl(urlOutside ?? profile?.apiUrl ?? PUBLIC_API_URL);
  parseAddress(apiUrl);
  const atProfile = profile !== null && canonicalUrl(profile.apiUrl) === apiUrl;
  return {
    profileName,
    profile,
    apiUrl,
    apiUrlSource: options.apiUrl ? "flag" : urlOutside ? "environment" : profile ? "profile" : "default",
    organizationId: organizationOutside ?? (atProfile ? profile.organizationId : null),
  };
}

const CORRECT_IT = "Correct the variable, or unset it.";

const NO_SETTINGS: ProfileReader = { activeProfile: async () => "default", profile: async () => null };

function environmentProfile(text: string | undefined): string | null {
  if (!text) return null;
  if (!isProfileName(text))
    throw usageError(`SECUREFLAG_PROFILE is not a valid profile name: "${shorten(text)}"`, CORRECT_IT);
  return text;
}

function environmentOrganization(text: string | undefined): number | null {
  if (!text) return null;
  if (!/^(0|[1-9]\d{0,14})$/.test(text)) {
    throw usageError(`SECUREFLAG_ORGANIZATION is not a valid organization number: "${shorten(text)}"`, CORRECT_IT);
  }
  return Number(text);
}

/** A URL without slashes at its end. SecureFlag's public API has one URL, whatever its spelling. */
export function canonicalUrl(apiUrl: string): string {
  const text = apiUrl.replace(/\/+$/, "");
  const href = URL.canParse(text) ? new URL(text).href.toLowerCase() : "";
  return PUBLIC_API.test(href) ? PUBLIC_API_URL : text;
}

/** SecureFlag's public API, which its own scripts talk to: what a command talks to where nothing is set. */
const PUBLIC_API_URL = "https://api.secureflag.com/rest/management/v2";

/** Its spellings, as a parsed URL in lower case. */
const PUBLIC_API = /^https:\/\/(www\.)?(api\.)?secureflag\.com\/(rest\/management\/v2)?$/;

/** Whether a target is SecureFlag's public API. */
export function isPublicApi({ apiUrl }: Pick<Target, "apiUrl">): boolean {
  return apiUrl === PUBLIC_API_URL;
}

/** What a command needs of a backend. `public`: nothing beyond the public API. */
export type Need = "billing" | "users" | "public";

const HINT =
  "Try everything with `secureflag-licenses sandbox`. To list your users, set SECUREFLAG_API_TOKEN and run " +
  "`secureflag-licenses users list --org <id>`.";

/**
 * Says what works at SecureFlag's public API, before a sign-in is looked for and anything is sent, where a command needs
 * more than that, or nothing at all is configured.
 *
 * @param hasToken whether the environment has a token
 * @throws CliError `not_signed_in` where no backend is set, `billing_not_offered`, `users_not_offered`
 */
export function assertOffered(target: Target, hasToken: boolean, need: Need): void {
  const { apiUrlSource, profile } = target;
  if (!isPublicApi(target)) return;
  const isUnset = need === "billing" && apiUrlSource === "default";
  if (isUnset || (!hasToken && profile === null)) throw noBackend();
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

/** The one refusal where neither flag, environment nor profile names a backend. */
function noBackend(): CliError {
  const message = "No backend is set: SecureFlag's API (https://api.secureflag.com) has no public billing calls";
  return new CliError("not_signed_in", message, { hint: HINT });
}

/**
 * Refuses to sign in to SecureFlag's public API, but for keeping a token with the organization whose users it lists.
 *
 * @throws CliError `not_signed_in` where no backend is set, `sign_in_not_offered`, `organization_required`
 */
export function assertSignInOffered(target: Target, withToken: boolean): void {
  const { apiUrlSource, organizationId } = target;
  if (!isPublicApi(target) || (withToken && organizationId !== null)) return;
  if (!withToken) {
    if (apiUrlSource === "default") throw noBackend();
    const message = "SecureFlag's API (https://api.secureflag.com) takes only tokens; its billing calls are not public";
    throw new CliError("sign_in_not_offered", message, { hint: HINT });
  }
  const message =
    "SecureFlag's API (https://api.secureflag.com) does not report whose a token is, and has no public billing calls";
  const hint = "Pass --org <id> to list users with this token. Try the rest with `secureflag-licenses sandbox`.";
  throw new CliError("organization_required", message, { hint });
}
