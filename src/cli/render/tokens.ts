import type { ApiToken, CreatedToken } from "../../contract/identity.ts";
import { clean, cleanWhole } from "./clean.ts";
import { spendLimit } from "./identity.ts";
import { shortId } from "./shorten.ts";
import { type Column, fields, list } from "./table.ts";
import type { View } from "./view.ts";
import { instant } from "./words.ts";
import { wrap } from "./wrap.ts";

const LIST: readonly Column[] = [
  { head: "Name", cutTo: 8 },
  { head: "Scopes", cutTo: 12 },
  { head: "Limit", cutTo: 12 },
  { head: "Expires" },
  { head: "By", cutTo: 8, isOptional: true },
  { head: "Ends in", isOptional: true },
  { head: "Id" },
];

/** API tokens as a table; never a secret. */
export function renderTokens(tokens: readonly ApiToken[], view: View): string {
  if (tokens.length === 0) return "There is no API token; `secureflag-licenses tokens create` makes one.";
  const rows = tokens.map((token) => [
    clean(token.name),
    token.scopes.map((text) => clean(text)).join(", ") || "none",
    spendLimit(token.spendLimit)?.replace("\n", "; ") ?? "none",
    expiryDate(token),
    clean(token.createdBy.email),
    token.last4 === null ? "" : clean(token.last4),
    Number.isFinite(view.width) ? shortId(clean(token.id)) : clean(token.id),
  ]);
  return list(LIST, rows, view) ?? tokens.map((token) => renderToken(token, view)).join("\n\n");
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

/** A date where a column has no room for the time of day. */
function expiryDate({ expiresAt, expiresIn }: ApiToken): string {
  if (expiresAt === null) return "never";
  return expiresIn === 0 ? "expired" : expiresAt.slice(0, 10);
}
