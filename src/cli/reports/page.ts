import { formatMoney } from "../../billing/money.ts";
import { isTaxed } from "../../billing/proration.ts";
import { modeOf } from "../../contract/mode.ts";
import { cleanWhole } from "../kit/text.ts";
import { instant } from "../kit/words.ts";
import { licenseChart, spendChart } from "./charts.ts";
import {
  days,
  GROUP_HEADS,
  type KnownMonth,
  knownMonths,
  NO_KEY,
  type ShownReport,
  savingCommand,
  unusedWords,
} from "./figures.ts";
import { html, Markup } from "./markup.ts";

/** Light and dark, from a phone's width up, and for A4 in light colors, which paper is. */
const STYLE = `
:root { color-scheme: light dark; --ink: #14171f; --quiet: #545b69; --paper: #fff; --wash: #f3f5f9; --line: #d5d9e1; --spent: #0b57d0; --purchased: #c3d6f5; --used: #0b57d0; --warn: #7a4100; --warn-wash: #fff4e0; }
@media screen and (prefers-color-scheme: dark) { :root { --ink: #e8eaf0; --quiet: #a9b0bf; --paper: #12141a; --wash: #1b1f28; --line: #363c49; --spent: #a8c7fa; --purchased: #33476b; --used: #a8c7fa; --warn: #ffcf87; --warn-wash: #2d2008; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--wash); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; font-variant-numeric: tabular-nums; }
main { max-width: 72rem; margin: 0 auto; padding: 1rem; }
h1 { margin: 0; font-size: 1.5rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { margin: 0 0 .75rem; font-size: 1.0625rem; line-height: 1.25; }
p { margin: 0; } .lead, footer { color: var(--quiet); } footer { margin: 1rem 0 0; font-size: .8125rem; }
.mode { display: inline-block; margin-bottom: .5rem; padding: .125rem .625rem; border: 1px solid var(--warn); border-radius: .375rem; background: var(--warn-wash); color: var(--warn); font-size: .8125rem; font-weight: 700; }
dl { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: .75rem; margin: 1rem 0; }
dl div, section { background: var(--paper); border: 1px solid var(--line); border-radius: .625rem; padding: .75rem; }
dt { color: var(--quiet); font-size: .8125rem; } dd { margin: 0; overflow-wrap: anywhere; }
.figure { font-size: 1.375rem; font-weight: 650; line-height: 1.3; } .more { color: var(--quiet); font-size: .8125rem; }
.pair { display: grid; gap: .75rem; grid-template-columns: minmax(0, 1fr); } .groups { margin-top: .75rem; }
svg { display: block; width: 100%; height: auto; margin-bottom: .5rem; } svg text { fill: var(--quiet); font-size: 10px; }
.grid { stroke: var(--line); stroke-width: .75; } .zero { stroke: var(--quiet); stroke-width: 1; }
.spent { fill: var(--spent); } .purchased { fill: var(--purchased); } .used { fill: var(--used); }
.legend { display: flex; gap: 1rem; margin-bottom: .25rem; color: var(--quiet); font-size: .8125rem; }
.legend span::before { content: ""; display: inline-block; width: .75rem; height: .75rem; margin-right: .375rem; border-radius: .125rem; background: var(--key); vertical-align: -.0625rem; }
.of-purchased { --key: var(--purchased); } .of-used { --key: var(--used); }
.saving { margin: 0 0 1rem; }
.wide { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-size: .6875rem; }
th { color: var(--quiet); font-weight: 500; vertical-align: bottom; } th, td { padding: .3125rem 0 .3125rem .25rem; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child, td:first-child { padding-left: 0; text-align: left; } tbody th { color: inherit; font-weight: 400; white-space: nowrap; } .groups tbody th { white-space: normal; overflow-wrap: anywhere; } td { white-space: nowrap; }
tfoot th, tfoot td { border-bottom: 0; color: inherit; font-weight: 700; }
code { font-family: ui-monospace, monospace; font-size: .9em; overflow-wrap: anywhere; }
@media (min-width: 30rem) { table { font-size: .8125rem; } }
@media (min-width: 48rem) { main { padding: 2rem; } dl div, section { padding: .875rem 1rem; } dl { grid-template-columns: repeat(4, minmax(0, 1fr)); } }
@media screen and (min-width: 64rem) { .pair { grid-template-columns: minmax(0, 1.2fr) minmax(0, 1fr); align-items: start; } table { font-size: .875rem; } th, td { padding-left: .75rem; } }
@page { size: A4; margin: 14mm; }
@media print { body { background: none; font-size: 9pt; } main { max-width: none; padding: 0; } h1 { font-size: 15pt; } h2 { font-size: 10.5pt; } dl { grid-template-columns: repeat(4, minmax(0, 1fr)); margin: 8pt 0; gap: 6pt; } dl div, section { border-radius: 4pt; padding: 6pt 8pt; } .figure { font-size: 12pt; } .saving { margin-bottom: 8pt; } .more, dt, .legend, footer { font-size: 7.5pt; }
  .pair { grid-template-columns: minmax(0, 1.45fr) minmax(0, 1fr); gap: 6pt; align-items: start; } table { font-size: 7.5pt; } th, td { padding: 2pt 0 2pt 3pt; } .wide { overflow: visible; } thead { display: table-header-group; } tfoot { display: table-row-group; } tr, svg, dl div { break-inside: avoid; } .legend span::before { print-color-adjust: exact; } }
`;

/**
 * Renders a report as one HTML page that needs nothing else: no script, no font, no picture. Every text in it is escaped,
 * and cleaned as for a terminal. Amounts are written the same for everyone, because others read it later.
 */
