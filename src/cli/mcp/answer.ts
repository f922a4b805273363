import type { CallToolResult } from "@modelcontextprotocol/sdk/types.js";
import { reportOf } from "../errors.ts";
import { tokenVariable } from "../io.ts";
import { toJson } from "../kit/output.ts";
import { clean } from "../kit/text.ts";

/** What an agent may do about a purchase whose end is open. */
export const BUY_AGAIN = "Calling buy_licenses again with this quoteId is safe: a quote is bought once.";

/**
 * Answers an agent with data, as structured content and as JSON text. Every text in them is cleaned as for a terminal.
 *
 * @param words sentences of our own that come first
 */
export function answer(data: object, words: readonly string[] = []): CallToolResult {
  const structuredContent = cleaned(data) as Record<string, unknown>;
  return {
    content: [...words.filter(Boolean).map((word) => clean(word)), toJson(structuredContent)].map(text),
    structuredContent,
  };
}

/** Answers an agent with a failure, as `--json` prints it (src/cli/README.md, Output). */
export function failureAnswer(error: unknown, env: Readonly<Record<string, string | undefined>>): CallToolResult {
  const { problems, ...report } = reportOf(error, tokenVariable(env));
  return { content: [text(toJson({ error: cleaned(report) }))], isError: true };
}

/** One text of an answer. */
export function text(words: string): { type: "text"; text: string } {
  return { type: "text", text: words };
}

function cleaned(value: unknown): unknown {
  if (typeof value === "string") return clean(value);
  if (Array.isArray(value)) return value.map(cleaned);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [clean(name), cleaned(each)]));
}
