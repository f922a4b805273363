import type { Subscription } from "../../contract/billing.ts";
import { connect } from "../connection/connect.ts";
import type { Context } from "../context.ts";
import { codeOf, ERRORS } from "../errors.ts";
import type { GlobalOptions } from "../kit/command.ts";
import { toJson, warn } from "../kit/output.ts";
import { isPlain } from "../kit/plain.ts";

/** The longest pause after failures, in seconds. */
const MAX_PAUSE_SECONDS = 300;

/** Clears the terminal, without what was scrolled away, and goes to its top (ECMA-48, 8.3.39 and 8.3.21). */
const CLEAR = "\u001b[2J\u001b[H";

/**
 * Reads the subscription again and again, and shows it whenever something changed, until it is interrupted or nobody reads
 * stdout any more. The first reading has to succeed. After a later failure that may pass it goes on, more slowly.
 *
 * @param seconds the pause between two readings
 * @param show prints the subscription for people; the answer is whether it was taken
 * @throws what connecting and reading throw
 */
export async function watchSubscription(
  seconds: number,
  options: GlobalOptions,
  context: Context,
  show: (subscription: Subscription) => Promise<boolean>,
): Promise<void> {
  let shown: string | null = null;
  let pause = seconds;
  for (;;) {
    const subscription = await read(options, context).catch((error: unknown) => {
      if (shown === null || !mayPass(error)) throw error;
      pause = Math.max(seconds, Math.min(pause * 2, MAX_PAUSE_SECONDS));
      warn(context, options, `Failed to read the subscription: ${error.message}. Trying again in ${pause} seconds.`);
      return null;
    });
    if (subscription !== null) {
      pause = seconds;
      const state = JSON.stringify({ ...subscription, asOf: null });
      if (state !== shown && !(await print(subscription, shown === null, options, context, show))) return;
      shown = state;
    }
    await context.clock.sleep(pause * 1000);
  }
}

/** Connects anew each time, because a client has the retries of one command. */
async function read(options: GlobalOptions, context: Context): Promise<Subscription> {
  const { client, organizationId } = await connect(context, options, "billing");
  try {
    return await client.subscription(await organizationId());
  } finally {
    await client.close();
  }
}

function mayPass(error: unknown): error is Error {
  const code = codeOf(error);
  return code !== null && ERRORS[code].isRetryable;
}

async function print(
  subscription: Subscription,
  isFirst: boolean,
  options: GlobalOptions,
  { io, env }: Context,
  show: (subscription: Subscription) => Promise<boolean>,
): Promise<boolean> {
  if (options.json) return await io.print(`${toJson(subscription)}\n`);
  const isDrawn = io.stdoutIsTerminal && !isPlain(env);
  const before = isDrawn ? CLEAR : isFirst ? "" : "\n";
  return (await io.print(`${before}${subscription.asOf}\n\n`)) && (await show(subscription));
}
