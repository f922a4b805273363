/** The environment as it is passed in. */
type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Whether output and questions are plain lines: no cursor moves, no color, no spinner, and words instead of bars. A screen
 * reader asks for it with `ACCESSIBLE`, a terminal that acts on no escape sequence with `TERM=dumb`. `ACCESSIBLE=0` and
 * `ACCESSIBLE=false` ask for nothing.
 */
export function isPlain({ ACCESSIBLE = "", TERM }: Environment): boolean {
  return TERM === "dumb" || !["", "0", "false"].includes(ACCESSIBLE.toLowerCase());
}
