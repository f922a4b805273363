import { spawn } from "@lydell/node-pty";
import xterm from "@xterm/headless";
import stringWidth from "string-width";
import type { RunOptions } from "./cli.ts";
import { BIN, clearedEnvironment, temporaryDirectory } from "./places.ts";
import { waitFor } from "./wait.ts";

/** The escape sequences of keys. */
export const KEYS = { enter: "\r", controlC: "\u0003", controlD: "\u0004", up: "\u001b[A", down: "\u001b[B" } as const;

/** A part of a line with one style. */
export interface Piece {
  readonly text: string;
  /** Its first column, from 0. */
  readonly column: number;
  /** One of the terminal's 16 colors; `null` for the default. */
  readonly color: number | null;
  readonly bold: boolean;
  readonly dim: boolean;
}

/** A program in a real terminal. */
export interface TerminalRun {
  readonly home: string;
  /** The screen and its scrollback, with wrapped lines joined and without trailing spaces. */
  screen(): string;
  /** The same lines in parts of one style; wrapped lines are not joined. */
  pieces(): Piece[][];
  /** All output, with escape sequences. */
  raw(): string;
  type(keys: string): void;
  resize(columns: number, rows: number): void;
  /** Waits until the text is on the screen. */
  waitForText(text: string | RegExp, limit?: number): Promise<void>;
  /** Waits for the end, and returns the exit code. */
  exitCode(limit?: number): Promise<number>;
  /** Kills it if it is still running. */
  close(): void;
}

/** How to run a program in a terminal. */
type TerminalOptions = Omit<RunOptions, "input" | "timeout"> & { columns?: number; rows?: number };

/** Starts the built program in a pseudo-terminal whose screen is read back through a terminal emulator. */
export function runInTerminal(args: readonly string[], options: TerminalOptions = {}): Promise<TerminalRun> {
  return startInTerminal(process.execPath, [BIN, ...args], options);
}

/** Starts any program, such as a shell, in a pseudo-terminal. */
export async function startInTerminal(
  file: string,
  args: readonly string[],
  options: TerminalOptions = {},
): Promise<TerminalRun> {
  const home = options.home ?? (await temporaryDirectory());
  const size = { cols: options.columns ?? 80, rows: options.rows ?? 50 };
  const emulator = new xterm.Terminal({ ...size, scrollback: 1000, allowProposedApi: true });
  const program = spawn(file, [...args], {
    ...size,
    name: options.env?.TERM ?? "xterm-256color",
    cwd: home,
    env: clearedEnvironment(home, options.env),
  });
  let raw = "";
  let exitCode: number | undefined;
  program.onData((data) => {
    raw += data;
    emulator.write(data);
  });
  program.onExit((end) => {
    exitCode = end.exitCode;
  });
  const screen = () => readScreen(emulator);
  return {
    home,
    screen,
    pieces: () => readPieces(emulator),
    raw: () => raw,
    type: (keys) => program.write(keys),
    resize: (columns, rows) => {
      emulator.resize(columns, rows);
      program.resize(columns, rows);
    },
    waitForText: async (text, limit = 10_000) => {
      const shown = () => (typeof text === "string" ? screen().includes(text) : text.test(screen()));
      await waitFor(shown, limit, () => `${text} on the screen:\n${screen()}`);
    },
    exitCode: async (limit = 15_000) => {
      const code = await waitFor(
        () => exitCode,
        limit,
        () => `the program to end:\n${screen()}`,
      );
      // The emulator parses its input asynchronously.
      await new Promise<void>((done) => emulator.write("", done));
      return code;
    },
    close: () => {
      if (exitCode === undefined) program.kill("SIGKILL");
    },
  };
}

function readScreen(emulator: xterm.Terminal): string {
  const { active } = emulator.buffer;
  const lines: string[] = [];
  for (let row = 0; row < active.length; row += 1) {
    const line = active.getLine(row);
    const text = line?.translateToString(true) ?? "";
    if (line?.isWrapped) lines.push((lines.pop() ?? "") + text);
    else lines.push(text);
  }
  return lines.join("\n").trimEnd();
}

function readPieces(emulator: xterm.Terminal): Piece[][] {
  const { active } = emulator.buffer;
  const lines = Array.from({ length: active.length }, (_, row) => piecesOf(active.getLine(row)));
  return lines.slice(0, lines.findLastIndex((pieces) => pieces.length > 0) + 1);
}

/** Blanks between parts are left out, because every part has its column. */
function piecesOf(line: xterm.IBufferLine | undefined): Piece[] {
  const pieces: Piece[] = [];
  for (let column = 0; column < (line?.length ?? 0); column += 1) {
    const cell = line?.getCell(column);
    const text = cell?.getChars() ?? "";
    if (!cell || text.trim() === "") continue;
    const style = {
      color: cell.isFgPalette() ? cell.getFgColor() : null,
      bold: cell.isBold() !== 0,
      dim: cell.isDim() !== 0,
    };
    const last = pieces.at(-1);
    const end = last ? last.column + stringWidth(last.text) : 0;
    const isNear = last && column - end <= 1;
    if (isNear && last.color === style.color && last.bold === style.bold && last.dim === style.dim) {
      pieces[pieces.length - 1] = { ...last, text: last.text + " ".repeat(column - end) + text };
    } else {
      pieces.push({ ...style, text, column });
    }
  }
  return pieces;
}
