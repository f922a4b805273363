import { Argument, type Command } from "commander";
import { type SignedCheckpoint, signedCheckpointSchema } from "../../contract/events.ts";
import { connectToOrganization } from "../connection/connect.ts";
import type { Context } from "../context.ts";
import { CliError } from "../errors.ts";
import { assertWritable, growOutputFile } from "../files/files.ts";
import { assertStdoutFree, STANDARD, writeStdout } from "../files/standard.ts";
import { addCommand, type GlobalOptions, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { note, printResult } from "../kit/output.ts";
import { withSpinner } from "../kit/spinner.ts";
import { clean } from "../kit/text.ts";
import { someText } from "../kit/values.ts";
import { parseLine } from "./line.ts";

/** The options of `events export`. */
export interface ExportOptions extends GlobalOptions {
  readonly file: string;
  readonly force: boolean;
}

/** Registers `events export`. */
export function registerExport(group: Command, context: Context, run: Run<ExportOptions>): void {
  addCommand(group, {
    name: "export",
    description: "Save the whole event log, signed, as JSON lines",
    examples: ["events export log.jsonl", "events export log.jsonl --force --json"],
  })
    .addArgument(new Argument("<file>", "file to write; - for stdout").argParser(someText))
    .option("--force", "replace the file if it exists")
    .action((file: string, { force = false }: { force?: boolean }, command: Command) =>
      interruptible(context, () => run({ ...readGlobals(command), file, force }, context)),
    );
}

/**
 * Saves the event log, which ends with a signed checkpoint.
 *
 * @throws CliError `file_exists`, `file_not_written`, `unexpected_answer`
 */
export async function runExport(options: ExportOptions, context: Context): Promise<void> {
  const { file, force } = options;
  const isStdout = file === STANDARD;
  if (isStdout) assertStdoutFree("-", { "--json": options.json });
  else assertWritable({ path: file, force });
  const { client, organizationId } = await connectToOrganization(context, options, "billing");
  const lastLine = new LastLine();
  const write = async (growing: Growing) => {
    await client.exportEvents(organizationId, {
      start() {
        lastLine.restart();
        growing.restart();
      },
      write(chunk) {
        lastLine.add(chunk);
        growing.write(chunk);
      },
    });
    lastLine.assertCheckpoint(organizationId);
  };
  const pieces = new Pieces();
  const exporting = isStdout ? write(pieces) : growOutputFile({ path: file, force }, context, write);
  await withSpinner(context, options, "Exporting events", exporting);
  const { checkpoint, kid } = lastLine.assertCheckpoint(organizationId);
  const { number: events, hash, at } = checkpoint;
  const count = `${events.toLocaleString("en-US")} event${events === 1 ? "" : "s"}`;
  if (isStdout) {
    await writeStdout(context, pieces.all);
    return note(context, options, `Exported ${count}.`);
  }
  const result = { file, organization: organizationId, events, hash, checkpoint: { number: events, at, kid } };
  await printResult<"events export">(context, options, result, () => {
    const verify = `Verify it with \`secureflag-licenses events verify ${clean(file)}\`.`;
    return `Exported ${count} to ${clean(file)}.\n${verify}`;
  });
}

/** What an export is written to as it comes; it may begin anew. */
interface Growing {
  restart(): void;
  write(bytes: Buffer): void;
}

/** Keeps an export until all of it is there: what stdout has taken cannot be taken back. */
class Pieces implements Growing {
  readonly all: Buffer[] = [];

  restart(): void {
    this.all.length = 0;
  }

  write(bytes: Buffer): void {
    this.all.push(bytes);
  }
}

/** A checkpoint has some hundred bytes. */
const MAX_LINE_BYTES = 10_000;

/** The end of what is exported. */
class LastLine {
  private tail: Buffer = Buffer.alloc(0);

  restart(): void {
    this.tail = Buffer.alloc(0);
  }

  add(chunk: Buffer): void {
    this.tail = Buffer.concat([this.tail, chunk]).subarray(-MAX_LINE_BYTES);
  }

  /** @throws CliError `unexpected_answer` if it is no checkpoint of the organization */
  assertCheckpoint(organizationId: number): SignedCheckpoint {
    const [line = ""] = this.tail.toString("utf8").trimEnd().split("\n").slice(-1);
    const { data } = signedCheckpointSchema.safeParse(parseLine(Buffer.from(line)));
    if (data?.checkpoint.organization === organizationId) return data;
    throw new CliError(
      "unexpected_answer",
      `Unexpected response from the backend: the export does not end with a checkpoint of organization ${organizationId}`,
    );
  }
}
