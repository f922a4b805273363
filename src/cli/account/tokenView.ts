import { toDecimalString } from "../../billing/money.ts";
import type { Scope } from "../../contract/constants.ts";
import type { ApiToken, CreatedToken } from "../../contract/identity.ts";
import { type Cell, toCsv } from "../kit/csv.ts";
import type { View } from "../kit/output.ts";
import { type Column, fields, list } from "../kit/table.ts";
import { clean, cleanWhole, shortId } from "../kit/text.ts";
import { instant, licenses, moneyText } from "../kit/words.ts";
import { wrap } from "../kit/wrap.ts";
import { spendLimit } from "./whoami.ts";

const LIST: readonly Column[] = [
  { head: "Name", cutTo: 8 },
  { head: "Scopes", cutTo: 20 },
  { head: "Monthly limit", cutTo: 14 },
  { head: "Expires" },
  { head: "By", cutTo: 8, isOptional: true },
  { head: "Ends in", isOptional: true },
  { head: "ID" },
];

/** Renders API tokens as a table, on a terminal with a total; never a secret. */
export function renderTokens(tokens: readonly ApiToken[], view: View): string {
  if (tokens.length === 0) return "No API tokens. Create one with `secureflag-licenses tokens create`.";
  const isTerminal = Number.isFinite(view.width);
  const rows = tokens.map((token) => [
    clean(token.name),
    isTerminal ? shortScopes(token.scopes) : allScopes(token),
    (isTerminal ? shortLimit(token) : spendLimit(token.spendLimit)?.replace("\n", "; ")) ?? "none",
    expiryDate(token),
    clean(token.createdBy.email),
    token.last4 === null ? "" : clean(token.last4),
    isTerminal ? shortId(clean(token.id)) : clean(token.id),
  ]);
  const table = list(LIST, rows, view);
  if (!isTerminal && table !== null) return table;
  const total = `Total: ${tokens.length} API ${tokens.length === 1 ? "token" : "tokens"}.`;
  return `${table ?? tokens.map((token) => renderToken(token, view)).join("\n\n")}\n\n${total}`;
}

const COLUMNS: readonly (readonly [head: string, cell: (token: ApiToken) => Cell])[] = [
  ["id", ({ id }) => id],
  ["name", ({ name }) => name],
  ["scopes", ({ scopes }) => scopes.join(" ")],
  ["createdAt", ({ createdAt }) => createdAt],
  ["expiresAt", ({ expiresAt }) => expiresAt],
  ["last4", ({ last4 }) => last4],
  ["createdBy", ({ createdBy }) => createdBy.email],
  ["currency", ({ spendLimit: limit }) => limit?.amount?.currency ?? null],
  ["monthlyAmount", ({ spendLimit: limit }) => (limit?.amount ? toDecimalString(limit.amount) : null)],
  ["monthlyLicenses", ({ spendLimit: limit }) => limit?.licenses ?? null],
];

/** Renders API tokens as CSV: a row each, with amounts in major units; never a secret. */
export function tokensCsv(tokens: readonly ApiToken[]): string {
  return toCsv(
    COLUMNS.map(([head]) => head),
    tokens.map((token) => COLUMNS.map(([, cell]) => cell(token))),
  );
}

/** All scopes by their full names. */
export function allScopes({ scopes }: Pick<ApiToken, "scopes">): string {
  return scopes.map((scope) => clean(scope)).join(", ") || "none";
}

/** Short names of the scopes. `buy` comes first, so that it is never cut. */
const SHORT_SCOPES: ReadonlyMap<string, string> = new Map<Scope, string>([
  ["billing:purchase", "buy"],
  ["billing:read", "billing"],
  ["users:read", "users"],
  ["users:write", "users:write"],
]);

/** `buy, billing` for `billing:read, billing:purchase`. */
export function shortScopes(scopes: readonly string[]): string {
  const known = [...SHORT_SCOPES].filter(([scope]) => scopes.includes(scope));
  if (known.length === SHORT_SCOPES.size) return "all";
  const others = scopes.filter((scope) => !SHORT_SCOPES.has(scope));
  return [...known.map(([, short]) => short), ...others.map((scope) => clean(scope))].join(", ") || "none";
}

/** `£500.00, 10 licenses`; there is no room for what is left of it. */
export function shortLimit({ spendLimit }: Pick<ApiToken, "spendLimit">): string | null {
  if (spendLimit === null) return null;
  const { amount, licenses: count } = spendLimit;
  return [amount && moneyText(amount), count === null ? null : licenses(count)].filter(Boolean).join(", ");
}

/** Renders a new token: the secret on a line of its own, whole, then its properties. */
export function renderCreatedToken(token: CreatedToken, view: View): string {
  const shownOnce = "This token is shown once. Store it as the secret SECUREFLAG_API_TOKEN of your CI.";
  return `${cleanWhole(token.token)}\n\n${wrap(shownOnce, view.width)}\n\n${renderToken(token, view)}`;
}

function renderToken(token: ApiToken, view: View): string {
  return fields(
    [
      ["Token", view.style.bold(clean(token.name))],
      ["ID", clean(token.id)],
      ["Ends in", token.last4 && clean(token.last4)],
      ["Scopes", allScopes(token)],
      ["Expires", expiry(token)],
      ["Limit", spendLimit(token.spendLimit)],
      ["Created by", clean(token.createdBy.email)],
    ],
    view,
  );
}

function expiry({ expiresAt, expiresIn }: ApiToken): string {
  if (expiresAt === null) return "never";
  return expiresIn === 0 ? `${instant(expiresAt)} (expired)` : instant(expiresAt);
}

/** The expiry without the time of day, for a column. */
function expiryDate({ expiresAt, expiresIn }: ApiToken): string {
  if (expiresAt === null) return "never";
  return expiresIn === 0 ? "expired" : expiresAt.slice(0, 10);
}
