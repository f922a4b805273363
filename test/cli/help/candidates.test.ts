import type { Command } from "commander";
import { describe, expect, it } from "vitest";
import { complete } from "../../../src/cli/help/candidates.ts";
import { HELP_TOPIC_NAMES } from "../../../src/cli/help/page.ts";
import { createProgram, runProgram } from "../../../src/cli/main.ts";
import { fakeContext } from "../support/fakeContext.ts";

const program = await createProgram(fakeContext(), () => {});

/** Completes a line whose words stand between single spaces; what follows the last one is the word to complete. */
async function completionOf(line: string, profiles: readonly string[] | null = null): Promise<string[] | string> {
  const completion = await complete(program, line.split(" "), async () => {
    if (profiles === null) throw new TypeError("nobody needs the profiles here");
    return profiles;
  });
  return typeof completion === "string" ? completion : completion.map(({ value }) => value);
}

/** Every command of the help, by the words that call it. */
function commandsOf(command: Command, words: readonly string[] = []): [string, Command][] {
  const below = command.createHelp().visibleCommands(command);
  return below.flatMap((each) => {
    const path = [...words, each.name()];
    return [[path.join(" "), each] as [string, Command], ...commandsOf(each, path)];
  });
}

describe.each(commandsOf(program))("%s", (words, command) => {
  it("is completed with its summary", async () => {
    const completion = await complete(program, words.split(" "), async () => []);
    const value = words.split(" ").at(-1);
    const helper = command.createHelp();
    expect(completion).toContainEqual({ value, meaning: helper.subcommandDescription(command) });
    expect(await completionOf(`help ${words}`)).toContain(value);
  });

  it("completes its flags, each once, and no secret", async () => {
    const flags = command.createHelp().visibleOptions(command);
    expect(await completionOf(`${words} -`)).toEqual(flags.map(({ long }) => long));
    expect(await completionOf(`${words} --`)).not.toContain("--password");
    expect(await completionOf(`--json ${words} --`)).not.toContain("--json");
    expect(await completionOf(`${words} -q --timeout 5 --`)).not.toContain("--timeout");
    expect(await completionOf(`${words} -q --timeout=5 --`)).not.toContain("--quiet");
  });

  it("completes the choices of a flag, all of them valid", async () => {
    for (const { long, argChoices } of command.options.filter((flag) => flag.argChoices)) {
      expect(await completionOf(`${words} ${long} `)).toEqual(argChoices);
      expect(await completionOf(`${words} ${long}=`)).toEqual(argChoices?.map((choice) => `${long}=${choice}`));
      for (const choice of argChoices ?? []) {
        const context = fakeContext();
        await runProgram([...words.split(" "), `${long}=${choice}`, "--no-such-flag"], context);
        expect(context.written.stderr).not.toContain(`cannot be '${choice}'`);
      }
    }
    expect(await completionOf(`${words} --profile `, ["work", "home"])).toEqual(["work", "home"]);
  });
});

describe("completion of a word", () => {
  it.each([
    ["quote 5 --save ", "files"],
    ["quote 5 --save=", "files"],
    ["buy --from src/", "files"],
    ["sandbox --seed ", "files"],
    ["purchases receipt pur_1 --pdf ", "files"],
    ["users import ", "files"],
    ["sandbox --data ", "directories"],
    ["sandbox reset --data=s", "directories"],
  ])("after %j uses %s", async (line, kind) => {
    expect(await completionOf(line)).toBe(kind);
  });

  it.each<[string, readonly string[]]>([
    [
      "purchases list --status=s",
      ["processing", "requires_approval", "succeeded", "failed", "needs_review"].map((status) => `--status=${status}`),
    ],
    [
      "tokens create --scopes billing:read,",
      ["billing:purchase", "users:read", "users:write"].map((scope) => `billing:read,${scope}`),
    ],
    ["completion ", ["bash", "zsh", "fish", "powershell"]],
    ["sandbox --port 0 ", ["clock", "reset"]],
    ["--org 7 sandbox clock ", ["show", "advance"]],
    ["help sandbox clock ", ["show", "advance"]],
    [
      "login --web -",
      [
        "--no-open",
        "--insecure-storage",
        "--profile",
        "--org",
        "--api-url",
        "--json",
        "--no-input",
        "--no-color",
        "--quiet",
        "--verbose",
        "--timeout",
        "--version",
        "--help",
      ],
    ],
    ["quote ", ["--explain", "--compare", "--when", "--save", "--force"]],
    ["quote 5 --compare 1,2 ", ["--force"]],
    [
      "whoami --json ",
      [
        "--profile",
        "--org",
        "--api-url",
        "--no-input",
        "--no-color",
        "--quiet",
        "--verbose",
        "--timeout",
        "--version",
        "--help",
      ],
    ],
    ["buy 5 --note ", []],
    ["buy 5 --max-total=", []],
    ["buy --yes=", []],
    ["buy --no-such=", []],
    ["buy -- ", []],
    ["buy -- -", []],
    ["buy x", []],
    ["nosuch ", []],
    ["help nosuch ", []],
    ["help exit-codes ", []],
  ])("after %j offers %j", async (line, values) => {
    expect(await completionOf(line)).toEqual(values);
  });

  it("after `api` offers methods, then the paths of the method", async () => {
    expect(await completionOf("api ")).toEqual(["GET", "POST", "PUT", "PATCH", "DELETE"]);
    const paths = await completionOf("api get ");
    expect(paths).toEqual(expect.arrayContaining(["/me", "/organizations/{org}/purchases"]));
    expect(await completionOf("api POST ")).not.toContain("/auth/login");
    expect(await completionOf("api FETCH ")).toEqual([]);
  });

  it("after `help` offers commands and topics", async () => {
    expect(await completionOf("help ")).toEqual([...((await completionOf("")) as string[]), ...HELP_TOPIC_NAMES]);
  });

  it.each(["profiles use ", "profiles remove ", "status --profile ", "--profile "])(
    "after %j offers profiles",
    async (line) => {
      const names = [
        "work",
        "$(touch x)",
        "two words",
        "a\u001b[31m",
        "a\nb",
        "a\tb",
        "\u202eevil",
        "__proto__",
        "",
        " ",
      ];
      expect(await completionOf(line, names)).toEqual(["work", "$(touch x)", "two words"]);
    },
  );
});
