/** A bar of so many columns, filled as far as its share; other than a color it says the same to everybody. */
export function bar(share: number, width: number): { filled: string; empty: string } {
  const filled = Math.round(Math.min(1, Math.max(0, share)) * width);
  return { filled: "█".repeat(filled), empty: "░".repeat(width - filled) };
}
