/** One figure that was measured, beside its goal. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  /** What the value counts, such as "× node -e 0". */
  readonly unit: string;
  /** What it may be at most, or has to be at least; infinite without a goal. */
  readonly goal: number;
  /** Whether the goal is the least that it has to be; the most, if left out. */
  readonly isFloor?: boolean;
  /** What the value comes from, by what was measured. */
  readonly samples: Readonly<Record<string, readonly number[]>>;
}

/** A budget: how it is measured, and whether that takes longer than a few seconds. */
export interface Budget {
  readonly name: string;
  readonly isSlow: boolean;
  /**
   * Gives figures; none where there is nothing to measure, and then says so by `say`.
   *
   * @throws any error where the measurement could not be made
   */
  measure(say: (line: string) => void): Promise<readonly Figure[]>;
}

/** The one in the middle; of an even number, the mean of the two. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  const [low, high] = [Math.floor((sorted.length - 1) / 2), Math.ceil((sorted.length - 1) / 2)];
  return ((sorted[low] ?? Number.NaN) + (sorted[high] ?? Number.NaN)) / 2;
}

/** The value that a share of all values does not exceed: `percentile(values, 0.99)`. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

/** Whether a figure is within its goal. */
export function isWithin({ value, goal, isFloor = false }: Figure): boolean {
  return isFloor ? value >= goal : value <= goal;
}
