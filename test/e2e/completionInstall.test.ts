import { chmod, lstat, mkdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { errorOf, resultOf, runCli } from "../support/cli.ts";
import { isInstalled } from "../support/installed.ts";
import { BIN, clearedEnvironment, removePlaces, temporaryDirectory } from "../support/places.ts";

afterAll(removePlaces);

let home: string;

beforeEach(async () => {
  home = await temporaryDirectory();
});

const run = (args: string, env: Record<string, string> = {}) =>
  runCli(["completion", ...args.split(" ")], { home, env });

const pathOf = (path: string) => join(home, path);

const BASH = [
  ".local/share/bash-completion/completions/secureflag-licenses",
  ".local/share/bash-completion/completions/sfl",
];

const FISH = [".config/fish/completions/secureflag-licenses.fish", ".config/fish/completions/sfl.fish"];

/** Runs a script of a shell in the home, with both names of the program on PATH. */
async function inShell(shell: string, script: string): Promise<string> {
  const bin = pathOf("bin");
  await mkdir(bin);
  for (const name of ["secureflag-licenses", "sfl"]) {
    await writeFile(join(bin, name), `#!/bin/sh\nexec '${process.execPath}' '${BIN}' "$@"\n`);
    await chmod(join(bin, name), 0o755);
  }
  const env = clearedEnvironment(home, { PATH: `${bin}:${process.env.PATH}` });
  const { stdout } = await execa(shell, ["-c", script], { cwd: home, env, extendEnv: false });
  return stdout;
}

describe("completion --install", () => {
  test.each([
    ["/bin/bash", "bash", BASH],
    ["/usr/bin/fish", "fish", FISH],
  ])("with SHELL=%s writes files, again and again, and --uninstall removes them", async (SHELL, shell, files) => {
    const expected = { shell, files: files.map(pathOf), installed: true };
    for (const _ of ["first", "again"]) {
      expect(resultOf(await run("--install --json", { SHELL }))).toEqual(expected);
    }
    for (const file of files)
      expect(await readFile(pathOf(file), "utf8")).toContain("completion for secureflag-licenses");
    expect(resultOf(await run("--uninstall --json", { SHELL }))).toEqual({ ...expected, installed: false });
    for (const file of files) await expect(stat(pathOf(file))).rejects.toThrow("ENOENT");
    expect((await run("--uninstall", { SHELL })).stdout).toBe("No completion is installed.\n");
  });

  test.skipIf(!isInstalled("bash"))("completes both names in bash", async () => {
    await run("bash --install");
    const complete = (file: string, name: string) =>
      `. ${file}; COMP_LINE='${name} prof'; COMP_POINT=\${#COMP_LINE}; _secureflag_licenses; complete -p ${name}; echo "$COMPREPLY"`;
    const lines = BASH.map((file, index) => complete(file, ["secureflag-licenses", "sfl"][index] ?? "")).join("\n");
    expect((await inShell("bash", lines)).match(/^profiles\b/gm)).toHaveLength(2);
  });

  test.skipIf(!isInstalled("fish"))("completes both names in fish", async () => {
    await run("fish --install");
    const found = await inShell("fish", "complete -C 'secureflag-licenses prof'; complete -C 'sfl prof'");
    expect(found.match(/^profiles\b/gm)).toHaveLength(2);
  });

  test("adds a block to .zshrc with --yes only, once, and removes it; the file keeps its mode and its link", async () => {
    await mkdir(pathOf("dotfiles"));
    await writeFile(pathOf("dotfiles/zshrc"), "autoload -Uz compinit", { mode: 0o644 });
    await symlink("dotfiles/zshrc", pathOf(".zshrc"));
    expect(errorOf(await run("zsh --install --json"))).toMatchObject({
      exitCode: 2,
      hint: expect.stringContaining("--yes"),
    });
    for (const _ of ["first", "again"]) expect((await run("zsh --install --yes")).exitCode).toBe(0);
    const text = await readFile(pathOf("dotfiles/zshrc"), "utf8");
    expect(text.match(/completion zsh/g)).toHaveLength(1);
    expect(text).toMatch(/^autoload -Uz compinit\n# >>> secureflag-licenses completion >>>\n/);
    // Once the program is gone, new terminals say nothing about it.
    expect(await inShell("sh", text.replace("autoload -Uz compinit", "PATH=/nowhere"))).toBe("");
    await writeFile(pathOf("dotfiles/zshrc"), text.replace("command -v", "# edited\ncommand -v"));
    expect((await run("zsh --uninstall")).exitCode).toBe(0);
    expect(await readFile(pathOf("dotfiles/zshrc"), "utf8")).toBe("autoload -Uz compinit\n");
    expect((await stat(pathOf("dotfiles/zshrc"))).mode & 0o777).toBe(0o644);
    expect((await lstat(pathOf(".zshrc"))).isSymbolicLink()).toBe(true);
  });

  test("uninstalling keeps every other byte of .zshrc, and its mode", async () => {
    const rest = Buffer.from("export NAME=caf\xe9\r\n", "latin1");
    await writeFile(pathOf(".zshrc"), rest);
    await run("zsh --install --yes");
    await chmod(pathOf(".zshrc"), 0o664);
    const text = await readFile(pathOf(".zshrc"), "latin1");
    await writeFile(pathOf(".zshrc"), text.replace(/(?<!\r)\n/g, "\r\n"), "latin1");
    expect((await run("zsh --install --yes")).exitCode).toBe(0);
    expect((await run("zsh --uninstall")).exitCode).toBe(0);
    expect(await readFile(pathOf(".zshrc"))).toEqual(rest);
    expect((await stat(pathOf(".zshrc"))).mode & 0o777).toBe(0o664);
  });

  test("writes no file if one of them is somebody else's", async () => {
    await mkdir(dirname(pathOf(BASH[1] ?? "")), { recursive: true });
    await writeFile(pathOf(BASH[1] ?? ""), "complete -W 'mine' sfl\n");
    expect((await run("bash --install")).exitCode).toBe(2);
    await expect(stat(pathOf(BASH[0] ?? ""))).rejects.toThrow("ENOENT");
  });

  test("leaves files of somebody else alone", async () => {
    await mkdir(dirname(pathOf(BASH[0] ?? "")), { recursive: true });
    await writeFile(pathOf(BASH[0] ?? ""), "complete -W 'mine' secureflag-licenses\n");
    expect(errorOf(await run("bash --install --json"))).toMatchObject({ exitCode: 2, code: "file_exists" });
    expect((await run("bash --uninstall")).exitCode).toBe(0);
    expect(await readFile(pathOf(BASH[0] ?? ""), "utf8")).toContain("mine");
  });

  test.each([
    ["--install", { SHELL: "/bin/ksh" }, /Cannot tell your shell/],
    ["powershell --install", {}, /PowerShell/],
    ["bash --install", { HOME: "" }, /home directory/],
    ["--install --uninstall", { SHELL: "/bin/bash" }, /cannot be used with/],
    ["--json", {}, /Missing argument: <shell>/],
  ])("refuses %s with %j", async (args, env, message) => {
    const flags = args.includes("--json") ? args : `${args} --json`;
    expect(errorOf(await run(flags, env as Record<string, string>))).toMatchObject({
      exitCode: 2,
      message: expect.stringMatching(message),
    });
  });
});
