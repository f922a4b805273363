import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { answerTo, bashInsertion, readBashLine } from "../../../src/cli/help/complete.ts";
import { SHELLS } from "../../../src/cli/help/page.ts";
import { createProgram, runProgram } from "../../../src/cli/main.ts";
import { isInstalled } from "../../support/installed.ts";
import { fakeContext } from "../support/fakeContext.ts";

const BREAKS = " \t\n\"'><=;|&(:";

const NAME = 'it\'s $(x) "q" :1\\!';

const program = await createProgram(fakeContext(), () => {});

const names = async () => [NAME];

describe("a bash command line", () => {
  it.each([
    ["p buy ", ["buy", ""], 0, ""],
    ["p  buy\t5", ["buy", "5"], 0, ""],
    ["p", [], 0, ""],
    ["p a\\ b", ["a b"], 0, ""],
    ["p --x=y", ["--x=y"], 4, ""],
    ["p a:b:c", ["a:b:c"], 4, ""],
    ["p a\\:b", ["a:b"], 0, ""],
    ["p 'a b", ["a b"], 0, "'"],
    ["p --x='a:b", ["--x=a:b"], 4, "'"],
    ['p "a \\" \\$ \\x', ['a " $ \\x'], 0, '"'],
    ["p 'a\\", ["a\\"], 0, "'"],
    ["p '' \"\" ", ["", "", ""], 0, ""],
    ["p $(touch x) ", ["$(touch", "x)", ""], 0, ""],
    ["p a\\", ["a"], 0, ""],
    ["p ü漢=😀", ["ü漢=😀"], 3, ""],
  ])("%j is split into %j", (line, words, kept, quote) => {
    expect(readBashLine(line, BREAKS)).toEqual({ words, kept, quote, isClosed: false });
  });

  it.each(['p "a b"', "p 'a'", "p --x='a'b"])("inserts nothing after a closed quote: %j", async (line) => {
    expect(readBashLine(line, BREAKS).isClosed).toBe(true);
    expect(await answerTo("bash", [BREAKS, line], program, names)).toEqual(["words"]);
  });

  const text = fc.string({
    unit: fc.constantFrom(..."ab $`\"'\\!:=*?[]{}()<>;|&~#ü漢😀,"),
    minLength: 1,
    maxLength: 12,
  });

  it("reads back every insertion, with any open quote", () => {
    fc.assert(
      fc.property(text, fc.constantFrom("" as const, "'" as const, '"' as const), (value, quote) => {
        const inserted = `p ${quote}${bashInsertion(value, { kept: 0, quote })}`;
        expect(readBashLine(inserted, BREAKS)).toMatchObject({ words: [value], quote: "" });
      }),
    );
  });

  it.skipIf(!isInstalled("bash"))("matches how bash parses what was inserted", () => {
    fc.assert(
      fc.property(fc.array(text, { minLength: 50, maxLength: 50 }), (values) => {
        const words = values.flatMap((value) =>
          (["", "'", '"'] as const).map((quote) => quote + bashInsertion(value, { kept: 0, quote })),
        );
        // History is what an interactive bash reads in it, too.
        const script = `set -o histexpand\nprintf '%s\\0' ${words.join(" ")}\n`;
        const seen = execFileSync("bash", ["-c", script], { encoding: "utf8", cwd: "/" }).split("\0").slice(0, -1);
        expect(seen).toEqual(values.flatMap((value) => [value, value, value]));
      }),
      { numRuns: 5 },
    );
  });
});

describe("the response to a shell", () => {
  it.each([
    ["bash", [BREAKS, "p profiles use it"], ["words", 'it\\\'s\\ \\$\\(x\\)\\ \\"q\\"\\ :1\\\\\\!']],
    ["bash", [BREAKS, "p profiles use no"], ["words"]],
    ["bash", [BREAKS, "p --profile='it"], ["words", "it'\\''s $(x) \"q\" :1\\!'"]],
    ["bash", [BREAKS, "p tokens create --scopes billing:re"], ["words", "read"]],
    ["bash", [BREAKS, "p buy --from "], ["files"]],
    ["zsh", ["profiles", "use", ""], ["words", 'it\'s $(x) "q" \\:1\\\\!']],
    ["zsh", ["completion", ""], ["words", "bash", "zsh", "fish", "powershell"]],
    ["zsh", ["top-up", "--av"], ["words", expect.stringMatching(/^--available:target number/)]],
    ["fish", ["profiles", "use", ""], ["words", NAME]],
    ["fish", ["sandbox", "--data", ""], ["directories"]],
    ["fish", ["profi"], ["words", expect.stringMatching(/^status\t/)]],
    ["powershell", ["profiles", "use", "='it"], ["words", `'it''s $(x) "q" :1\\!'\t${NAME}\t${NAME}`]],
    ["powershell", ["="], ["words", expect.stringMatching(/^status\tstatus\tShow/)]],
    ["powershell", ["purchases", "=re"], ["words", expect.stringMatching(/^receipt\treceipt\tShow/)]],
  ] as const)("%s: %j", async (shell, told, lines) => {
    const answer = await answerTo(shell, told, program, names);
    expect(answer.slice(0, lines.length)).toEqual(lines);
  });

  it.each(SHELLS)("has one line per candidate in %s whatever was typed, with nothing on stderr", async (shell) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(fc.string(), fc.constantFrom("--", "--profile", "buy", "help", "-q"))),
        async (words) => {
          const context = fakeContext({ profiles: { [NAME]: { apiUrl: "", organizationId: null, email: null } } });
          expect(await runProgram(["complete", shell, "--", ...words], context)).toBe(0);
          expect(context.written.stdout).toMatch(/^(words|files|directories)\n(.+\n)*$/);
          expect(context.written.stderr).toBe("");
        },
      ),
      { numRuns: 50 },
    );
  });

  it.each(SHELLS)("omits unreadable profiles in %s, with nothing on stderr", async (shell) => {
    const told =
      shell === "bash" ? [BREAKS, "p profiles use "] : ["profiles", "use", shell === "powershell" ? "=" : ""];
    const context = { ...fakeContext(), profileNames: () => Promise.reject(new TypeError("broken")) };
    expect(await runProgram(["complete", shell, "--", ...told], context)).toBe(0);
    expect(context.written.stdout.split("\n")[0]).toBe("words");
    expect(context.written.stderr).toBe("");
  });
});

describe("completion", () => {
  it.each(SHELLS)("prints the script for %s, also as JSON", async (shell) => {
    const [plain, json] = [fakeContext(), fakeContext()];
    expect(await runProgram(["completion", shell], plain)).toBe(0);
    expect(await runProgram(["completion", shell, "--json"], json)).toBe(0);
    expect(JSON.parse(json.written.stdout)).toEqual({ shell, script: plain.written.stdout });
    expect(plain.written.stdout).toContain(`secureflag-licenses complete ${shell} -- `);
  });

  it("does not execute what was typed", async () => {
    const scripts = await Promise.all(
      SHELLS.map(async (shell) => {
        const context = fakeContext();
        await runProgram(["completion", shell], context);
        return context.written.stdout.replaceAll(/^ *#.*$/gm, "");
      }),
    );
    expect(scripts.join("\n")).not.toMatch(/\beval\b|compgen|Invoke-Expression/);
  });

  it.each([["completion"], ["completion csh"], ["complete csh"], ["complete"]])("exits with 2: %s", async (line) => {
    expect(await runProgram(line.split(" "), fakeContext())).toBe(2);
  });
});
