import { isPlain } from "./plain.ts";

/** What decides whether there is color. */
export interface ColorChoice {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Whether the stream is a terminal. */
  readonly isTerminal: boolean;
  /** False with `--no-color`. */
  readonly color: boolean;
}

/** The color level of a stream: `--no-color` beats NO_COLOR, which beats FORCE_COLOR, which beats the terminal. */
export function colorLevel({ env, isTerminal, color }: ColorChoice): 0 | 1 | 2 | 3 {
  if (!color || env.NO_COLOR) return 0;
  const forced = env.FORCE_COLOR;
  if (forced !== undefined)
    return forced === "0" || forced === "false" ? 0 : forced === "2" ? 2 : forced === "3" ? 3 : 1;
  return isTerminal && !isPlain(env) ? 1 : 0;
}

const LABEL_COLORS = { Error: 31, Warning: 33 } as const;

/** What a message begins with: `Error:` in red and `Warning:` in yellow, where there is color. */
export function label(word: keyof typeof LABEL_COLORS, choice: ColorChoice): string {
  return colorLevel(choice) > 0 ? `\u001b[${LABEL_COLORS[word]}m${word}:\u001b[39m` : `${word}:`;
}
