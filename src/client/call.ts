import type { z } from "zod";
import { type OperationId, operations } from "../contract/operations/index.ts";
import type { Operation } from "../contract/operations/operation.ts";
import type { BackendAddress, Environment } from "./address.ts";
import { ClientError } from "./errors.ts";
import { type Failure, failureOfReading, failureOfWire } from "./failure.ts";
import { isAnyLost, isOutcomeOpen, outcomeOf, outcomeUnknown } from "./outcome.ts";
import { PDF_MEDIA_TYPE, type PdfFile, readPdfAnswer } from "./pdf.ts";
import { type Reading, readAnswer, readAsItCame } from "./reading.ts";
import { COMMAND_BUDGET_MS, nextWaitMs } from "./retry.ts";
import { type Parameters, targetOf } from "./target.ts";
import { checkedToken } from "./token.ts";
import { traceLine } from "./trace.ts";
import { isStream, type Sink, type Transport, type WireAnswer, type WireRequest } from "./transport.ts";

/** What one call is made with. */
export interface CallInput {
  readonly params?: Parameters;
  readonly query?: Parameters;
  readonly body?: unknown;
  readonly idempotencyKey?: string;
  /** When the request is tried again: on every passing trouble, or only while it certainly never left. */
  readonly repeat: "transient" | "unsent" | "never";
  /** How long the backend may hold the answer on purpose, in milliseconds. */
  readonly heldMs?: number;
  /** Whether the answer is asked for as PDF. */
  readonly asPdf?: true;
  /** Whether the value is to be the body, or the declined purchase in it, as it came: checked, but with all its fields. */
  readonly asIs?: true;
  /** Takes the answer of an operation that streams. */
  readonly sink?: Sink;
}

type AnswerSchemas<Id extends OperationId> = (typeof operations)[Id]["answers"];

/** What an operation answers with. */
export type AnswerOf<Id extends OperationId> = AnswerSchemas<Id>[keyof AnswerSchemas<Id>] extends infer Schema
  ? Schema extends z.ZodType
    ? z.infer<Schema>
    : null
  : never;

/** A success: its body, and whether the backend replayed it for a key that it knew before this call. */
export interface Reply<Value> {
  readonly value: Value;
  readonly replayed: boolean;
  /** The backend's name for the request, where it gave one. */
  readonly requestId: string | null;
}

type Attempt = { readonly reply: Reply<unknown> } | { readonly failure: Failure };

/** Calls operations of the contract at one backend, with the retries and the budget of one command. */
export class Caller {
  private spentMs = 0;
  private renewal: Promise<string | null> | null = null;

  constructor(
    private readonly address: BackendAddress,
    private readonly transport: Transport,
    private readonly options: ClientOptions,
  ) {}

  /**
   * Calls one operation until it succeeds, is refused, or a further try is useless.
   *
   * @throws ClientError
   */
  async call<Id extends OperationId>(id: Id, input: CallInput): Promise<Reply<AnswerOf<Id>>> {
    const reply = await this.complete(operations[id], input);
    // The schema of this operation has just read the value.
    return { ...reply, value: reply.value as AnswerOf<Id> };
  }

  /**
   * Calls an operation that also answers with a PDF, for the PDF.
   *
   * @throws ClientError
   */
  async download(id: OperationId, input: Omit<CallInput, "asPdf">): Promise<PdfFile> {
    const { value } = await this.complete(operations[id], { ...input, asPdf: true });
    // `readPdfAnswer` has just made the value.
    return value as PdfFile;
  }

  /**
   * Calls an operation that takes something away.
   *
   * @param hint how a person finds out what became of a request whose answer was lost
   * @returns `null` where a try was lost and the thing is not found after it: nothing is left to be taken away
   * @throws ClientError `outcome_unknown` as `change`
   */
  async remove<Id extends OperationId>(id: Id, input: CallInput, hint: string): Promise<Reply<AnswerOf<Id>> | null> {
    const failures: Failure[] = [];
    try {
      return await this.change(id, input, hint, failures);
    } catch (error) {
      if (failures.at(-1)?.error.code === "not_found" && isAnyLost(failures)) return null;
      throw error;
    }
  }

