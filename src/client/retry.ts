/** The maximum number of tries of one request. */
const MAX_TRIES = 6;

/** The maximum time of failed tries and the waits between them for one command, in milliseconds. */
export const COMMAND_BUDGET_MS = 120_000;

/** The maximum time of tries of which none was sent, in milliseconds. */
const UNSENT_LIMIT_MS = 20_000;

const BACKOFF_BASE_MS = 300;
const BACKOFF_CAP_MS = 8_000;

/** Whether an answer of this status says "not now". */
export function isTransientStatus(status: number): boolean {
  return status === 408 || status === 425 || status === 429 || status >= 500;
}

/** Full jitter: anything between nothing and the doubled base, in milliseconds. `random` is in [0, 1). */
export function backoffMs(tries: number, random: number): number {
  return Math.floor(random * Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** (tries - 1)));
}

/**
 * How long `Retry-After` asks to wait, in milliseconds (RFC 9110, section 10.2.3); `null` where it says nothing.
 * A date is measured from the answer's own `Date`: no instant of a backend is compared with this machine's
 * clock.
 */
export function parseRetryAfter(value: string | undefined, date: string | undefined): number | null {
  if (value === undefined) return null;
  if (/^\d{1,9}$/.test(value.trim())) return Number(value) * 1000;
  const wait = Date.parse(value) - Date.parse(date ?? "");
  return Number.isNaN(wait) ? null : Math.max(0, wait);
}

/** What a failed try leaves to decide with. Times in milliseconds. */
export interface RetrySituation {
  /** How often the request was tried. */
  readonly tries: number;
  /** What the last answer asked for. */
  readonly retryAfterMs: number | null;
  /** In [0, 1). */
  readonly random: number;
  /** What is left of the command's budget. */
  readonly leftMs: number;
  /** Whether any try may have reached the backend. */
  readonly everSent: boolean;
  /** Since the first try began. */
  readonly elapsedMs: number;
}

/** How long to wait before the next try, in milliseconds, or `null` to give up. */
export function nextWaitMs(situation: RetrySituation): number | null {
  const { tries, retryAfterMs, random, leftMs, everSent, elapsedMs } = situation;
  const wait = Math.max(retryAfterMs ?? 0, backoffMs(tries, random));
  if (tries >= MAX_TRIES || wait >= leftMs) return null;
  if (!everSent && elapsedMs + wait >= UNSENT_LIMIT_MS) return null;
  return wait;
}
