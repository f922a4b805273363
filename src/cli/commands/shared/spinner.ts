import type { Ora } from "ora";
import type { Context } from "../../context.ts";
import { colorLevel } from "../../render/color.ts";
import type { OutputOptions } from "./output.ts";

const PATIENCE_MS = 300;

/**
 * Shows a spinner on a terminal's stderr while work lasts longer than 300 ms; nothing animates elsewhere (cli.md). It is
 * away while the work asks a person something.
 */
export async function withSpinner<Result>(
  context: Context,
  options: OutputOptions,
  text: string,
  work: Promise<Result>,
): Promise<Result> {
  if (!mayMove(context, options)) return work;
  const settled = work.then(
    () => true,
    () => true,
  );
  let spinner: Ora | null = null;
  let paused = false;
  const around = context.animation;
  context.animation = {
    pause: () => {
      paused = true;
      spinner?.stop();
    },
    resume: () => {
      paused = false;
      spinner?.start();
    },
  };
  try {
    if (await Promise.race([settled, context.clock.sleep(PATIENCE_MS).then(() => false)])) return await work;
    spinner = await createSpinner(context, options, text);
    if (!paused) spinner?.start();
    return await work;
  } finally {
    context.animation = around;
    spinner?.stop();
  }
}

/**
 * Shows on a terminal's stderr how far work has come; nothing moves elsewhere. The work may keep the process busy: what
 * it shows is drawn at once.
 */
export async function withProgress<Result>(
  context: Context,
  options: OutputOptions,
  work: (show: (text: string) => void) => Result,
): Promise<Result> {
  const spinner = mayMove(context, options) ? await createSpinner(context, options, "") : null;
  try {
    return work((text) => {
      if (spinner === null) return;
      spinner.text = text;
      if (spinner.isSpinning) spinner.render();
      else spinner.start();
    });
  } finally {
    spinner?.stop();
  }
}

function mayMove({ io }: Context, { json, quiet, verbose }: OutputOptions): boolean {
  return io.stderrIsTerminal && !json && !quiet && !verbose;
}

/** `null` where it cannot be drawn: without a width it cannot know how many lines it takes, and would clear others. */
async function createSpinner(context: Context, options: OutputOptions, text: string): Promise<Ora | null> {
  const { output } = context.io.terminal();
  if (!output.columns) return null;
  const { default: ora } = await import("ora");
  const level = colorLevel({ env: context.env, isTerminal: true, color: options.color });
  const color = level > 0 ? "cyan" : false;
  const spinner = ora({ text, stream: output, isEnabled: true, discardStdin: false, color });
  context.onEnd(async () => void spinner.stop());
  return spinner;
}
