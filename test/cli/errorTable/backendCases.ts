import { html } from "../../client/backend.ts";
import { subscription, user } from "../support/builders.ts";
import { ADD, ok } from "./answers.ts";
import type { ErrorCase } from "./stage.ts";

/** Answers that make no sense, and a defect (exit code 1). */
export const BACKEND_CASES: readonly ErrorCase[] = [
  { code: "unexpected_answer", when: "an HTML page", line: "status", answers: [html(200)] },
  {
    code: "unexpected_answer",
    when: "a response of another shape",
    line: "status",
    answers: [ok({ ...subscription(), licenses: "many" })],
  },
  {
    code: "unexpected_answer",
    when: "a response about something else",
    line: "status",
    answers: [ok(subscription({ organization: { id: 9, name: "Other", timeZone: "UTC" } }))],
  },
  {
    code: "unexpected_answer",
    when: "an oversized response",
    line: "status",
    answers: [ok({ ...subscription(), more: "x".repeat(1_100_000) })],
  },
  {
    code: "unexpected_answer",
    when: "SecureFlag's own error",
    line: "users list",
    answers: [ok({ result: null, error: true, errorMsg: "internal error" })],
  },
  { code: "unexpected_answer", when: "the same page repeatedly", line: "users list", answers: [ok([user()])] },
  { code: "billing_not_offered", line: "status", answers: [html(404)] },
  { code: "users_not_offered", line: ADD, answers: [html(404)] },
  {
    code: "defect",
    line: "status",
    parts: () => ({
      createClient: async () => {
        throw new TypeError("Cannot read properties of undefined (reading 'id')");
      },
    }),
  },
];
