import type { z } from "zod";
import { purchaseAnswerSchema } from "../contract/billing.ts";
import { oauthErrorSchema } from "../contract/identity.ts";
import type { Operation } from "../contract/operations/operation.ts";
import { PROBLEMS, type ProblemCode } from "../contract/problemCodes.ts";
import { type Problem, problemSchema, secureFlagErrorSchema } from "../contract/problems.ts";
import { type JsonBody, readJson } from "./body.ts";
import type { WireAnswer } from "./transport.ts";

/** One command reads few answers: compiling the schemas takes longer than reading by them. */
const ONE_ANSWER = { jitless: true };

/** What an answer says, in the terms of the contract. */
export type Reading =
  | { readonly kind: "success"; readonly value: unknown; readonly requestId?: string | undefined }
  | { readonly kind: "problem"; readonly code: ProblemCode; readonly problem: Problem }
  /** SecureFlag's own error shape. */
  | { readonly kind: "secureflag_error"; readonly message: string | null }
  /** RFC 6749, section 5.2. */
  | { readonly kind: "oauth_error"; readonly error: string; readonly description: string | undefined }
  /** A PDF was asked for, and the backend makes none. */
  | { readonly kind: "other_form" }
  /** `why` ends the sentence "The answer …"; `broken`: it looks as if it was cut on its way. */
  | { readonly kind: "nonsense"; readonly why: string; readonly broken: boolean };

/** Reads an answer to an operation by the contract. Whatever is not well-formed is nonsense, never a guess. */
export function readAnswer(operation: Operation, answer: WireAnswer): Reading {
  if (answer.status >= 300 && answer.status < 400) return nonsense("is a redirect, which is never followed");
  const schema = operation.answers[answer.status];
  if (schema === null) return { kind: "success", value: null };
  const body = readJson(answer);
  if (!body.ok) return nonsense(body.why, body.broken);
  return readKnownError(operation, answer.status, body) ?? readSuccess(schema, answer.status, body);
}

/** Reads an answer as `readAnswer` does, but gives the body of a success, or the declined purchase, as it came. */
export function readAsItCame(operation: Operation, answer: WireAnswer): Reading {
  const reading = readAnswer(operation, answer);
  if (reading.kind !== "success" || reading.value === null) return reading;
  const body = readJson(answer);
  if (!body.ok) return nonsense(body.why, body.broken);
  if (answer.status < 400) return { kind: "success", value: body.value };
  const { purchase, requestId } = problemSchema.parse(body.value, ONE_ANSWER);
  return { kind: "success", value: purchase, requestId };
}

type GoodBody = Extract<JsonBody, { ok: true }>;

function readSuccess(schema: z.ZodType | undefined, status: number, { value }: GoodBody): Reading {
  if (!schema) return nonsense(`has the HTTP status ${status} without one of the contract's codes`);
  const parsed = schema.safeParse(value, ONE_ANSWER);
  if (parsed.success) return { kind: "success", value: parsed.data };
  const issue = parsed.error.issues[0];
  return nonsense(`does not fit the contract at "${issue?.path.join(".")}": ${issue?.message}`);
}

function readKnownError(operation: Operation, status: number, { value }: GoodBody): Reading | null {
  const own = secureFlagErrorSchema.safeParse(value, ONE_ANSWER);
  if (own.success) return { kind: "secureflag_error", message: own.data.errorMsg?.trim() || null };
  if (status < 400) return null;
  const problem = problemSchema.safeParse(value, ONE_ANSWER);
  if (problem.success && isProblemOf(status, problem.data.code))
    return readProblem(operation, problem.data.code, problem.data);
  const oauth = operation.bodyType === "form" ? oauthErrorSchema.safeParse(value, ONE_ANSWER) : null;
  if (!oauth?.success) return null;
  return { kind: "oauth_error", error: oauth.data.error, description: oauth.data.error_description };
}

/** A declined purchase is an answer with the whole purchase in it. */
function readProblem(operation: Operation, code: ProblemCode, problem: Problem): Reading {
  if (code !== "payment_declined" || !mayCharge(operation)) return { kind: "problem", code, problem };
  const purchase = purchaseAnswerSchema.safeParse(problem.purchase, ONE_ANSWER);
  if (purchase.success && purchase.data.status === "failed") {
    return { kind: "success", value: purchase.data, requestId: problem.requestId };
  }
  return nonsense("declines the payment without showing the purchase");
}

/** Buying, and paying again: the calls that may answer with a purchase that is not settled yet, or declined. */
function mayCharge({ method, answers }: Operation): boolean {
  return method === "POST" && answers[202] === purchaseAnswerSchema;
}

/** A code counts only with a status of its own kind: a refusal under a server error would be a guess. */
function isProblemOf(status: number, code: string): code is ProblemCode {
  return (
    Object.hasOwn(PROBLEMS, code) && Math.floor(PROBLEMS[code as ProblemCode].status / 100) === Math.floor(status / 100)
  );
}

function nonsense(why: string, broken = false): Reading {
  return { kind: "nonsense", why, broken };
}
