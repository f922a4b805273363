import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { browserInvocations, openBrowser } from "../../../src/cli/kit/browser.ts";
import { temporaryDirectory } from "../support/machine.ts";

const URL = "https://billing.example/pay/1?a=1&b='$(id)'";

const HANDLER = "url.dll,FileProtocolHandler";

test.each<[string, Record<string, string>, (readonly string[])[]]>([
  ["linux", {}, [["xdg-open", URL]]],
  ["darwin", {}, [["/usr/bin/open", URL]]],
  ["win32", { SystemRoot: "D:\\Windows" }, [["D:\\Windows\\System32\\rundll32.exe", HANDLER, URL]]],
  ["win32", {}, [["C:\\Windows\\System32\\rundll32.exe", HANDLER, URL]]],
  [
    "linux",
    { WSL_DISTRO_NAME: "Ubuntu" },
    [
      ["wslview", URL],
      ["/mnt/c/Windows/System32/rundll32.exe", HANDLER, URL],
      ["xdg-open", URL],
    ],
  ],
  [
    "linux",
    { BROWSER: "firefox --new-tab:/opt/x %s --now: " },
    [
      ["firefox", "--new-tab", URL],
      ["/opt/x", URL, "--now"],
      ["xdg-open", URL],
    ],
  ],
  [
    "win32",
    { BROWSER: "C:\\Program Files\\b.exe", SystemRoot: "C:\\W" },
    [
      ["C:\\Program Files\\b.exe", URL],
      ["C:\\W\\System32\\rundll32.exe", HANDLER, URL],
    ],
  ],
])("on %s with %j", (platform, env, expected) => {
  expect(browserInvocations(URL, { platform, env })).toEqual(expected);
});

describe.skipIf(process.platform === "win32")("opening", () => {
  test("uses the first program that can be started, with the URL as one argument", async () => {
    const folder = temporaryDirectory();
    const [program, seen] = [join(folder, "browser"), join(folder, "seen")];
    const script = `#!/bin/sh\nfor word; do printf '[%s]' "$word"; done > ${seen}.part; mv ${seen}.part ${seen}\n`;
    writeFileSync(program, script);
    chmodSync(program, 0o755);
    await openBrowser(URL, { platform: "linux", env: { BROWSER: `${join(folder, "missing")}:${program}` } });
    await vi.waitFor(() => expect(readFileSync(seen, "utf8")).toBe(`[${URL}]`), 10_000);
  });
});
