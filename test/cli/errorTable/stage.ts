import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Context } from "../../../src/cli/context.ts";
import type { ErrorCode } from "../../../src/cli/errors.ts";
import { runProgram } from "../../../src/cli/main.ts";
import { type Client, createClient } from "../../../src/client/client.ts";
import { type Answer, startBackend } from "../../client/backend.ts";
import { ORGANIZATION } from "../support/builders.ts";
import { type FakeContext, type FakeWorld, fakeContext } from "../support/fakeContext.ts";

/** Where an error is played: a directory of its own, and the backend's address. */
export interface Stage {
  readonly directory: string;
  readonly apiUrl: string;
  readonly port: string;
  /** What a person does with Ctrl-C. */
  interrupt(): void;
}

/** One error that the program can show, and what leads to it. */
export interface ErrorCase {
  readonly code: ErrorCode;
  /** What led to it, where the command line does not tell. */
  readonly when?: string;
  /** The command line, in which `{dir}` and `{port}` stand for the stage's. */
  readonly line: string;
  /** What the backend answers, in order; the last answer comes again and again. */
  readonly answers?: readonly Answer[] | ((stage: Stage) => readonly Answer[]);
  /** Added to the environment; an empty text is as good as none. */
  readonly env?: Readonly<Record<string, string>>;
  readonly world?: (stage: Stage) => Omit<FakeWorld, "env" | "client">;
  /** Parts of the context that are not the fake ones, such as files. */
  readonly parts?: (stage: Stage) => Partial<Context>;
  /** Done before; what it gives is done after. */
  readonly prepare?: (stage: Stage) => Promise<(() => Promise<void>) | void> | void;
}

/** How the program ended. */
export interface Ended {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly isOnTerminal: boolean;
}

/** What the table says in place of the names of a run. */
const TABLE = { directory: "/home/ada", port: "4010" };

const MAX_ANSWERS = 10;

/**
 * Runs the program once for an error, with a real client at a backend on loopback that answers by the case's script.
 *
 * @param more flags after the command line
 * @returns how it ended; the stage's own names are in it what they are on every machine
 */
export async function playError(
  { line, answers = [], env, world, parts, prepare }: ErrorCase,
  more: readonly string[],
): Promise<Ended> {
  const directory = mkdtempSync(join(tmpdir(), "sfl-"));
  const playing: { context: FakeContext | null; clients: Client[] } = { context: null, clients: [] };
  const stage = { directory, apiUrl: "", port: "", interrupt: () => playing.context?.send("SIGINT") };
  const script = typeof answers === "function" ? answers(stage) : answers;
  const last = script.at(-1);
  await using backend = await startBackend(...script, ...(last ? Array<Answer>(MAX_ANSWERS).fill(last) : []));
  stage.apiUrl = backend.apiUrl;
  stage.port = new URL(backend.apiUrl).port;
  mkdirSync(join(directory, "config"), { mode: 0o700 });
  const cleanUp = await prepare?.(stage);
  try {
    const setting = {
      SECUREFLAG_API_URL: stage.apiUrl,
      SECUREFLAG_API_TOKEN: "t",
      SECUREFLAG_ORGANIZATION: String(ORGANIZATION),
      // Nothing moves on the screen while the backend is asked.
      TERM: "dumb",
    };
    const context = fakeContext({ ...world?.(stage), env: { ...setting, ...env } });
    playing.context = context;
    const args = filled(line, stage).split(" ");
    const exitCode = await runProgram([...args, ...more], {
      ...context,
      createClient: async (options) => {
        const client = createClient(options);
        playing.clients.push(client);
        return client;
      },
      ...parts?.(stage),
    });
    return {
      exitCode,
      stdout: context.written.stdout,
      stderr: named(context.written.stderr, stage),
      isOnTerminal: context.io.stderrIsTerminal,
    };
  } finally {
    await Promise.all(playing.clients.map((client) => client.close()));
    await cleanUp?.();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** A command line on a stage; on that of the table unless said. */
export function filled(line: string, { directory, port }: Pick<Stage, "directory" | "port"> = TABLE): string {
  return line.replaceAll("{dir}", directory).replaceAll("{port}", port);
}

/** Names of one run, as they are in every run. */
function named(text: string, { directory, port }: Stage): string {
  return text
    .replaceAll(directory, TABLE.directory)
    .replaceAll(`127.0.0.1:${port}`, `127.0.0.1:${TABLE.port}`)
    .replaceAll(`Port ${port}`, `Port ${TABLE.port}`)
    .replaceAll(`process ${process.pid}`, "process 99");
}
