import { readFile } from "node:fs/promises";
import { setFlagsFromString } from "node:v8";
import type { Context } from "../../context.ts";
import { CliError } from "../../errors.ts";
import { whyUnread } from "../../inputFile.ts";
import { clean } from "../../render/clean.ts";
import { decodeText } from "../../text.ts";
import type { SandboxRunOptions } from "../sandbox.ts";
import { dataDirectory } from "../shared/dataDirectory.ts";
import { note, printResult } from "../shared/output.ts";

/**
 * Runs the embedded backend until SIGINT or SIGTERM ends it, which is the way to end it and no failure.
 *
 * @throws SandboxError for data, seed or port that cannot be used; CliError `seed_invalid` for a file that cannot be read
 */
export async function run(options: SandboxRunOptions, context: Context): Promise<void> {
  const ended = endSignal(context);
  const seed = options.seed === null ? null : { path: options.seed, text: await seedText(options.seed) };
  // What is short-lived needs no more room when many buy: a sandbox is about as large after a day as after a minute.
  setFlagsFromString("--semi-space-growth-factor=1");
  const { startSandbox } = await import("../../../backend/sandbox/server.ts");
  const dataDir = options.ephemeral ? null : dataDirectory(options.data, context);
  const sandbox = await startSandbox(
    { port: options.port, dataDir, seed, now: options.now },
    {
      now: context.clock.now,
      random: context.random.bytes,
      pid: context.pid,
      reach: context.reach,
      log: (line) => context.io.note(`${clean(line)}\n`),
      version: context.version,
    },
  );
  try {
    // Told under --json as well: nothing failed, so that no error has to stand alone on stderr.
    for (const line of sandbox.notes) note(context, { ...options, json: false }, line);
    await printResult(context, options, "sandbox", sandbox.ready, async (view) => {
      const { renderReady } = await import("../../render/sandbox.ts");
      return renderReady(sandbox.ready, view);
    });
    await ended;
  } finally {
    await sandbox.close();
  }
}

/** Settles at the first signal to end. The second one ends the process the hard way, should closing hang. */
function endSignal(context: Context): Promise<void> {
  let end = () => {};
  const ended = new Promise<void>((done) => {
    end = done;
  });
  const stops = (["SIGINT", "SIGTERM"] as const).map((signal) =>
    context.onSignal(signal, () => {
      for (const stop of stops) stop();
      end();
    }),
  );
  return ended;
}

async function seedText(path: string): Promise<string> {
  try {
    return decodeText(await readFile(path));
  } catch (cause) {
    const hint = "Check the path given with --seed.";
    throw new CliError("seed_invalid", `The seed file ${path} cannot be read: ${whyUnread(cause)}`, { hint, cause });
  }
}
