import type { ClockAnswer, SandboxState } from "../../client/client.ts";
import { clean, cleanWhole } from "./clean.ts";
import { moneyText } from "./money.ts";
import { renderPurchases } from "./purchases.ts";
import { columns, fields } from "./table.ts";
import type { View } from "./view.ts";
import { instant } from "./words.ts";

/** What a sandbox says when it is ready (cli.md). */
export interface SandboxReady {
  readonly url: string;
  readonly organizationId: number;
  readonly admin: { readonly email: string; readonly password: string } | null;
  readonly token: string | null;
  readonly dataDir: string | null;
  readonly pid: number;
}

/** Where the sandbox is and how to use it; the line to copy is never wrapped. */
export function renderReady(ready: SandboxReady, view: View): string {
  const { admin, token } = ready;
  const facts = fields(
    [
      ["Sandbox", ready.url],
      ["Organization", String(ready.organizationId)],
      ["Administrator", admin && clean(admin.email)],
      ["Password", admin && clean(admin.password)],
      ["Data", ready.dataDir === null ? "kept nowhere" : clean(ready.dataDir)],
    ],
    view,
  );
  const variables = [`SECUREFLAG_API_URL=${quoted(ready.url)}`, token && `SECUREFLAG_API_TOKEN=${quoted(token)}`];
  const copy = `export ${variables.filter(Boolean).join(" ")}`;
  return `${facts}\n\nIn another terminal:\n${copy}\n\nCtrl-C ends it.`;
}

/** The clock, and what the provider captured. */
export function renderClock({ now, captures, next }: SandboxState, view: View): string {
  if (captures.length === 0) return `${instant(now)}\nNothing was charged yet.`;
  const rows = captures.map(({ purchaseId, amount, currency, refunded }) => [
    clean(purchaseId),
    moneyText({ amount, currency }) + (refunded > 0 ? `, refunded ${moneyText({ amount: refunded, currency })}` : ""),
  ]);
  const more = next === null ? "" : `\nOnly the oldest ${captures.length} charges are listed.`;
  return `${instant(now)}\n${columns(["Purchase", "Charged"], rows, [29, 29], view)}${more}`;
}

/** Where the clock is after it was moved, and the renewals on the way, newest first as in every list of them. */
export function renderMoved({ now, renewals, renewalCount = renewals.length }: ClockAnswer, view: View): string {
  const moved = `The clock is at ${instant(now)}.`;
  if (renewalCount === 0) return moved;
  const left = renewalCount - renewals.length;
  const newest = left > 0 ? `; the newest ${renewals.length}` : "";
  const what = `${renewalCount} ${renewalCount === 1 ? "renewal" : "renewals"} fell due on the way${newest}, dates in UTC:`;
  return `${moved}\n\n${what}\n${renderPurchases(renewals.toReversed(), "UTC", view)}`;
}

/** A value for a POSIX shell; a plain one stays as it is. */
function quoted(text: string): string {
  const value = cleanWhole(text);
  return /^[\w./:@%+=,-]+$/.test(value) ? value : `'${value.replaceAll("'", "'\\''")}'`;
}
