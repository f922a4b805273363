import type { Ora } from "ora";
import type { Context } from "../context.ts";
import { toAscii } from "./ascii.ts";
import { colorLevel } from "./color.ts";
import { note, type OutputOptions } from "./output.ts";
import { isPlain } from "./plain.ts";

const PATIENCE_MS = 300;

/** How long work may take without a note where nothing animates. */
export const SLOW_MS = 3_000;

/**
 * Shows a spinner on a terminal's stderr while work lasts longer than 300 ms, hidden during a prompt.
 * Elsewhere nothing animates: a note says what takes longer than 3 seconds (src/cli/README.md, Output).
 */
export async function withSpinner<Result>(
  context: Context,
  options: OutputOptions,
  text: string,
  work: Promise<Result>,
): Promise<Result> {
  if (!mayMove(context, options)) {
    if (await lasts(work, SLOW_MS, context)) note(context, options, `${text} …`);
    return work;
  }
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
    if (!(await lasts(work, PATIENCE_MS, context))) return await work;
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
  work: (show: (text: string) => void) => Result | Promise<Result>,
): Promise<Result> {
  const spinner = mayMove(context, options) ? await createSpinner(context, options, "") : null;
  try {
    return await work((text) => {
      if (spinner === null) return;
      spinner.text = context.io.isAscii ? toAscii(text) : text;
      if (spinner.isSpinning) spinner.render();
      else spinner.start();
    });
  } finally {
    spinner?.stop();
  }
}

const BAR_WIDTH = 20;

/**
 * Shows a bar of how much of a piece of work is done; elsewhere a note says what takes long, as `withSpinner`.
 *
 * @param work calls `show` with how many parts are done, and how many there are
 */
export async function withProgressBar<Result>(
  context: Context,
  options: OutputOptions,
  text: string,
  work: (show: (done: number, total: number) => void) => Promise<Result>,
): Promise<Result> {
  if (!mayMove(context, options))
    return withSpinner(
      context,
      options,
      text,
      work(() => {}),
    );
  return withProgress(context, options, (show) =>
    work((done, total) => {
      const full = Math.round((BAR_WIDTH * done) / Math.max(1, total));
      show(`${text} ${"█".repeat(full)}${"░".repeat(BAR_WIDTH - full)} ${done} of ${total}`);
    }),
  );
}

/** Whether work is still going on after so many milliseconds; a failure of it ends it, too. */
function lasts(work: Promise<unknown>, milliseconds: number, { clock }: Context): Promise<boolean> {
  const settled = work.then(
    () => false,
    () => false,
  );
  return Promise.race([settled, clock.sleep(milliseconds).then(() => true)]);
}

function mayMove({ io, env }: Context, { json, quiet, verbose }: OutputOptions): boolean {
  return io.stderrIsTerminal && !isPlain(env) && !json && !quiet && !verbose;
}

/** `null` where it cannot be drawn: without a width it cannot know how many lines it takes, and would clear others. */
async function createSpinner(context: Context, options: OutputOptions, text: string): Promise<Ora | null> {
  const { output } = context.io.terminal();
  if (!output.columns) return null;
  const { default: ora } = await import("ora");
  const level = colorLevel({ env: context.env, isTerminal: true, color: options.color });
  const color = level > 0 ? "cyan" : false;
  const { isAscii } = context.io;
  const frames = isAscii ? { spinner: "line" as const } : {};
  const shown = isAscii ? toAscii(text) : text;
  const spinner = ora({ text: shown, stream: output, isEnabled: true, discardStdin: false, color, ...frames });
  context.onEnd(async () => void spinner.stop());
  return spinner;
}
