import { formatMoney } from "../../billing/money.ts";
import type { KnownMonth } from "./figures.ts";
import { html, type Markup } from "./markup.ts";

/** In units of the drawing, which is about as wide as a phone so that its texts can be read there. */
const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [360, 200, 58, 4, 10, 22];

/** The least distance of two months' names. */
const MONTH_WIDTH = 52;

/** Draws what was spent by month. Refunds without charges go below the line. */
export function spendChart(months: readonly KnownMonth[], currency: string): Markup {
  const amounts = months.map(({ net }) => net.amount);
  const scale = scaleOf(Math.min(0, ...amounts), Math.max(1, ...amounts));
  return chart("Net spend", months, {
    scale,
    tick: (amount) => formatMoney({ amount, currency }).replace(/\.0+$/, ""),
    draw: ({ net }, slot) => [barOf("spent", net.amount, { scale, slot, part: 0.7 })],
  });
}

/** Draws the licenses at the end of each month, and in front of them those that were used. */
export function licenseChart(months: readonly KnownMonth[]): Markup {
  const scale = scaleOf(0, Math.max(1, ...months.map(({ purchased, used }) => Math.max(purchased ?? 0, used ?? 0))));
  return chart("Licenses purchased and used", months, {
    scale,
    tick: String,
    draw: ({ purchased, used }, slot) => [
      purchased === null ? null : barOf("purchased", purchased, { scale, slot, part: 0.8 }),
      used === null ? null : barOf("used", used, { scale, slot, part: 0.45 }),
    ],
  });
}

/** Where values are in a drawing. */
interface Scale {
  readonly ticks: readonly number[];
  y(value: number): number;
}

/** A scale with whole numbers at its lines, which are 1, 2 or 5 times a power of ten apart. */
function scaleOf(lowest: number, highest: number): Scale {
  const steps = Array.from({ length: 17 }, (_, power) => [1, 2, 5].map((times) => times * 10 ** power)).flat();
  const step = steps.find((size) => (highest - lowest) / size <= 4) ?? highest;
  const [bottom, top] = [Math.floor(lowest / step) * step, Math.ceil(highest / step) * step];
  const ticks = Array.from({ length: Math.round((top - bottom) / step) + 1 }, (_, index) => bottom + index * step);
  const y = (value: number) => TOP + ((top - value) / (top - bottom)) * (HEIGHT - TOP - BOTTOM);
  return { ticks, y };
}

/** The place of a month. */
interface Slot {
  readonly left: number;
  readonly width: number;
}

/** `part` is how much of the month's width a bar takes. */
function barOf(name: string, value: number, { scale, slot, part }: { scale: Scale; slot: Slot; part: number }): Markup {
  const width = slot.width * part;
  const [top, bottom] = [Math.min(scale.y(value), scale.y(0)), Math.max(scale.y(value), scale.y(0))];
  const [x, y, wide, high] = [slot.left + (slot.width - width) / 2, top, width, bottom - top].map(rounded);
  return html`<rect class="${name}" x="${x ?? ""}" y="${y ?? ""}" width="${wide ?? ""}" height="${high ?? ""}"/>`;
}

function rounded(length: number): string {
  return length.toFixed(2).replace(/\.?0+$/, "");
}

interface ChartOptions {
  readonly scale: Scale;
  readonly tick: (value: number) => string;
  readonly draw: (month: KnownMonth, slot: Slot) => readonly (Markup | null)[];
}

function chart(what: string, months: readonly KnownMonth[], { scale, tick, draw }: ChartOptions): Markup {
  const width = (WIDTH - LEFT - RIGHT) / months.length;
  const every = Math.ceil(MONTH_WIDTH / width);
  const leftOf = (index: number) => LEFT + index * width;
  const lines = scale.ticks.map((value) => {
    const y = rounded(scale.y(value));
    const name = value === 0 ? "zero" : "grid";
    return html`<line class="${name}" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y}" y2="${y}"/>
<text x="${LEFT - 6}" y="${rounded(scale.y(value) + 3)}" text-anchor="end">${tick(value)}</text>
`;
  });
  const names = months.map(({ month }, index) => {
    // The last month is named, and others as far from it as there is room.
    if ((months.length - 1 - index) % every !== 0) return null;
    const x = rounded(Math.min(WIDTH - 20, leftOf(index) + width / 2));
    return html`<text x="${x}" y="${HEIGHT - 6}" text-anchor="middle">${month}</text>
`;
  });
  const label = `${what} by month, ${months[0]?.month} to ${months.at(-1)?.month}`;
  return html`<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${label}">
${lines}${months.map((month, index) => draw(month, { left: leftOf(index), width }))}
${names}</svg>`;
}
