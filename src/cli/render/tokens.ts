import type { ApiToken, CreatedToken } from "../../contract/identity.ts";
import { clean, cleanWhole } from "./clean.ts";
import { spendLimit } from "./identity.ts";
import { fields } from "./table.ts";
import type { View } from "./view.ts";
import { instant } from "./words.ts";
import { wrap } from "./wrap.ts";

/** API tokens, one block each; never a secret. */
export function renderTokens(tokens: readonly ApiToken[], view: View): string {
  if (tokens.length === 0) return "There is no API token; `secureflag-licenses tokens create` makes one.";
  return tokens.map((token) => renderToken(token, view)).join("\n\n");
}

/** A new token: the secret on a line of its own, whole, and what it is. */
export function renderCreatedToken(token: CreatedToken, view: View): string {
  const shownOnce = "This is shown once. Keep it where your CI keeps secrets, as SECUREFLAG_API_TOKEN.";
  return `${cleanWhole(token.token)}\n\n${wrap(shownOnce, view.width)}\n\n${renderToken(token, view)}`;
}

function renderToken(token: ApiToken, view: View): string {
  return fields(
    [
      ["Token", view.style.bold(clean(token.name))],
      ["Id", clean(token.id)],
      ["Ends in", token.last4 && clean(token.last4)],
      ["Scopes", token.scopes.map((scope) => clean(scope)).join(", ") || "none"],
      ["Expires", expiry(token)],
      ["Limit", spendLimit(token.spendLimit)],
      ["Created by", clean(token.createdBy.email)],
    ],
    view,
  );
}

function expiry({ expiresAt, expiresIn }: ApiToken): string {
  if (expiresAt === null) return "never";
  return expiresIn === 0 ? `${instant(expiresAt)} (over)` : instant(expiresAt);
}
