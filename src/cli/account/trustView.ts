import type { Trust } from "../../contract/trusts.ts";
import type { View } from "../kit/output.ts";
import { type Column, fields, list } from "../kit/table.ts";
import { clean, shortId } from "../kit/text.ts";
import { wrap } from "../kit/wrap.ts";
import { allScopes, shortLimit, shortScopes } from "./tokenView.ts";
import { spendLimit } from "./whoami.ts";

const LIST: readonly Column[] = [
  { head: "Name", cutTo: 8 },
  { head: "Issuer", cutTo: 12 },
  { head: "Claims", cutTo: 20 },
  { head: "Scopes", cutTo: 10 },
  { head: "Monthly limit", cutTo: 10, isOptional: true },
  { head: "By", cutTo: 8, isOptional: true },
  { head: "ID" },
];

/** Renders trusts as a table, on a terminal with a total. */
export function renderTrusts(trusts: readonly Trust[], view: View): string {
  if (trusts.length === 0) return "No trusts. Add one with `secureflag-licenses tokens trust add`.";
  const isTerminal = Number.isFinite(view.width);
  const rows = trusts.map((trust) => [
    clean(trust.name),
    clean(trust.issuer),
    claimsOf(trust).join(", "),
    isTerminal ? shortScopes(trust.scopes) : allScopes(trust),
    (isTerminal ? shortLimit(trust) : spendLimit(trust.spendLimit)?.replace("\n", "; ")) ?? "none",
    clean(trust.createdBy.email),
    isTerminal ? shortId(clean(trust.id)) : clean(trust.id),
  ]);
  const table = list(LIST, rows, view);
  if (!isTerminal && table !== null) return table;
  const total = `Total: ${trusts.length} ${trusts.length === 1 ? "trust" : "trusts"}.`;
  return `${table ?? trusts.map((trust) => renderTrust(trust, view)).join("\n\n")}\n\n${total}`;
}

function claimsOf({ claims }: Trust): string[] {
  return Object.entries(claims).map(([name, value]) => clean(`${name}=${value}`));
}

/** Renders a new trust, and how a job uses it. */
export function renderAddedTrust(trust: Trust, organizationId: number, view: View): string {
  const use = `In the job, set SECUREFLAG_TRUST=${clean(trust.name)} and SECUREFLAG_ORGANIZATION=${organizationId}.`;
  return `${renderTrust(trust, view)}\n\n${wrap(use, view.width)}`;
}

function renderTrust(trust: Trust, view: View): string {
  return fields(
    [
      ["Trust", view.style.bold(clean(trust.name))],
      ["ID", clean(trust.id)],
      ["Issuer", clean(trust.issuer)],
      ["Claims", claimsOf(trust).join("\n")],
      ["Scopes", allScopes(trust)],
      ["Limit", spendLimit(trust.spendLimit)],
      ["Created by", clean(trust.createdBy.email)],
    ],
    view,
  );
}
