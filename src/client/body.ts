import type { WireAnswer } from "./transport.ts";

/** Answers nested deeper than this are refused. */
const MAX_JSON_DEPTH = 64;

/**
 * A body as JSON, or why it is not, as the end of the sentence "The answer …". `broken`: it says that it
 * is JSON and is not, as where it was cut on its way.
 */
export type JsonBody =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly why: string; readonly broken: boolean };

/**
 * Reads the body of an answer as JSON. Compressed, other than JSON, broken and deeply nested bodies are refused. Under
 * another content type, or none, an object or array is read as well: SecureFlag's API may send JSON as text.
 */
export function readJson(answer: WireAnswer): JsonBody {
  const encoding = answer.headers["content-encoding"] ?? "identity";
  if (encoding !== "identity") return refusal("is compressed, which was not asked for");
  const isJson = isJsonType(answer.headers["content-type"]);
  const parsed = parse(answer.body);
  if (!isJson && (typeof parsed?.value !== "object" || parsed.value === null)) return refusal("is not JSON");
  if (!parsed) return refusal("is broken JSON", true);
  if (isDeeperThan(parsed.value, MAX_JSON_DEPTH)) return refusal("is nested too deeply");
  return { ok: true, value: parsed.value };
}

/** Whether a value has more than `levels` objects and arrays inside one another. */
export function isDeeperThan(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  return levels === 0 || Object.values(value).some((inner) => isDeeperThan(inner, levels - 1));
}

function refusal(why: string, broken = false): JsonBody {
  return { ok: false, why, broken };
}

function isJsonType(contentType: string | undefined): boolean {
  return /^application\/([\w.-]+\+)?json\s*(;|$)/i.test(contentType ?? "");
}

function parse(body: Buffer): { value: unknown } | null {
  try {
    return { value: JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body)) };
  } catch {
    return null;
  }
}
