import type { VNode } from "preact";
import { formatMoney } from "../../billing/money.ts";
import type { KnownMonth } from "./figures.ts";

/** In units of the drawing, which is about as wide as a phone so that its texts can be read there. */
const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [360, 200, 58, 4, 10, 22];

/** The least distance of two months' names. */
const MONTH_WIDTH = 52;

/** Draws what was spent by month. Refunds without charges go below the line. */
export function SpendChart({ months, currency }: { months: readonly KnownMonth[]; currency: string }): VNode {
  const amounts = months.map(({ net }) => net.amount);
  const scale = scaleOf(Math.min(0, ...amounts), Math.max(1, ...amounts));
  return (
    <Chart
      label={`Net spend by month, ${months[0]?.month} to ${months.at(-1)?.month}`}
      months={months}
      scale={scale}
      tick={(amount) => formatMoney({ amount, currency }).replace(/\.0+$/, "")}
    >
      {(slot) => (
        <Bar className="spent" value={months[slot.index]?.net.amount ?? 0} scale={scale} slot={slot} part={0.7} />
      )}
    </Chart>
  );
}

/** Draws the licenses at the end of each month, and in front of them those that were used. */
export function LicenseChart({ months }: { months: readonly KnownMonth[] }): VNode {
  const scale = scaleOf(0, Math.max(1, ...months.map(({ purchased, used }) => Math.max(purchased ?? 0, used ?? 0))));
  return (
    <Chart
      label={`Licenses purchased and used by month, ${months[0]?.month} to ${months.at(-1)?.month}`}
      months={months}
      scale={scale}
      tick={String}
    >
      {(slot) => {
        const { purchased, used } = months[slot.index] ?? {};
        return [
          purchased != null && <Bar className="purchased" value={purchased} scale={scale} slot={slot} part={0.8} />,
          used != null && <Bar className="used" value={used} scale={scale} slot={slot} part={0.45} />,
        ];
      }}
    </Chart>
  );
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

interface Slot {
  readonly index: number;
  readonly left: number;
  readonly width: number;
}

function Bar({ className, value, scale, slot, part }: BarProps): VNode {
  const width = slot.width * part;
  const [top, bottom] = [Math.min(scale.y(value), scale.y(0)), Math.max(scale.y(value), scale.y(0))];
  const [x, y, height] = [slot.left + (slot.width - width) / 2, top, bottom - top].map(rounded);
  return <rect class={className} x={x} y={y} width={rounded(width)} height={height} />;
}

interface BarProps {
  readonly className: string;
  readonly value: number;
  readonly scale: Scale;
  readonly slot: Slot;
  /** How much of the month's width. */
  readonly part: number;
}

function rounded(length: number): string {
  return length.toFixed(2).replace(/\.?0+$/, "");
}

interface ChartProps {
  readonly label: string;
  readonly months: readonly KnownMonth[];
  readonly scale: Scale;
  readonly tick: (value: number) => string;
  readonly children: (slot: Slot) => VNode | (VNode | false)[];
}

function Chart({ label, months, scale, tick, children }: ChartProps): VNode {
  const width = (WIDTH - LEFT - RIGHT) / months.length;
  const slots = months.map((_, index) => ({ index, left: LEFT + index * width, width }));
  const every = Math.ceil(MONTH_WIDTH / width);
  return (
    <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={label}>
      {scale.ticks.map((value) => (
        <g key={value}>
          <line
            class={value === 0 ? "zero" : "grid"}
            x1={LEFT}
            x2={WIDTH - RIGHT}
            y1={scale.y(value)}
            y2={scale.y(value)}
          />
          <text x={LEFT - 6} y={scale.y(value) + 3} text-anchor="end">
            {tick(value)}
          </text>
        </g>
      ))}
      {slots.map(children)}
      {slots
        // The last month is named, and others as far from it as there is room.
        .filter(({ index }) => (months.length - 1 - index) % every === 0)
        .map(({ index, left }) => (
          <text key={index} x={Math.min(WIDTH - 20, left + width / 2)} y={HEIGHT - 6} text-anchor="middle">
            {months[index]?.month}
          </text>
        ))}
    </svg>
  );
}
