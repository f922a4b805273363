import type { WireAnswer, WireFailure, WireRequest } from "./transport.ts";

/** The only headers that `--verbose` shows; none of them can hold a secret. */
const SHOWN_REQUEST_HEADERS = ["idempotency-key"];
const SHOWN_ANSWER_HEADERS = ["x-request-id", "retry-after", "idempotency-replayed", "content-type"];

/** One line about one try of a request, without bodies and tokens: for `--verbose`. */
export function traceLine(
  request: WireRequest,
  result: WireAnswer | WireFailure,
  { tries, ms }: { tries: number; ms: number },
): string {
  const end =
    result.kind === "answer"
      ? String(result.status)
      : `no answer (${[result.reason, causeOf(result.cause)].filter(Boolean).join(": ")})`;
  const shown = [
    `try ${tries}`,
    ...headersOf(request.headers, SHOWN_REQUEST_HEADERS),
    ...(result.kind === "answer" ? headersOf(result.headers, SHOWN_ANSWER_HEADERS) : []),
  ];
  return `${request.method} ${request.path} → ${end} in ${Math.round(ms)} ms (${shown.join(", ")})`;
}

/** What the network says. No connection at all is an error of many, without words of its own. */
function causeOf(cause: unknown): string {
  if (!(cause instanceof Error)) return "";
  return cause.message || ("code" in cause ? String(cause.code) : cause.name);
}

function headersOf(headers: WireAnswer["headers"], names: readonly string[]): string[] {
  return names.flatMap((name) => (headers[name] === undefined ? [] : [`${name}: ${headers[name]}`]));
}
