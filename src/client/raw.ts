import { EXPORT_MEDIA_TYPE } from "../contract/events.ts";
import type { OperationId } from "../contract/operations/index.ts";
import type { Operation } from "../contract/operations/operation.ts";
import type { Caller, CallInput } from "./call.ts";
import type { Parameters } from "./target.ts";

/** A call of the contract that was put together by hand. */
export interface RawRequest {
  readonly id: OperationId;
  readonly operation: Operation;
  readonly params: Parameters;
  readonly query: Parameters;
  /** JSON text, sent as it is. */
  readonly body?: string | null;
  readonly idempotencyKey?: string;
  /** Whether the answer is requested as PDF. */
  readonly asPdf: boolean;
}

/** The body of a success: JSON as it came, `null` for none, or what is no JSON. A declined purchase is one as well. */
export type RawAnswer = { readonly value: unknown; readonly requestId?: string | null } | { readonly bytes: Buffer };

/** Calls put together by hand. Throws `ClientError`. */
export interface RawCalls {
  /**
   * Sends a call. Reads, and a purchase under its key, are repeated after passing trouble; other changes only while they
   * certainly never left, and `outcome_unknown` where the answer is lost. A declined payment resolves with its failed purchase.
   */
  send(request: RawRequest): Promise<RawAnswer>;
}

const LOOK_HINT = "Look at what it would have changed before you send it again: it may have been carried out.";

/** The calls of `RawCalls` at one backend. */
export function rawCalls(caller: Caller): RawCalls {
  return {
    async send({ id, operation, params, query, body, idempotencyKey, asPdf }) {
      const { method, idempotent, streamsAs } = operation;
      const repeat = method === "GET" || idempotent ? "transient" : "unsent";
      const input: CallInput = {
        params,
        query,
        ...(typeof body === "string" && { body }),
        repeat,
        asIs: true,
        ...(idempotencyKey !== undefined && { idempotencyKey }),
        heldMs: Number(query.wait ?? 0) * 1000,
      };
      if (asPdf) return { bytes: (await caller.download(id, input)).bytes };
      if (streamsAs) return { bytes: await streamed(caller, id, input) };
      const isRepeated = method === "GET" || idempotent;
      const { value, requestId } = await (isRepeated ? caller.call(id, input) : caller.change(id, input, LOOK_HINT));
      return { value, requestId };
    },
  };
}

async function streamed(caller: Caller, id: OperationId, input: CallInput): Promise<Buffer> {
  let chunks: Buffer[] = [];
  const start = () => {
    chunks = [];
  };
  const sink = { mediaType: EXPORT_MEDIA_TYPE, start, write: (chunk: Buffer) => void chunks.push(chunk) };
  await caller.call(id, { ...input, sink });
  return Buffer.concat(chunks);
}
