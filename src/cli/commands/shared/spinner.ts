import type { Context } from "../../context.ts";
import { colorLevel } from "../../render/color.ts";
import type { OutputOptions } from "./output.ts";

const PATIENCE_MS = 300;

/** Shows a spinner on a terminal's stderr while work lasts longer than 300 ms; nothing animates elsewhere (cli.md). */
export async function withSpinner<Result>(
  context: Context,
  options: OutputOptions,
  text: string,
  work: Promise<Result>,
): Promise<Result> {
  const { io, env } = context;
  if (!io.stderrIsTerminal || options.json || options.quiet || options.verbose) return work;
  const settled = work.then(
    () => true,
    () => true,
  );
  if (await Promise.race([settled, context.clock.sleep(PATIENCE_MS).then(() => false)])) return work;
  const { output } = io.terminal();
  // Without a width the spinner cannot know how many lines it takes, and would clear those above it.
  if (!output.columns) return work;
  const { default: ora } = await import("ora");
  const level = colorLevel({ env, isTerminal: true, color: options.color });
  const spinner = ora({
    text,
    stream: output,
    isEnabled: true,
    discardStdin: false,
    color: level > 0 ? "cyan" : false,
  });
  context.onEnd(async () => void spinner.stop());
  spinner.start();
  return work.finally(() => spinner.stop());
}
