import type { Context } from "../../context.ts";
import { reportOf } from "../../errors.ts";
import { clean, MAX_TEXT } from "../../render/clean.ts";
import { label } from "../../render/color.ts";
import { toJson } from "../../render/json.ts";
import { wrap } from "../../render/wrap.ts";

const WIDTH = 60;
const MOST_PROBLEMS = 100;

/**
 * Tells a failure on stderr: what is wrong with an input file line by line, what happened and what to do next, or under
 * `--json` one JSON document and nothing else (cli.md, Output). An interruption without last words is silent, and
 * canceling is no error.
 *
 * @param argv read here once more, because a failure may come before the flags were understood
 * @returns the exit code
 */
export function reportFailure(error: unknown, argv: readonly string[], context: Context): number {
  const report = reportOf(error, Boolean(context.env.SECUREFLAG_API_TOKEN));
  const { code, exitCode, requestId } = report;
  const isJson = argv.includes("--json");
  const message = sentence(report.message, isJson ? Number.POSITIVE_INFINITY : MAX_TEXT);
  // A hint may hold an address beside our own words.
  const hint = report.hint === null ? null : sentence(report.hint, isJson ? Number.POSITIVE_INFINITY : 2 * MAX_TEXT);
  const problems = report.problems.slice(0, MOST_PROBLEMS);
  if (isJson) {
    const told = { code, message: message || "Interrupted.", hint, exitCode, requestId };
    context.io.note(`${toJson({ error: { ...told, ...(problems.length > 0 && { problems }) } })}\n`, true);
  } else if (message !== "") {
    const isAnnotated = context.io.workflowCommand("error", [message, hint].filter(Boolean).join(" "));
    const isCanceled = code === "declined_by_person" || code === "interrupted";
    const choice = {
      env: context.env,
      isTerminal: context.io.stderrIsTerminal,
      color: !argv.includes("--no-color"),
    };
    const error = isAnnotated ? [] : [isCanceled ? message : `${label("Error", choice)} ${message}`, hint ?? ""];
    const lines = [...error, requestId === null ? "" : `Request: ${clean(requestId)}`];
    const told = lines.filter((line) => line !== "").map((line) => wrap(line, WIDTH));
    const more = report.problems.length - problems.length;
    const list = problems.map((problem) => `line ${problem.line}: ${clean(problem.message)}`);
    const all = [...list, ...(more > 0 ? [`and ${more.toLocaleString("en-US")} more`] : []), ...told];
    if (all.length > 0) context.io.note(`${all.join("\n")}\n`);
  }
  if (argv.some((argument) => argument === "-v" || argument === "--verbose")) context.io.note(`${traceOf(error)}\n`);
  return exitCode;
}

function sentence(text: string, longest: number): string {
  const cleaned = clean(text, { longest }).trim();
  return cleaned === "" || /[.!?…]$/.test(cleaned) ? cleaned : `${cleaned}.`;
}

/** The stack, and those of its causes. */
function traceOf(error: unknown): string {
  if (!(error instanceof Error)) return clean(String(error));
  const own = (error.stack ?? error.message)
    .split("\n")
    .map((line) => clean(line))
    .join("\n");
  return error.cause instanceof Error ? `${own}\nCaused by: ${traceOf(error.cause)}` : own;
}
