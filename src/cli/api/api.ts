import { isUtf8 } from "node:buffer";
import { Argument, type Command, InvalidArgumentError } from "commander";
import type { RawAnswer, RawRequest } from "../../client/raw.ts";
import { purchaseAnswerSchema } from "../../contract/billing.ts";
import { MAX_BODY_BYTES } from "../../contract/operations/operation.ts";
import { errorOfPurchase } from "../buying/engine/failureWords.ts";
import { type Connection, connect } from "../connection/connect.ts";
import { readTotp, totpOption } from "../connection/oneTimeCode.ts";
import type { Need } from "../connection/target.ts";
import type { Context } from "../context.ts";
import { CliError, usageError } from "../errors.ts";
import { assertWritable, writeOutputFile } from "../files/files.ts";
import { assertStdoutFree, readInput, STANDARD, writeStdout } from "../files/standard.ts";
import { addCommand, type GlobalOptions, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { awaitPrinting, note, printJson, toJson } from "../kit/output.ts";
import { assertConsent, confirmOrCancel } from "../kit/prompt.ts";
import { withSpinner } from "../kit/spinner.ts";
import { clean, decodeText } from "../kit/text.ts";
import { idempotencyKey, someText } from "../kit/values.ts";
import { findCall, type NamedCall } from "./operation.ts";

/** Options of `api`. */
export interface ApiOptions extends GlobalOptions {
  readonly method: string;
  /** Below the API URL, with the query. */
  readonly path: string;
  /** The file of the body, `-` for stdin. */
  readonly body: string | null;
  /** The file for the answer, `-` for stdout. */
  readonly output: string | null;
  readonly force: boolean;
  readonly pdf: boolean;
  readonly idempotencyKey: string | null;
  readonly totp: string | null;
  readonly yes: boolean;
}

interface ApiFlags {
  readonly body?: string;
  readonly output?: string;
  readonly force?: boolean;
  readonly pdf?: boolean;
  readonly idempotencyKey?: string;
  readonly totp?: string;
  readonly yes?: boolean;
}

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"];

const HELP = `
The paths are those of \`api GET /openapi.json\`; {org} is
replaced with the organization ID.

Requests other than GET may change something or charge, and
are not kept in the journal: if the response is lost (exit
10), check the result before you send one again. A purchase
requires --idempotency-key, so that it is made once.`;

/** Registers `api`. */
export function register(program: Command, context: Context, run: Run<ApiOptions> = runApi): void {
  addCommand(program, {
    name: "api",
    description: "Make an authenticated API request",
    examples: ["api GET /me", "api GET '/organizations/{org}/purchases?limit=5'"],
  })
    .addArgument(new Argument("<method>", "HTTP method").choices(METHODS).argParser(methodOf))
    .addArgument(new Argument("<path>", "path below the API URL, with its query").argParser(someText))
    .option("--body <file>", "JSON body of the request; - for stdin", someText)
    .option("--output <file>", "save the response; - for stdout", someText)
    .option("--force", "overwrite the file if it exists")
    .option("--pdf", "request a receipt or credit note as PDF")
    .option("--idempotency-key <key>", "key of a purchase: the same key never buys twice", idempotencyKey)
    .addOption(totpOption())
    .option("--yes", "send requests other than GET without a prompt")
    .addHelpText("after", HELP)
    .action((method: string, path: string, flags: ApiFlags, command: Command) => {
      const options = { ...readGlobals(command), method, path, ...readFlags(flags) };
      return interruptible(context, () => run(options, context));
    });
}

function methodOf(text: string): string {
  const method = text.toUpperCase();
  if (METHODS.includes(method)) return method;
  throw new InvalidArgumentError(`It must be one of ${METHODS.join(", ")}.`);
}

function readFlags(flags: ApiFlags) {
  const { body = null, output = null, force = false, pdf = false, idempotencyKey: key = null, yes = false } = flags;
  if (force && output === null) throw usageError("--force requires --output", "Pass --output <file>.");
  return { body, output, force, pdf, idempotencyKey: key, totp: readTotp(flags.totp), yes };
}

/**
 * Sends one call of the contract and prints or saves its answer.
 *
 * @throws CliError `invalid_usage` before anything is sent: not a call of the contract, no consent, no body or key where one
 *   is needed; `declined_by_person`; the error of the answer, and of a purchase in it that did not succeed, after it was
 *   printed; `outcome_unknown` if the answer to a change was lost
 */
export async function runApi(options: ApiOptions, context: Context): Promise<void> {
  const { method, output, force, json } = options;
  if (output === STANDARD) assertStdoutFree("--output", { "--json": json });
  if (output !== null && output !== STANDARD) assertWritable({ path: output, force });
  // Checked before a sign-in is looked for; the organization is found later.
  const known = await findCall(method, options.path, async () => options.organizationId ?? 0);
  assertFits(known, options, context);
  if (method !== "GET") assertConsent(context, options, "send the request");
  const body = await bodyOf(known, options, context);
  const connection = await connect(context, options, needOf(known));
  const call = await findCall(method, options.path, connection.organizationId);
  if (method !== "GET") await confirm(call, connection, options, context);
  const request: RawRequest = {
    ...call,
    body,
    asPdf: options.pdf,
    ...(options.idempotencyKey !== null && { idempotencyKey: options.idempotencyKey }),
  };
  const answer = await withSpinner(context, options, "Sending the request", connection.client.send(request));
  if (method === "GET") return await show(answer, options, context);
  await awaitPrinting(show(answer, options, context), "The request was carried out", LOOK_HINT);
  const failure = isCharging(call) && "value" in answer ? failureOf(answer.value, answer.requestId) : null;
  if (failure !== null) throw failure;
}

/** Why a purchase did not succeed, or not yet: what waits for a person must not look like one that was made. */
function failureOf(value: unknown, requestId?: string | null): CliError | null {
  const purchase = purchaseAnswerSchema.safeParse(value);
  return purchase.success ? errorOfPurchase(purchase.data, requestId) : null;
}

function isCharging({ operation }: NamedCall): boolean {
  return /\/(purchases|payment|\{purchaseId\}\/approve)$/.test(operation.path);
}

const LOOK_HINT = "Look at its result before you send it again.";

/** @throws CliError `invalid_usage` if flags and call do not go together */
function assertFits({ operation }: NamedCall, options: ApiOptions, { io }: Context): void {
  const { body, pdf, output, idempotencyKey: key } = options;
  const name = `${operation.method} ${operation.path}`;
  if (operation.body && body === null) throw usageError(`${name} needs a body`, "Pass it with --body <file>.");
  if (!operation.body && body !== null) throw usageError(`${name} takes no body`, "Remove --body.");
  if (operation.idempotent && key === null) {
    throw usageError(`${name} needs --idempotency-key`, "Pass a key of your own, and the same one if you try again.");
  }
  if (!operation.idempotent && key !== null) throw usageError(`${name} takes no key`, "Remove --idempotency-key.");
  if (pdf && !operation.alsoAs) throw usageError(`${name} has no PDF`, "Remove --pdf.");
  const isRaw = pdf || operation.streamsAs !== undefined;
  if (isRaw && options.json) throw usageError(`The response of ${name} is not JSON`, "Remove --json.");
  if (pdf && io.stdoutIsTerminal && (output === null || output === STANDARD)) {
    throw usageError("Cannot write a PDF to a terminal", "Redirect stdout, or pass --output <file>.");
  }
}

/** Reads the body, which is sent as it is: the backend refuses what it could be misread as. */
async function bodyOf({ operation }: NamedCall, { body }: ApiOptions, { io }: Context): Promise<string | null> {
  if (body === null) return null;
  const limit = operation.maxBodyBytes ?? MAX_BODY_BYTES;
  const bytes = await readInput(body, limit, io, (reason, cause) => {
    return new CliError("file_not_read", `Cannot read ${clean(body)}: ${reason}`, { cause });
  });
  if (bytes.length > limit) throw usageError(`The body is larger than ${limit} bytes`, "Nothing was sent.");
  const text = decodeText(bytes);
  if (text.includes("\uFFFD") && !isUtf8(bytes)) throw usageError("The body is not UTF-8", "Nothing was sent.");
  try {
    JSON.parse(text);
    return text;
  } catch {
    throw usageError("The body is not JSON", "Nothing was sent.");
  }
}

function needOf({ operation: { access } }: NamedCall): Need {
  if (access === "users:write") return "users";
  return access === "users:read" || access === "signed_in" || access === "public" ? "public" : "billing";
}

async function confirm(call: NamedCall, { client }: Connection, options: ApiOptions, context: Context): Promise<void> {
  const { method, yes } = options;
  if (!yes) {
    const charges = isCharging(call) ? "This may charge the organization. " : "";
    const question = `${charges}Send ${method} ${clean(options.path)} to ${client.origin}?`;
    await confirmOrCancel(context, options, question, "Nothing was sent");
  }
  context.interruption = { message: "The request may have been carried out.", hint: LOOK_HINT };
}

/** Prints or saves an answer. One without a body is `null` with `--json`, and nothing otherwise. */
async function show(answer: RawAnswer, options: ApiOptions, context: Context): Promise<void> {
  const { output, force, json } = options;
  const { io } = context;
  if (output !== null && output !== STANDARD) {
    writeOutputFile({ path: output, force }, piecesOf(answer, true), context);
    if (json) await printJson(context, { file: output });
    else note(context, options, `Saved the response to ${clean(output)}.`);
    return;
  }
  if ("bytes" in answer) return await writeStdout(context, [answer.bytes]);
  maskToken(answer.value, options, context);
  if (answer.value === null && !json) return;
  await printJson({ io }, answer.value);
}

function piecesOf(answer: RawAnswer, isFile: boolean): Uint8Array {
  if ("bytes" in answer) return answer.bytes;
  return Buffer.from(answer.value === null ? "" : `${toJson(answer.value, isFile ? 2 : 0)}\n`);
}

/** The secret of a new token is shown once, and must not stay in a log. */
function maskToken(value: unknown, { json }: ApiOptions, { io }: Context): void {
  if (json || typeof value !== "object" || value === null || !("token" in value)) return;
  if (typeof value.token === "string") io.workflowCommand("add-mask", value.token);
}