export function reportPage(shown: ShownReport): string {
  const { report, subscription } = shown;
  const title = `${cleanWhole(report.organization.name)}: licenses, ${report.from} to ${report.to}`;
  const taxed = isTaxed(subscription.taxRate) ? "Amounts include tax. " : "";
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${title}</title>
<style>${new Markup(STYLE)}</style>
</head>
<body>
<main>
${header(shown)}${figures(shown)}${savingHint(shown)}${monthSections(shown)}${groupSection(shown)}
<footer>As of ${instant(report.asOf)}; months of ${cleanWhole(subscription.organization.timeZone)}. Licenses are those at the
end of a month. ${taxed}Net is what was charged, renewals included, less what was refunded. What
happened, and proof of it: <code>secureflag-licenses events export</code>.</footer>
</main>
</body>
</html>
`.text;
}

function header({ report, subscription }: ShownReport): Markup {
  const mode = modeOf(subscription);
  const { organization, from, to } = report;
  return html`<header>
${mode === "live" ? null : html`<p class="mode">${mode.toUpperCase()}: no money moves</p>`}
<h1>${cleanWhole(organization.name)}</h1>
<p class="lead">Licenses and spending, ${from} to ${to} · organization ${organization.id}</p>
</header>`;
}

function figures({ report, subscription }: ShownReport): Markup {
  const { total, runway, unused } = report;
  const { purchased, used, available } = subscription.licenses;
  const purchases = total.purchases === 1 ? "1 purchase" : `${total.purchases} purchases`;
  const refunded = total.refunded.amount > 0 ? `, ${formatMoney(total.refunded)} refunded` : "";
  const pace = runway
    ? `at ${runway.usersPerDay} users a day in the last ${days(runway.basisDays)}`
    : "the number of users has not grown in the last 90 days";
  const atRenewal = unused ? `${formatMoney(unused.renewalTotal)} at the renewal` : "no renewal";
  return html`<dl>
${figure("Net spend", formatMoney(total.net), purchases + refunded)}
${figure("Licenses used now", `${used} of ${purchased}`, `${available} available`)}
${figure("Unused", String(unused?.licenses ?? available), atRenewal)}
${figure("Runway", runway ? days(runway.days) : "–", pace)}
</dl>`;
}

function figure(name: string, value: string, more: string): Markup {
  return html`<div><dt>${name}</dt><dd class="figure">${value}</dd><dd class="more">${more}</dd></div>`;
}

/** What to do about licenses that nobody uses. */
function savingHint({ report, subscription }: ShownReport): Markup | null {
  const saving = savingCommand(report, subscription);
  if (saving === null) return null;
  const unused = unusedWords(report, subscription, formatMoney);
  return html`<p class="saving">${unused}. Save that with <code>${saving}</code>.</p>`;
}

const AMOUNTS = ["charged", "tax", "refunded", "net"] as const;

const AMOUNT_HEADS = { charged: "Charged", tax: "Tax", refunded: "Refunded", net: "Net" } as const;

type Spent = Pick<KnownMonth, (typeof AMOUNTS)[number]>;

function monthSections({ report }: ShownReport): Markup {
  const months = knownMonths(report);
  if (months.length === 0) return html`<section>Nothing is known of these months.</section>`;
  const { total, currency } = report;
  const amounts = AMOUNTS.filter((name) => name !== "refunded" || total.refunded.amount > 0);
  const amountsOf = (spent: Spent) => amounts.map((name) => formatMoney(spent[name]));
  return html`<div class="pair">
<section>
<h2>Net spend</h2>
${spendChart(months, currency)}
${table(
  ["Month", "Purchases", ...amounts.map((name) => AMOUNT_HEADS[name])],
  months.map((each) => [each.month, String(each.purchases), ...amountsOf(each)]),
  ["Total", String(total.purchases), ...amountsOf(total)],
)}
</section>
<section>
<h2>Licenses</h2>
${licenseChart(months)}
<p class="legend"><span class="of-purchased">Purchased</span><span class="of-used">Used</span></p>
${table(
  ["Month", "Purchased", "Used", "Users added", "Users removed"],
  months.map((each) => [each.month, ...countsOf(each)]),
)}
</section>
</div>`;
}

function countsOf({ purchased, used, usersAdded, usersRemoved }: KnownMonth): string[] {
  return [purchased, used, usersAdded, usersRemoved].map((count) => (count === null ? "–" : String(count)));
}

function groupSection({ report, by }: ShownReport): Markup | null {
  if (by === null || report.by === null || report.by.length === 0) return null;
  const rows = report.by.map(({ key, purchases, licenses, net }) => [
    key === null ? NO_KEY[by] : cleanWhole(key),
    String(purchases),
    String(licenses),
    formatMoney(net),
  ]);
  return html`<section class="groups">
<h2>By ${{ buyer: "buyer", token: "API token", po: "purchase order" }[by]}</h2>
${table([GROUP_HEADS[by], "Purchases", "Licenses", "Net"], rows)}
</section>`;
}

function table(heads: readonly string[], rows: readonly (readonly string[])[], total?: readonly string[]): Markup {
  return html`<div class="wide"><table>
<thead><tr>${heads.map((head) => html`<th scope="col">${head}</th>`)}</tr></thead>
<tbody>
${rows.map(tableRow)}</tbody>
${total ? html`<tfoot>${tableRow(total)}</tfoot>` : null}
</table></div>`;
}

function tableRow([name = "", ...cells]: readonly string[]): Markup {
  return html`<tr><th scope="row">${name}</th>${cells.map((cell) => html`<td>${cell}</td>`)}</tr>
`;
}
