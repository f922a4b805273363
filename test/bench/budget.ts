/** One figure that was measured, beside what it may be at most. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  /** What the value counts, such as "× node -e 0". */
  readonly unit: string;
  readonly goal: number;
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

/** Whether a figure is within its goal. */
export function isWithin({ value, goal }: Figure): boolean {
  return value <= goal;
}
