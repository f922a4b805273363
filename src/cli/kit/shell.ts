import { cleanWhole } from "./text.ts";

/** The shells whose lines differ. */
export type Shell = "sh" | "fish" | "powershell" | "cmd";

/** What tells the shell that a command was started from. */
export interface ShellMachine {
  /** As Node.js names it, such as `linux` or `win32`. */
  readonly platform: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * Guesses the shell in use. Windows sets PSModulePath for all programs, and PowerShell adds the folder of the user's own
 * modules; elsewhere only PowerShell sets it. Git Bash and the like set SHELL on Windows too.
 */
export function detectShell({ platform, env }: ShellMachine): Shell {
  const modules = env.PSModulePath ?? "";
  if (platform !== "win32") {
    if (modules !== "") return "powershell";
    return /(^|\/)fish$/.test(env.SHELL ?? "") ? "fish" : "sh";
  }
  if (env.SHELL) return "sh";
  return /\\(Windows)?PowerShell\\Modules(;|$)/i.test(modules.replace(/[^;]*\\Program Files\\[^;]*/gi, ""))
    ? "powershell"
    : "cmd";
}

/**
 * Writes the line that sets environment variables when it is pasted into a shell.
 *
 * @returns `null` where the shell cannot quote one of the values: cmd and `"` or `%`
 */
export function setVariables(
  shell: Shell,
  variables: readonly (readonly [name: string, value: string])[],
): string | null {
  const values = variables.map(([name, value]) => [name, cleanWhole(value)] as const);
  switch (shell) {
    case "sh":
      return `export ${values.map(([name, value]) => `${name}=${plainOr(value, quoteSh)}`).join(" ")}`;
    case "fish":
      return values.map(([name, value]) => `set -gx ${name} ${plainOr(value, quoteFish)}`).join("; ");
    case "powershell":
      return values.map(([name, value]) => `$env:${name} = ${quotePowershell(value)}`).join("; ");
    case "cmd":
      if (values.some(([, value]) => /["%]/.test(value))) return null;
      return values.map(([name, value]) => `set "${name}=${value}"`).join(" & ");
  }
}

function plainOr(value: string, quote: (value: string) => string): string {
  return /^[\w./:@%+=,-]+$/.test(value) ? value : quote(value);
}

function quoteSh(value: string): string {
  return `'${value.replaceAll("'", "'\\''")}'`;
}

function quoteFish(value: string): string {
  return `'${value.replaceAll(/[\\']/g, "\\$&")}'`;
}

/** PowerShell takes curly quotes for straight ones. */
function quotePowershell(value: string): string {
  return `'${value.replaceAll(/['\u2018-\u201b]/g, "$&$&")}'`;
}
