import type { Money } from "../../billing/money.ts";
import { roleName } from "../../billing/roles.ts";
import type { Me } from "../../contract/identity.ts";
import type { Identity } from "../commands/shared/identity.ts";
import { clean } from "./clean.ts";
import { moneyText } from "./money.ts";
import { columns, fields } from "./table.ts";
import type { View } from "./view.ts";
import { instant, licenses } from "./words.ts";

const API_URL_SOURCES: Readonly<Record<Identity["apiUrlSource"], string>> = {
  flag: "from --api-url",
  environment: "from SECUREFLAG_API_URL",
  profile: "from the profile",
  default: "the default",
};

/**
 * Who is signed in, where, with what token.
 *
 * @param beaten the profile whose stored sign-in is not used because the environment has a token
 */
export function renderIdentity(identity: Identity, view: View, beaten: string | null = null): string {
  const { user, organization, token } = identity;
  const source =
    token.source === "environment" ? `from SECUREFLAG_API_TOKEN${over(beaten)}` : `from the ${token.source}`;
  const name = token.name === null ? "sign-in" : `token ${clean(token.name)}`;
  return fields(
    [
      ["User", view.style.bold(clean(user.email))],
      ["Role", clean(user.roleName)],
      ["Organization", organization ? `${clean(organization.name)} (${organization.id})` : "none set"],
      ["Backend", `${clean(identity.apiUrl)}\n${API_URL_SOURCES[identity.apiUrlSource]}`],
      ["Profile", identity.profile && clean(identity.profile)],
      ["Token", `${name} ending in ${clean(token.last4)}, ${source}`],
      ["Scopes", token.scopes.length > 0 ? token.scopes.map((text) => clean(text)).join(", ") : "none"],
      ["Expires", expiry(token)],
      ["Limit", spendLimit(token.spendLimit)],
    ],
    view,
  );
}

function over(profile: string | null): string {
  return profile === null ? "" : `, which wins over the sign-in of profile ${clean(profile)}`;
}

/**
 * Organizations that a user belongs to, and below them those that invite the user.
 *
 * @param invitations those that wait to be accepted
 */
export function renderOrganizations(
  organizations: Me["organizations"],
  view: View,
  invitations: Me["invitations"] = [],
): string {
  const own = organizations.length === 0 ? "You belong to no organization." : organizationTable(organizations, view);
  if (invitations.length === 0) return own;
  const how = "Invitations. Accept one with:\n`secureflag-licenses organizations accept <id>`";
  return `${own}\n\n${how}\n\n${organizationTable(invitations, view)}`;
}

function organizationTable(organizations: Me["organizations"], view: View): string {
  const rows = organizations.map(({ id, name, role }) => [String(id), clean(name), roleName(role)]);
  return columns(["Id", "Name", "Role"], rows, [10, 20, 26], view);
}

/** An organization whose invitation was accepted. */
export function renderAcceptedInvitation({ id, name, role }: Me["organizations"][number]): string {
  return `You joined ${clean(name)} (${id}) as ${roleName(role)}.`;
}

/** A sign-in that is kept here has a refresh token, so that its end is nothing to act on. */
function expiry({ source, name, expiresAt }: Identity["token"]): string {
  if (expiresAt === null) return "never";
  return source !== "environment" && name === null ? "renewed by itself while it is used" : instant(expiresAt);
}

/** What a token may spend in a month and what is left of it, a line each; `null` without a limit. */
export function spendLimit(limit: Me["token"]["spendLimit"]): string | null {
  if (limit === null) return null;
  const money = (amount: Money | null, left: Money | null) =>
    amount && `${moneyText(amount)} a month${left ? `, ${moneyText(left)} left` : ""}`;
  const count = limit.licenses === null ? null : `${licenses(limit.licenses)} a month, ${limit.licensesLeft ?? 0} left`;
  return [money(limit.amount, limit.amountLeft), count].filter(Boolean).join("\n");
}
