import { emitKeypressEvents, type Key } from "node:readline";
import type { Readable, Writable } from "node:stream";
import stringWidth from "string-width";

/** Takes the last column back, as a terminal's own line editing does (POSIX, ECHOE). */
const ERASE = "\b \b";

/** How a line is read. */
interface PlainLineOptions {
  /** Whether nothing of what is typed is shown. */
  readonly isSecret: boolean;
  /** Ends the reading without an answer. */
  readonly signal: AbortSignal;
}

/**
 * Reads one line from a terminal in raw mode without an escape sequence: what is typed is echoed, Backspace takes the
 * last character back, Ctrl-U all of them; other keys do nothing.
 *
 * @returns `null` after Ctrl-D on an empty line, where the input ends, and after the signal
 */
export function readPlainLine(
  input: Readable,
  output: Writable,
  { isSecret, signal }: PlainLineOptions,
): Promise<string | null> {
  const typed: string[] = [];
  const echo = (text: string) => {
    if (!isSecret) output.write(text);
  };
  const takeBack = () => echo(ERASE.repeat(stringWidth(typed.pop() ?? "")));
  return new Promise((done) => {
    const finish = (answer: string | null) => {
      input.off("keypress", onKey).off("end", onEnd);
      signal.removeEventListener("abort", onEnd);
      output.write("\n");
      done(answer);
    };
    const onEnd = () => finish(null);
    const onKey = (text: string | undefined, { name, ctrl = false, meta = false, sequence = "" }: Key) => {
      if (name === "return" || name === "enter") return finish(typed.join(""));
      if (ctrl && name === "d" && typed.length === 0) return finish(null);
      if (ctrl && name === "u") while (typed.length > 0) takeBack();
      else if (name === "backspace") takeBack();
      else if (text !== undefined && !ctrl && !meta && !/\p{Control}/u.test(sequence)) {
        typed.push(text);
        echo(text);
      }
    };
    if (signal.aborted) return finish(null);
    signal.addEventListener("abort", onEnd);
    emitKeypressEvents(input);
    input.on("keypress", onKey).on("end", onEnd).resume();
  });
}
