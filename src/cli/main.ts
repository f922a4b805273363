import type { Context } from "./context.ts";

export { createContext } from "./context.ts";

/**
 * Runs the command line.
 *
 * @param argv the arguments after the script's name
 * @returns the exit code (cli.md, Exit codes); never throws
 */
export async function main(argv: readonly string[], context: Context): Promise<number> {
  try {
    if (argv[0] === "--version" || argv[0] === "-V") {
      await context.io.print(`${context.version}\n`);
      return 0;
    }
    const { runProgram } = await import("./commands/program.ts");
    return await runProgram(argv, context);
  } catch (error) {
    const { reportFailure } = await import("./commands/shared/report.ts");
    return reportFailure(error, argv, context);
  } finally {
    await context.end();
  }
}
