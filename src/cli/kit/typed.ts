import { PassThrough } from "node:stream";

const CONTROL_C = 3;

/** Moves to the end of the line editor's line and deletes it. */
const CLEAR_LINE = "\u0005\u0015";

const BELL = "\u0007";

/** Bracketed paste mode (xterm control sequences): the terminal marks what was pasted instead of typed. */
const PASTE = { on: "\u001b[?2004h", off: "\u001b[?2004l", start: "\u001b[200~", end: "\u001b[201~" } as const;

const TOKENS = /(\u001b\[20[01]~|\r\n?|\n)/;

/** The beginning of a paste marker whose rest comes with the next read. */
const PARTIAL_MARKER = /\u001b(?:\[(?:2(?:0[01]?)?)?)?$/;

/** Input that follows sooner than this was pasted, or sent by a program. */
const QUIET_MS = 50;

/** A paste whose end mark does not come after so many quiet moments has none. */
const MAX_PASTE_PAUSE = 20;

/** How a question takes what is typed. */
export interface TypedOptions {
  /** Whether only a line typed for this question is an answer: neither a paste nor a line with bytes after its Enter. */
  readonly deliberate: boolean;
  /** Whether the terminal understands the request to mark pastes. */
  readonly marksPastes: boolean;
  /** Called where Ctrl-C is typed. */
  onInterrupt(): void;
}

/** The input of one question, as a line editor reads it. */
export interface TypedInput {
  readonly stream: PassThrough;
  /** Settles once everything that arrived before the question is discarded: now the question can be shown. */
  readonly ready: Promise<void>;
  close(): void;
}

/**
 * Reads what a person types in answer to one question. Input that arrived earlier is discarded, because it answers
 * nothing that was seen. The terminal is in raw mode until `close`.
 */
export function readTyped(
  { input, output }: { readonly input: NodeJS.ReadStream; readonly output: NodeJS.WriteStream },
  { deliberate, marksPastes, onInterrupt }: TypedOptions,
): TypedInput {
  const setRawMode = (isRaw: boolean) => {
    // A terminal that is gone has no mode.
    if (!input.destroyed) input.setRawMode?.(isRaw);
  };
  const stream = Object.assign(new PassThrough(), { setRawMode });
  let state: "discarding" | "asking" | "entered" | "done" = "discarding";
  let isPasting = false;
  let partial = "";
  let timer: NodeJS.Timeout;
  let reads = 0;
  let quietMoments = 0;
  let open: () => void = () => {};
  const ready = new Promise<void>((done) => {
    open = done;
  });

  /** Goes on when the input was quiet for a moment. A late timer first lets the event loop look at the input again. */
  const awaitQuiet = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      const before = reads;
      setImmediate(() => (reads === before ? onQuiet() : awaitQuiet()));
    }, QUIET_MS);
  };
  const onQuiet = () => {
    if (state === "entered") return finish();
    quietMoments += 1;
    if (isPasting && quietMoments < MAX_PASTE_PAUSE) return awaitQuiet();
    isPasting = false;
    state = "asking";
    open();
  };
  const finish = () => {
    state = "done";
    stream.write("\r");
  };
  const discard = () => {
    if (state !== "discarding") {
      stream.write(CLEAR_LINE);
      output.write(BELL);
    }
    state = "discarding";
    awaitQuiet();
  };
  const take = (token: string) => {
    const isEnter = /^[\r\n]/.test(token);
    if (token === PASTE.start || token === PASTE.end) {
      isPasting = token === PASTE.start;
      if (deliberate && state !== "done") discard();
    } else if (state === "discarding") {
      awaitQuiet();
    } else if (state === "asking" && !isEnter) {
      stream.write(Buffer.from(token, "latin1"));
    } else if (state === "asking" && deliberate) {
      state = "entered";
      awaitQuiet();
    } else if (state === "asking") {
      finish();
    } else if (state === "entered" && token !== "\n") {
      discard();
    }
  };
  const onData = (chunk: Buffer) => {
    reads += 1;
    quietMoments = 0;
    if (chunk.includes(CONTROL_C)) return onInterrupt();
    const text = partial + chunk.toString("latin1");
    partial = PARTIAL_MARKER.exec(text)?.[0] ?? "";
    for (const token of text.slice(0, text.length - partial.length).split(TOKENS)) if (token !== "") take(token);
  };
  const onEnd = () => {
    open();
    stream.end();
  };

  setRawMode(true);
  if (marksPastes) output.write(PASTE.on);
  input.on("data", onData).on("end", onEnd).on("error", onEnd).resume();
  awaitQuiet();
  return {
    stream,
    ready,
    close: () => {
      state = "done";
      clearTimeout(timer);
      input.off("data", onData).off("end", onEnd).off("error", onEnd).pause();
      setRawMode(false);
      if (marksPastes) output.write(PASTE.off);
    },
  };
}
