import { chmod, mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runCli } from "../support/cli.ts";
import { isInstalled } from "../support/installed.ts";
import { BIN, removePlaces, temporaryDirectory } from "../support/places.ts";
import { startInTerminal, type TerminalRun } from "../support/terminal.ts";

/** Names that a shell would run, expand or split if they were not quoted; each begins with a letter of its own. */
const NAMES = [
  "work",
  "a $(touch pwned)`touch pwned`;&|<>",
  "b 'one' \"two\"!!",
  "c \\back *?[x]{a,b}~#",
  "d:colon=eq,ü漢",
];

/** What is typed before Tab, and the arguments that the shell then calls the program with. */
const CASES: readonly (readonly [typed: string, args: readonly string[]])[] = [
  ["prof", ["profiles"]],
  ["purchases list --stat", ["purchases", "list", "--status"]],
  ["--org 7 purchases list --status su", ["--org", "7", "purchases", "list", "--status", "succeeded"]],
  ["tokens create --scopes billing:r", ["tokens", "create", "--scopes", "billing:read"]],
  ["help exit", ["help", "exit-codes"]],
  ["quote 5 --save some\\ f", ["quote", "5", "--save", "some file.json"]],
  ["buy --from=some\\ f", ["buy", "--from=some file.json"]],
  ["sandbox --data dir", ["sandbox", "--data", "directory"]],
  ["status --profile wo", ["status", "--profile", "work"]],
  ["profiles use a", ["profiles", "use", NAMES[1] ?? ""]],
  ["profiles use b", ["profiles", "use", NAMES[2] ?? ""]],
  ["profiles remove c", ["profiles", "remove", NAMES[3] ?? ""]],
  ["profiles use d:co", ["profiles", "use", NAMES[4] ?? ""]],
  ["status --profile=a", ["status", `--profile=${NAMES[1]}`]],
  ['profiles use "a', ["profiles", "use", NAMES[1] ?? ""]],
  ["profiles use 'b", ["profiles", "use", NAMES[2] ?? ""]],
];

const START_OF_LINE = "\u0001";
const SHELLS = ["bash", "zsh", "fish"] as const;

afterAll(removePlaces);

/** A home in which the completion is installed as the help says, and where a shell finds the program. */
async function homeWithCompletion(): Promise<{ home: string; PATH: string }> {
  const home = await temporaryDirectory();
  const PATH = `${join(home, "bin")}:${process.env.PATH}`;
  await mkdir(join(home, "bin"));
  await writeFile(join(home, "bin/secureflag-licenses"), `#!/bin/sh\nexec '${process.execPath}' '${BIN}' "$@"\n`);
  await chmod(join(home, "bin/secureflag-licenses"), 0o755);
  const profile = { apiUrl: "https://backend.invalid", organizationId: null, email: null };
  const profiles = Object.fromEntries(NAMES.map((name) => [name, profile]));
  await mkdir(join(home, "config"), { mode: 0o700 });
  await writeFile(join(home, "config/settings.json"), JSON.stringify({ activeProfile: "work", profiles }), {
    mode: 0o600,
  });
  for (const shell of ["bash", "zsh"]) {
    await writeFile(join(home, `.${shell}rc`), `PS1='$ '\neval "$(secureflag-licenses completion ${shell})"\n`);
  }
  const fish = join(home, ".config/fish");
  await mkdir(join(fish, "completions"), { recursive: true });
  await writeFile(join(fish, "config.fish"), "set -g fish_greeting\nfunction fish_prompt; echo '$ '; end\n");
  await writeFile(
    join(fish, "completions/secureflag-licenses.fish"),
    (await runCli(["completion", "fish"], { home })).stdout,
  );
  await writeFile(join(home, "some file.json"), "{}");
  await mkdir(join(home, "directory"));
  return { home, PATH };
}

for (const shell of SHELLS) {
  describe.skipIf(!isInstalled(shell))(`Tab in ${shell}`, () => {
    let terminal: TerminalRun;

    beforeAll(async () => {
      const { home, PATH } = await homeWithCompletion();
      const env = { PATH, LANG: "C.UTF-8" };
      terminal = await startInTerminal(shell, ["-i"], { home, env, columns: 160 });
      await terminal.waitForText(/\$ *$/);
    });

    afterAll(() => terminal?.close());

    test.each(CASES)("secureflag-licenses %s", async (typed, args) => {
      terminal.type(`secureflag-licenses ${typed}\t${START_OF_LINE}printf '<%s>' begin \r`);
      await terminal.waitForText(/<begin>.*>.*\s+\$ *$|<begin>.*>\$ *$/);
      // Some shells leave the slash after a directory's name.
      const shown = /<begin>(.*>)/.exec(terminal.screen())?.[1]?.replace(/\/>$/, ">");
      expect(shown).toBe(["secureflag-licenses", ...args].map((argument) => `<${argument}>`).join(""));
      terminal.type("clear\r");
      await terminal.waitForText(/^\$ *$/);
    });

    test("shows the candidates, and executes nothing from their names", async () => {
      terminal.type("secureflag-licenses purchases \t\t");
      await terminal.waitForText(/receipt[\s\S]*resume/);
      expect(await readdir(terminal.home)).not.toContain("pwned");
    });
  });
}
