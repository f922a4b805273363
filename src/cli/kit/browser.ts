import { win32 } from "node:path";

/** What decides how a browser is opened. */
export interface BrowserMachine {
  /** As Node.js names it, such as `linux` or `darwin`. */
  readonly platform: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** A program with its arguments. */
export type Invocation = readonly [file: string, ...args: string[]];

const OPEN_BY_WINDOWS = "url.dll,FileProtocolHandler";

/**
 * The programs that open a URL in the person's browser, the best one first: that of BROWSER, then the system's. The URL is
 * one argument of each, and no shell reads it. On the Windows Subsystem for Linux, the browser is that of Windows.
 *
 * @param url that may be opened, see `isPageOf`
 */
export function browserInvocations(url: string, machine: BrowserMachine): Invocation[] {
  return [...chosenBrowser(url, machine), ...systemBrowsers(url, machine)];
}

/** BROWSER is a list of programs, each with arguments; `%s` is the URL, which comes last where it is missing. */
function chosenBrowser(url: string, { platform, env }: BrowserMachine): Invocation[] {
  const { BROWSER = "" } = env;
  if (platform === "win32") return BROWSER === "" ? [] : [[BROWSER, url]];
  return BROWSER.split(":")
    .map((entry) => entry.trim().split(/\s+/))
    .filter(([file]) => file !== "")
    .map((words): Invocation => {
      const [file = "", ...args] = words.map((word) => word.replaceAll("%s", () => url));
      return words.some((word) => word.includes("%s")) ? [file, ...args] : [file, ...args, url];
    });
}

function systemBrowsers(url: string, { platform, env }: BrowserMachine): Invocation[] {
  if (platform === "darwin") return [["/usr/bin/open", url]];
  if (platform === "win32") {
    // By its full path: Windows would look in the current directory first.
    return [[win32.join(env.SystemRoot || "C:\\Windows", "System32", "rundll32.exe"), OPEN_BY_WINDOWS, url]];
  }
  if (!env.WSL_DISTRO_NAME) return [["xdg-open", url]];
  return [
    ["wslview", url],
    ["/mnt/c/Windows/System32/rundll32.exe", OPEN_BY_WINDOWS, url],
    ["xdg-open", url],
  ];
}

/** Opens a URL by the first of the programs that can be started. It goes on by itself; failing to is no error. */
export async function openBrowser(url: string, machine: BrowserMachine): Promise<void> {
  const { spawn } = await import("node:child_process");
  for (const [file, ...args] of browserInvocations(url, machine)) {
    const isStarted = await new Promise<boolean>((resolve) => {
      const child = spawn(file, args, { stdio: "ignore", detached: true });
      child.once("spawn", () => resolve(true)).once("error", () => resolve(false));
      child.unref();
    });
    if (isStarted) return;
  }
}