  /**
   * Calls an operation that changes something, without a key by which it could be asked later whether it did.
   *
   * @param hint how a person finds out what became of a request whose answer was lost
   * @param failures takes every failed try
   * @throws ClientError `outcome_unknown` where a try was lost and no well-formed refusal came after it
   */
  async change<Id extends OperationId>(
    id: Id,
    input: CallInput,
    hint: string,
    failures: Failure[] = [],
  ): Promise<Reply<AnswerOf<Id>>> {
    try {
      const reply = await this.complete(operations[id], input, failures);
      return { ...reply, value: reply.value as AnswerOf<Id> };
    } catch (error) {
      throw isOutcomeOpen(failures, error) ? outcomeUnknown(error, hint) : error;
    }
  }

  /** Tries until the end, and adds every failure to `failures`. */
  private async complete(operation: Operation, input: CallInput, failures: Failure[] = []): Promise<Reply<unknown>> {
    try {
      const reply = await this.tryOn(operation, input, failures);
      // A replay after an earlier try of this very call shows what this call did; one that was refused did nothing.
      const replayed = reply.replayed && !isAnyLost(failures);
      return { ...reply, replayed };
    } catch (error) {
      throw outcomeOf(operation, failures, error);
    }
  }

  /** Tries until the first success, and adds every failure to `failures`. */
  private async tryOn(operation: Operation, input: CallInput, failures: Failure[]): Promise<Reply<unknown>> {
    const began = this.options.now();
    for (;;) {
      const tryBegan = this.options.now();
      const attempt = await this.attempt(operation, input, failures.length + 1);
      if ("reply" in attempt) return attempt.reply;
      failures.push(attempt.failure);
      this.spentMs += this.options.now() - tryBegan;
      if (await this.stepUp(failures)) continue;
      const wait = this.waitAfter(failures, input, this.options.now() - began);
      if (wait === null) throw attempt.failure.error;
      await this.options.sleep(wait);
      this.spentMs += wait;
    }
  }

  /**
   * Proves with a one-time code that the person is still there, if a call needs one. Then the call can be made again as
   * it is: a refused one did nothing. The time that a person takes does not count.
   *
   * @returns false if no code is needed, or none is available
   * @throws ClientError `mfa_invalid` after the last code, and what else became of the request
   */
  private async stepUp(failures: readonly Failure[]): Promise<boolean> {
    const needed = failures.filter(({ error }) => error.code === "mfa_required");
    // Asked for a second time, the backend means something that codes do not mend.
    if (needed.length !== 1 || failures.at(-1) !== needed[0]) return false;
    let refusal: ClientError | null = null;
    for (;;) {
      const code = (await this.options.oneTimeCode?.(refusal)) ?? null;
      if (code === null && refusal !== null) throw refusal;
      if (code === null) return false;
      try {
        await this.call("stepUp", { body: { code }, repeat: "never" });
        return true;
      } catch (error) {
        if (!(error instanceof ClientError) || error.code !== "mfa_invalid") throw error;
        refusal = error;
      }
    }
  }

  /** Milliseconds until the next try, or `null` to give up. */
  private waitAfter(failures: readonly Failure[], input: CallInput, elapsedMs: number): number | null {
    const last = failures.at(-1);
    const everSent = failures.some((failure) => failure.sent);
    if (!last?.transient || input.repeat === "never" || (input.repeat === "unsent" && everSent)) return null;
    return nextWaitMs({
      tries: failures.length,
      retryAfterMs: last.error.retryAfterMs ?? null,
      random: this.options.random(),
      leftMs: this.leftMs,
      everSent,
      elapsedMs,
    });
  }

  private get leftMs(): number {
    return COMMAND_BUDGET_MS - this.spentMs;
  }

  /** One try; where the backend does not know the token, once more with a renewed one. */
  private async attempt(operation: Operation, input: CallInput, tries: number): Promise<Attempt> {
    if (operation.access === "public") return this.send(operation, input, tries, null);
    const token = await this.options.accessToken();
    if (token === null) throw new ClientError("unauthenticated", "You are not signed in");
    const attempt = await this.send(operation, input, tries, token);
    if (!("failure" in attempt) || attempt.failure.error.code !== "unauthenticated") return attempt;
    const renewed = await this.renewed(token);
    return renewed === null ? attempt : this.send(operation, input, tries, renewed);
  }

