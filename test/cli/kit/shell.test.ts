import { execFileSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { detectShell, setVariables } from "../../../src/cli/kit/shell.ts";
import { isInstalled } from "../../support/installed.ts";

const MACHINE_MODULES =
  "C:\\Program Files\\WindowsPowerShell\\Modules;C:\\Windows\\system32\\WindowsPowerShell\\v1.0\\Modules";

test.each([
  ["linux", {}, "sh"],
  ["linux", { SHELL: "/bin/bash" }, "sh"],
  ["linux", { SHELL: "/usr/bin/fish" }, "fish"],
  ["darwin", { SHELL: "/opt/homebrew/bin/fish" }, "fish"],
  ["darwin", { SHELL: "/bin/zsh" }, "sh"],
  ["linux", { SHELL: "/bin/catfish" }, "sh"],
  ["linux", { SHELL: "/bin/bash", PSModulePath: "/home/ada/.local/share/powershell/Modules" }, "powershell"],
  ["win32", {}, "cmd"],
  ["win32", { PROMPT: "$P$G", PSModulePath: MACHINE_MODULES }, "cmd"],
  ["win32", { PSModulePath: `C:\\Users\\Ada\\Documents\\WindowsPowerShell\\Modules;${MACHINE_MODULES}` }, "powershell"],
  ["win32", { PSModulePath: `C:\\Users\\Ada\\Documents\\PowerShell\\Modules;${MACHINE_MODULES}` }, "powershell"],
  ["win32", { PSModulePath: `c:\\program files\\powershell\\7\\Modules;${MACHINE_MODULES}` }, "cmd"],
  ["win32", { SHELL: "/usr/bin/bash", MSYSTEM: "MINGW64", PSModulePath: MACHINE_MODULES }, "sh"],
])("on %s with %j the shell is %s", (platform, env, expected) => {
  expect(detectShell({ platform, env })).toBe(expected);
});

const URL_AND_TOKEN = [
  ["A", "http://127.0.0.1:4010/rest/management/v2"],
  ["B", "it's $HOME `x` & \\ | ‘y’;"],
] as const;

test.each([
  ["sh", "export A=http://127.0.0.1:4010/rest/management/v2 B='it'\\''s $HOME `x` & \\ | ‘y’;'"],
  ["fish", "set -gx A http://127.0.0.1:4010/rest/management/v2; set -gx B 'it\\'s $HOME `x` & \\\\ | ‘y’;'"],
  ["powershell", "$env:A = 'http://127.0.0.1:4010/rest/management/v2'; $env:B = 'it''s $HOME `x` & \\ | ‘‘y’’;'"],
  ["cmd", 'set "A=http://127.0.0.1:4010/rest/management/v2" & set "B=it\'s $HOME `x` & \\ | ‘y’;"'],
] as const)("%s: %s", (shell, line) => {
  expect(setVariables(shell, URL_AND_TOKEN)).toBe(line);
});

test.each(["100%PATH%", 'a"b'])("cmd cannot quote %s", (value) => {
  expect(setVariables("cmd", [["A", value]])).toBeNull();
});

describe.each([
  ["sh", "sh"],
  ["bash", "sh"],
  ["zsh", "sh"],
  ["fish", "fish"],
] as const)("in %s", (program, shell) => {
  test.runIf(isInstalled(program))("the line sets the variables that a program then finds", () => {
    const line = setVariables(shell, URL_AND_TOKEN);
    const printed = execFileSync(program, ["-c", `${line}\nenv`], {
      encoding: "utf8",
      env: { PATH: process.env.PATH },
    });
    for (const [name, value] of URL_AND_TOKEN) expect(printed.split("\n")).toContain(`${name}=${value}`);
  });
});
