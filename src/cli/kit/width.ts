import type { Context } from "../context.ts";

/** The width of a terminal that does not report one. */
const DEFAULT_COLUMNS = 80;

/** Below this, a table has no room for its columns. */
const MIN_COLUMNS = 30;

/** Longer lines of text are hard to read. */
const MAX_TEXT_COLUMNS = 100;

/** The width of the terminal in columns: what it reports or what `COLUMNS` says, whichever is less. */
export function terminalColumns({ io, env }: Pick<Context, "io" | "env">): number {
  const set = /^[1-9]\d{0,5}$/.test(env.COLUMNS ?? "") ? Number(env.COLUMNS) : undefined;
  const columns = io.columns ?? set ?? DEFAULT_COLUMNS;
  return Math.max(MIN_COLUMNS, Math.min(columns, set ?? columns));
}

/** The width of text on a stream: that of the terminal, at most 100 columns; infinite off a terminal. */
export function textWidth(context: Pick<Context, "io" | "env">, stream: "stdout" | "stderr"): number {
  const { stdoutIsTerminal, stderrIsTerminal } = context.io;
  const isTerminal = stream === "stdout" ? stdoutIsTerminal : stderrIsTerminal;
  return isTerminal ? Math.min(MAX_TEXT_COLUMNS, terminalColumns(context)) : Number.POSITIVE_INFINITY;
}

/** The width of help, which is wrapped everywhere: the same for everyone off a terminal. */
export function helpWidth(context: Pick<Context, "io" | "env">): number {
  return Math.max(MIN_HELP_COLUMNS, Math.min(MAX_TEXT_COLUMNS, terminalColumns(context)));
}

/** Below this, a column of words is harder to read than a line that the terminal wraps. */
const MIN_HELP_COLUMNS = 40;
