import {
  eventHash,
  FIRST_HASH,
  type PublicKey,
  publicKeysSchema,
  type SignedCheckpoint,
  signedCheckpointSchema,
} from "../../contract/events.ts";
import { type Line, parseLine } from "./line.ts";

/** Nothing else may stand beside what is signed, and beside the keys: it would be read by others, and signed by nobody. */
const lastLineSchema = signedCheckpointSchema.strict();
const keysLineSchema = publicKeysSchema.strict();

/** A log whose entries are numbered without gaps, chained by their hashes, and end with a checkpoint of the last one. */
export interface ConsistentLog {
  readonly organization: number;
  /** How many entries it has, which are numbered from 1. */
  readonly events: number;
  /** The hash of the last entry. */
  readonly hash: string;
  readonly checkpoint: SignedCheckpoint;
  readonly keys: readonly PublicKey[];
  /** The hash of the entry that was asked for; `null` if it has none. */
  readonly hashOfKnown: string | null;
}

/** The first thing that does not fit, on a line as an editor counts them. */
export interface Finding {
  readonly line: number;
  /** `Event 3 was removed`. */
  readonly message: string;
}

/** The lines of an export, numbered. */
interface Reading {
  readonly line: number;
  readonly parsed: Line | null;
}

async function* numbered(lines: AsyncIterable<Uint8Array>): AsyncGenerator<Reading> {
  let line = 0;
  for await (const bytes of lines) {
    line += 1;
    yield { line, parsed: parseLine(bytes) };
  }
}

/**
 * Checks the lines of an export one by one, and after the first one that does not fit reads on only to tell what became of
 * its event (src/contract/README.md, Event log). It does not check signatures.
 *
 * @param known the number of an entry whose hash is to be returned
 */
export async function checkLog(lines: AsyncIterable<Uint8Array>, known = 0): Promise<ConsistentLog | Finding> {
  const readings = numbered(lines);
  let [organization, events, hash]: [number | null, number, string] = [null, 0, FIRST_HASH];
  let hashOfKnown = known === 0 ? FIRST_HASH : null;
  let keys: readonly PublicKey[] | null = null;
  let checkpoint: SignedCheckpoint | null = null;
  let last = 0;
  for await (const { line, parsed } of readings) {
    last = line;
    if (checkpoint !== null) return { line, message: `Line ${line} was added behind the checkpoint` };
    if (parsed !== null && Object.hasOwn(parsed, "checkpoint")) {
      checkpoint = lastLineSchema.safeParse(parsed).data ?? null;
      if (checkpoint === null) return { line, message: "The checkpoint was changed: it is not well-formed" };
      const mismatch = mismatchOf(checkpoint, { organization, events, hash });
      if (mismatch !== null) return { line, message: mismatch };
    } else if (parsed !== null && Object.hasOwn(parsed, "keys") && keys === null) {
      keys = keysLineSchema.safeParse(parsed).data?.keys ?? null;
      if (keys === null) return { line, message: "The public keys were changed: they are not well-formed" };
    } else {
      const number = events + 1;
      if (keys !== null) return { line, message: `Line ${line} was added between the events and the checkpoint` };
      if (parsed === null)
        return { line, message: `Event ${number} was changed or removed: line ${line} cannot be read` };
      if (parsed.number !== number) return await misplaced({ line, parsed }, number, readings);
      const next = hashOf(hash, parsed);
      if (next === null || (organization ?? parsed.organizationId) !== parsed.organizationId) {
        return await changed({ line, parsed }, number, readings);
      }
      organization = parsed.organizationId as number;
      [events, hash] = [number, next];
      if (number === known) hashOfKnown = hash;
    }
  }
  if (checkpoint === null) return { line: last + 1, message: `The file was cut off after event ${events}` };
  organization ??= checkpoint.checkpoint.organization;
  return { organization, events, hash, checkpoint, keys: keys ?? [], hashOfKnown };
}

/** Returns the hash of an event that has the right one, and `null` for any other. */
function hashOf(previous: string, { hash, ...event }: Line): string | null {
  if (!Number.isSafeInteger(event.organizationId)) return null;
  try {
    return eventHash(previous, event) === hash ? (hash as string) : null;
  } catch {
    // Nested too deeply.
    return null;
  }
}

function mismatchOf(
  { checkpoint }: SignedCheckpoint,
  log: { readonly organization: number | null; readonly events: number; readonly hash: string },
): string | null {
  if (log.organization !== null && checkpoint.organization !== log.organization) {
    return `The checkpoint was replaced: it is of organization ${checkpoint.organization}`;
  }
  if (checkpoint.number > log.events)
    return `Event ${log.events + 1} was removed: the checkpoint has ${checkpoint.number}`;
  if (checkpoint.number < log.events) return `Event ${checkpoint.number + 1} was added: the checkpoint ends before it`;
  return checkpoint.hash === log.hash
    ? null
    : `Event ${log.events}, or one before it, was changed: the checkpoint differs`;
}

/** Tells what became of an event in whose place there is one with another number. */
async function misplaced({ line, parsed }: Reading, expected: number, rest: AsyncIterable<Reading>): Promise<Finding> {
  const found = Number(parsed?.number);
  if (found < expected) return { line, message: `Event ${found} was added: it is there twice` };
  const { first, isThere } = await lookAhead(rest, expected);
  const isOut = first === expected && found !== expected + 1;
  if (isThere) return { line, message: `Event ${isOut ? found : expected} was moved` };
  // If the next one is in its place, only the number of this one is another.
  const isRenumbered = Number.isNaN(found) || first === expected + 1;
  return { line, message: `Event ${expected} was ${isRenumbered ? "changed" : "removed"}` };
}

/** Tells what became of an event whose hash does not fit. */
async function changed({ line }: Reading, number: number, rest: AsyncIterable<Reading>): Promise<Finding> {
  const { isThere, end } = await lookAhead(rest, number);
  return { line, message: `Event ${number} was ${isThere || end < number ? "added" : "changed"}` };
}

/** Reads on: which event is next, whether a number is there, and which event is the last one by the checkpoint. */
async function lookAhead(rest: AsyncIterable<Reading>, number: number) {
  let first: unknown = null;
  let isThere = false;
  let end = Number.POSITIVE_INFINITY;
  for await (const { parsed } of rest) {
    if (parsed === null) continue;
    first ??= parsed.number;
    isThere ||= parsed.number === number;
    end = signedCheckpointSchema.safeParse(parsed).data?.checkpoint.number ?? end;
  }
  return { first, isThere, end };
}