  /** A newer token than the refused one. Calls that are refused together share one renewal. */
  private async renewed(refused: string): Promise<string | null> {
    const current = await this.options.accessToken();
    if (current !== null && current !== refused) return current;
    this.renewal ??= (this.options.renewToken?.() ?? Promise.resolve(null)).finally(() => {
      this.renewal = null;
    });
    return this.renewal;
  }

  private async send(operation: Operation, input: CallInput, tries: number, token: string | null): Promise<Attempt> {
    const request = this.request(operation, input, tries, token);
    const began = this.options.now();
    const result = await this.transport.send(request);
    this.options.trace?.(traceLine(request, result, { tries, ms: this.options.now() - began }));
    const origin = this.address.origin;
    if (result.kind === "failure") return { failure: failureOfWire(result, operation, origin, this.options.env) };
    const reading = readingOf(operation, input, result);
    if (reading.kind === "success") {
      const requestId = reading.requestId ?? result.headers["x-request-id"] ?? null;
      return {
        reply: { value: reading.value, replayed: result.headers["idempotency-replayed"] === "true", requestId },
      };
    }
    return { failure: failureOfReading(reading, result, operation, origin) };
  }

  private request(operation: Operation, input: CallInput, tries: number, token: string | null): WireRequest {
    const { params = {}, query = {}, body, idempotencyKey, heldMs = 0, sink } = input;
    const timeoutMs = this.options.timeoutMs + heldMs;
    return {
      method: operation.method,
      path: targetOf(operation, this.address, params, query),
      headers: {
        accept: `${input.asPdf ? PDF_MEDIA_TYPE : (operation.streamsAs ?? "application/json")}, application/problem+json`,
        "accept-encoding": "identity",
        "user-agent": this.options.userAgent,
        ...(body !== undefined && { "content-type": mediaTypeOf(operation) }),
        ...(token !== null && { authorization: `Bearer ${checkedToken(token)}` }),
        ...(idempotencyKey !== undefined && { "idempotency-key": idempotencyKey }),
      },
      body: body === undefined ? null : encode(operation, body),
      timeoutMs: tries === 1 ? timeoutMs : Math.min(timeoutMs, this.leftMs),
      sink,
      onSent: () => operation.idempotent && this.options.reach("C2"),
    };
  }
}

function readingOf(operation: Operation, { asPdf, asIs, sink }: CallInput, answer: WireAnswer): Reading {
  if (sink && isStream(answer, sink.mediaType)) return { kind: "success", value: null };
  return (asPdf ? readPdfAnswer : asIs ? readAsItCame : readAnswer)(operation, answer);
}

function mediaTypeOf(operation: Operation): string {
  return operation.bodyType === "form" ? "application/x-www-form-urlencoded" : "application/json";
}

function encode(operation: Operation, body: unknown): string {
  if (operation.bodyType === "form") return new URLSearchParams(body as Record<string, string>).toString();
  return typeof body === "string" ? body : JSON.stringify(body);
}

/** What a client works with. */
export interface ClientOptions {
  /** Such as `http://127.0.0.1:4010/rest/management/v2`. */
  readonly apiUrl: string;
  /** Asked before every request that needs a token. */
  accessToken(): Promise<string | null>;
  /** Asked when the backend does not know the token; `null` where it cannot be renewed. */
  renewToken?(): Promise<string | null>;
  /**
   * Asked for a one-time code when a call needs one from the person who signed in; `refusal` is why the code before it
   * did not do, `null` for the first one. `null` where there is no (further) code.
   */
  oneTimeCode?(refusal: Error | null): Promise<string | null>;
  /** For one request. */
  readonly timeoutMs: number;
  /** Proxies, and `NODE_TLS_REJECT_UNAUTHORIZED`. */
  readonly env: Environment;
  /** Monotonic milliseconds. */
  now(): number;
  sleep(ms: number): Promise<void>;
  /** In [0, 1). */
  random(): number;
  /** Takes a line about every request; it may hold control characters of the backend. */
  trace?(line: string): void;
  /** A crash point: a place where a test kills the process. */
  reach(point: string): void;
  readonly userAgent: string;
}
