import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import type { Command } from "commander";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HELP_TOPICS } from "../../../src/cli/help/help.ts";
import { bold, item, literal, manPage, prose, usage } from "../../../src/cli/help/man.ts";
import { termOf } from "../../../src/cli/help/page.ts";
import { examplesOf } from "../../../src/cli/kit/command.ts";
import { createProgram } from "../../../src/cli/main.ts";
import { isInstalled } from "../../support/installed.ts";
import { DIST } from "../../support/places.ts";
import { fakeContext } from "../support/fakeContext.ts";

/** How groff and man tell of what is wrong with a page. */
const COMPLAINT = /\b(warning|error|cannot)( \[.*\])?: /;

const words = (text: string) => text.replaceAll(/\s+/g, " ").trim();

/** What a terminal shows of a page in roff, without styles; the formatter must have nothing to complain of. */
function rendered(page: string): string {
  const check = "groff -man -Tutf8 -Kutf8 -ww -P-cbou 2>&1";
  return execFileSync("sh", ["-c", check], { input: page, encoding: "utf8" });
}

function commandsOf(command: Command): Command[] {
  const below = command.createHelp().visibleCommands(command);
  return below.flatMap((each) => [each, ...commandsOf(each)]);
}

const page = await manPage();

const program = await createProgram(fakeContext(), () => {});

it("the manual page is in the package, under both names", () => {
  expect(readFileSync(`${DIST}/man/secureflag-licenses.1`, "utf8")).toBe(page);
  // A list: newer versions of npm install no manual page that is named alone.
  const { man } = JSON.parse(readFileSync(`${DIST}/../package.json`, "utf8"));
  expect(man).toEqual(["./dist/man/secureflag-licenses.1", "./dist/man/sfl.1"]);
});

describe.skipIf(!isInstalled("groff"))("the manual page", () => {
  const text = () => words(rendered(page));
  it("is formatted without warnings", () => {
    expect(rendered(page)).not.toMatch(COMPLAINT);
    if (!isInstalled("man")) return;
    const shown = execFileSync("sh", ["-c", `man --warnings=w -l '${DIST}/man/secureflag-licenses.1' 2>&1`], {
      encoding: "utf8",
      env: { ...process.env, MANWIDTH: "80", MANPAGER: "cat", PAGER: "cat" },
    });
    expect(shown).toMatch(/^SECUREFLAG-LICENSES\(1\)/);
    expect(shown).not.toMatch(COMPLAINT);
  });

  it("has every command and flag, and the commands' examples", () => {
    const shown = text();
    for (const command of commandsOf(program)) {
      expect(shown).toContain(` ${words(`${termOf(command)} ${command.description()}`.replaceAll("`", ""))}`);
      for (const flag of command.createHelp().visibleOptions(command)) {
        expect(shown).toContain(flag.flags);
        expect(shown).toContain(words(flag.description).replaceAll("`", ""));
      }
    }
    for (const command of program.createHelp().visibleCommands(program)) {
      for (const example of examplesOf(command)) expect(shown).toContain(`secureflag-licenses ${example}`);
    }
  });

  it("has every exit code and variable, and the text after the flags", () => {
    const shown = text();
    for (const { code, meaning } of HELP_TOPICS["exit-codes"].data) {
      expect(shown).toContain(`${code} ${meaning.replaceAll("`", "")}`);
    }
    for (const { name, meaning } of HELP_TOPICS.environment.data)
      expect(shown).toContain(`${name} ${meaning.replaceAll("`", "")}`);
    expect(shown).toContain("A quote file buys once, on any machine.");
    expect(shown).toContain('eval "$(secureflag-licenses completion bash)"');
    expect(shown).toContain(words(HELP_TOPICS.ci.data.text));
  });

  it.each([
    [".TH is no request"],
    ["'br neither"],
    ["a\n.br\n'br\nb"],
    ["C:\\new \\fBbold\\fR \\n"],
    ["--max-total -5 `x` 'y' \"z\" ~ ^"],
    ["£244.10 → ü漢"],
  ])("prints %j unchanged", (line) => {
    const page = (text: string) => `.TH X 1\n.SH X\n${text}\n.SH END\n`;
    const between = (shown: string) => words(shown.replace(/^[\s\S]*\nX\n|\nEND[\s\S]*$/g, ""));
    expect(between(rendered(page(literal(line))))).toBe(words(line));
    expect(between(rendered(page(item(bold("term"), line))))).toBe(words(`term ${line.replaceAll("`", "")}`));
    expect(between(rendered(page(usage(line))))).toBe(words(line));
  });

  it("reports groff warnings", () => {
    expect(rendered(".TH X 1\n.SH X\n\\fZ \\[nosuch]\n")).toMatch(COMPLAINT);
  });

  it("stays valid with any text", () => {
    const anyLine = fc.string({ unit: fc.constantFrom(..."ab.'\\`\"-<>[]{}% \n"), maxLength: 30 });
    fc.assert(
      fc.property(fc.array(anyLine, { minLength: 20, maxLength: 20 }), (lines) => {
        const parts = lines.map((line, index) => `${literal(line)}\n${prose(`end ${index}`)}\n.PP`);
        const shown = rendered(`.TH X 1\n.SH X\n${parts.join("\n")}\n`);
        for (const [index, line] of lines.entries()) expect(words(shown)).toContain(words(`${line} end ${index}`));
        expect(shown).not.toMatch(COMPLAINT);
      }),
      { numRuns: 5 },
    );
  });
});
