import { createPublicKey, type KeyObject } from "node:crypto";
import { Argument, type Command } from "commander";
import * as z from "zod";
import {
  isSignedBy,
  keyIdOf,
  type PublicKey,
  publicKeyOf,
  publicKeySchema,
  type SignedCheckpoint,
  signedCheckpointSchema,
} from "../../contract/events.ts";
import type { Context } from "../context.ts";
import { CliError } from "../errors.ts";
import { LongLineError, linesOf, readInputLines, whyUnread } from "../files/files.ts";
import { assertOneStdin, assertPiped, readInput, STANDARD } from "../files/standard.ts";
import type { Io } from "../io.ts";
import { addCommand, type GlobalOptions, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { printResult, type View } from "../kit/output.ts";
import { withSpinner } from "../kit/spinner.ts";
import { clean } from "../kit/text.ts";
import { someText } from "../kit/values.ts";
import { instant } from "../kit/words.ts";
import { wrap } from "../kit/wrap.ts";
import type { Output } from "../outputs.ts";
import { parseLine } from "./line.ts";
import { type ConsistentLog, checkLog, type Finding } from "./log.ts";

/** The options of `events verify`. */
export interface VerifyOptions extends GlobalOptions {
  readonly file: string;
  /** A file with an older checkpoint. */
  readonly checkpoint: string | null;
  /** A file with the public keys of the backend. */
  readonly key: string | null;
}

/** Registers `events verify`. */
export function registerVerify(group: Command, context: Context, run: Run<VerifyOptions>): void {
  addCommand(group, {
    name: "verify",
    description: "Verify an exported event log, offline",
    examples: ["events verify november.jsonl --checkpoint october.jsonl", "events verify log.jsonl --key keys.json"],
  })
    .addArgument(new Argument("<file>", "export to verify; - for stdin").argParser(someText))
    .option("--checkpoint <file>", "earlier export, or the last line of one, that you trust", someText)
    .option("--key <file>", "public keys of the backend: PEM, JWK or JWK set", someText)
    .addHelpText("after", HELP)
    .action((file: string, flags: { checkpoint?: string; key?: string }, command: Command) => {
      const { checkpoint = null, key = null } = flags;
      assertOneStdin({ "<file>": file, "--checkpoint": checkpoint, "--key": key });
      return interruptible(context, () => run({ ...readGlobals(command), file, checkpoint, key }, context));
    });
}

const HELP = `
Names the first event that was changed, removed, added or
moved (exit 7). Without --key and --checkpoint it tells only
that the file is consistent, not who wrote it. A backend's
keys are at /.well-known/secureflag-licenses-keys.json.`;

type Verified = Output<"events verify">;

/**
 * Verifies an export without a backend.
 *
 * @throws CliError `events_tampered`, `file_not_read`
 */
export async function runVerify(options: VerifyOptions, context: Context): Promise<void> {
  if ([options.file, options.checkpoint, options.key].includes(STANDARD)) assertPiped(context.io);
  const verifying = verify(options, context.io);
  const verified = await withSpinner(context, options, "Verifying events", verifying);
  await printResult<"events verify">(context, options, verified, (view) => words(verified, view));
}

async function verify({ file, checkpoint, key, organizationId }: VerifyOptions, io: Io): Promise<Verified> {
  const trusted = key === null ? null : await readKeys(key, io);
  const older = checkpoint === null ? null : await readCheckpoint(checkpoint, io);
  const log = await reading(file, checkLog(linesFrom(file, io), older?.checkpoint.number));
  if ("message" in log) throw tampered(file, log);
  if (organizationId !== null) assertOf(file, log, organizationId);
  const { events, organization, hash } = log;
  if (older !== null && checkpoint !== null) await assertContinues(file, { ...older, path: checkpoint }, log);
  const isVerified = checkSigner(file, log, { trusted, older });
  const { at } = log.checkpoint.checkpoint;
  return {
    organization,
    events,
    first: events === 0 ? null : 1,
    last: events === 0 ? null : events,
    hash,
    signer: isVerified ? "verified" : "unverified",
    checkpoint: { number: events, at, kid: log.checkpoint.kid },
    olderCheckpoint: older && { number: older.checkpoint.number, at: older.checkpoint.at },
  };
}

/** The longest line that makes sense: an event has some hundred bytes. */
const MAX_LINE_BYTES = 10_000_000;

/**
 * Makes sure that a log begins with what an older checkpoint has signed.
 *
 * @param older with the file that it is from
 * @throws CliError `events_tampered`
 */
async function assertContinues(
  file: string,
  { checkpoint: older, path }: SignedCheckpoint & { readonly path: string },
  log: ConsistentLog,
): Promise<void> {
  const { events, hashOfKnown } = log;
  const line = events + 1;
  assertOf(file, log, older.organization);
  if (older.number > events) {
    const message = `Event ${events + 1} was removed: the older checkpoint has ${older.number} events`;
    throw tampered(file, { line, message });
  }
  if (hashOfKnown === older.hash) return;
  // Stdin was read already.
  const canRead = file !== STANDARD && path !== STANDARD;
  const changed = canRead ? await reading(path, firstDifference(file, path)) : null;
  if (changed !== null)
    throw tampered(file, { line: changed, message: `Event ${changed} was changed since the older export` });
  const message = `Event ${older.number}, or one before it, was changed: the older checkpoint differs`;
  throw tampered(file, { line: older.number, message });
}

/** @throws CliError `events_tampered` for the log of another organization */
function assertOf(file: string, { organization }: ConsistentLog, expected: number): void {
  if (organization === expected) return;
  throw tampered(file, { line: 1, message: `The events are of organization ${organization}, not ${expected}` });
}

/** Finds the first event whose hash differs in two exports, which is on the line of its number; `null` for none. */
async function firstDifference(file: string, older: string): Promise<number | null> {
  const lines = readInputLines(file, MAX_LINE_BYTES);
  let line = 0;
  try {
    for await (const bytes of readInputLines(older, MAX_LINE_BYTES)) {
      line += 1;
      const before = parseLine(bytes);
      if (before?.number !== line) return null;
      const { value: next } = await lines.next();
      if (next === undefined || parseLine(next)?.hash !== before.hash) return line;
    }
    return null;
  } finally {
    await lines.return(undefined);
  }
}

/** What the signer is known by. */
interface Trust {
  readonly trusted: readonly KeyObject[] | null;
  readonly older: SignedCheckpoint | null;
}

/**
 * Checks the signatures.
 *
 * @returns whether the signer is who it should be: one of the trusted keys, or the key of the older checkpoint, whose ID
 *   belongs to one key alone
 * @throws CliError `events_tampered`
 */
function checkSigner(file: string, log: ConsistentLog, { trusted, older }: Trust): boolean {
  const line = log.events + 2;
  const isSigned = (signed: SignedCheckpoint, keys: readonly KeyObject[]) =>
    keys.some((key) => isSignedBy(signed, key));
  const embedded = log.keys.map((key) => ({ id: keyIdOf(key), key: publicKeyOf(key) }));
  if (!isSigned(log.checkpoint, trusted ?? embedded.map(({ key }) => key))) {
    throw tampered(file, { line, message: "The signature of the checkpoint is not valid, or another key's" });
  }
  if (older === null) return trusted !== null;
  const known = trusted ?? embedded.filter(({ id }) => id === older.kid).map(({ key }) => key);
  if (known.length > 0 && !isSigned(older, known)) {
    throw tampered(file, { line, message: "The signature of the older checkpoint is not valid, or another key's" });
  }
  return known.length > 0 && isSigned(log.checkpoint, known);
}

function tampered(file: string, { line, message }: Finding): CliError {
  return new CliError("events_tampered", `${message} (line ${line} of ${nameOf(file)})`, {
    problems: [{ line, message }],
  });
}

/** The lines of a file, or of stdin for `-`, which is read once. */
function linesFrom(path: string, io: Io): AsyncIterable<Buffer> {
  return path === STANDARD ? linesOf(io.openInput(), MAX_LINE_BYTES) : readInputLines(path, MAX_LINE_BYTES);
}

async function reading<Result>(path: string, work: Promise<Result>): Promise<Result> {
  try {
    return await work;
  } catch (cause) {
    if (cause instanceof LongLineError)
      throw tampered(path, { line: 0, message: `An event was changed: ${cause.message}` });
    throw unreadable(path, whyUnread(cause), { cause });
  }
}

function nameOf(path: string): string {
  return path === STANDARD ? "stdin" : clean(path);
}

function unreadable(path: string, reason: string, more: { hint?: string; cause?: unknown } = {}): CliError {
  return new CliError("file_not_read", `Cannot read ${nameOf(path)}: ${reason}`, more);
}

/** Reads the last checkpoint of an export, or of a file that has nothing else. */
async function readCheckpoint(path: string, io: Io): Promise<SignedCheckpoint> {
  const last = async () => {
    let line: Uint8Array = Buffer.alloc(0);
    for await (const bytes of linesFrom(path, io)) line = bytes;
    return signedCheckpointSchema.safeParse(parseLine(line));
  };
  const { data } = await reading(path, last());
  if (data) return data;
  throw unreadable(path, "it does not end with a checkpoint", { hint: "Pass an earlier export, or its last line." });
}

const MAX_KEY_BYTES = 1_000_000;

const NO_KEY = "it has no Ed25519 public key (PEM, JWK or JWK set)";

const KEY_HINT = "Pass the backend's /.well-known/secureflag-licenses-keys.json.";

async function readKeys(path: string, io: Io): Promise<readonly KeyObject[]> {
  const bytes = await readInput(path, MAX_KEY_BYTES, io, (reason, cause) => unreadable(path, reason, { cause }));
  const text = bytes.toString("utf8").trim();
  try {
    const blocks = text.match(/-----BEGIN [^-]+-----[^-]+-----END [^-]+-----/g);
    const keys = blocks ? blocks.map((block) => createPublicKey(block)) : keysOf(JSON.parse(text)).map(publicKeyOf);
    if (keys.length > 0 && keys.every(({ asymmetricKeyType }) => asymmetricKeyType === "ed25519")) return keys;
  } catch (cause) {
    throw unreadable(path, NO_KEY, { hint: KEY_HINT, cause });
  }
  throw unreadable(path, NO_KEY, { hint: KEY_HINT });
}

/** Returns the keys of a JWK, or those of a set that the backend could have signed with. */
function keysOf(document: unknown): readonly PublicKey[] {
  const set = z.object({ keys: z.array(z.unknown()) }).safeParse(document);
  if (!set.success) return [publicKeySchema.parse(document)];
  return set.data.keys.flatMap((key) => publicKeySchema.safeParse(key).data ?? []);
}

const PASS_KEY =
  "Pass --key <file> with the backend's public keys, or --checkpoint <file> with an earlier export of the same signer.";

function words({ organization, events, signer, checkpoint, olderCheckpoint }: Verified, view: View): string {
  const count = `${events.toLocaleString("en-US")} event${events === 1 ? "" : "s"}`;
  const continues = olderCheckpoint
    ? ` It continues the checkpoint of ${instant(olderCheckpoint.at)} (event ${olderCheckpoint.number}).`
    : "";
  const signature =
    signer === "verified"
      ? `Signed on ${instant(checkpoint.at)} with key ${clean(checkpoint.kid)}, which is verified.`
      : `The signer is unverified${olderCheckpoint ? ": it is another one than of that checkpoint" : ""}. ${PASS_KEY}`;
  const found = signer === "verified" ? ", none changed, removed, added or moved" : "";
  return wrap(
    `The file is consistent: ${count} of organization ${organization}${found}.${continues} ${signature}`,
    view.width,
  );
}
