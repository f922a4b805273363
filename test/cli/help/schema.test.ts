import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, it } from "vitest";
import { complete } from "../../../src/cli/help/candidates.ts";
import { createProgram, runProgram } from "../../../src/cli/main.ts";
import { SCHEMA_NAMES } from "../../../src/cli/outputSchemas.ts";
import { DIST } from "../../support/places.ts";
import { type FakeWorld, fakeContext } from "../support/fakeContext.ts";

const ID = "https://github.com/secureflag/secureflag-licenses/schemas/";

const run = async (line: string, world: FakeWorld = {}) => {
  const context = fakeContext(world);
  const code = await runProgram(line.split(" "), context);
  return { code, ...context.written };
};

const program = await createProgram(fakeContext(), () => {});

const offered = async (line: string) => {
  const completion = await complete(program, line.split(" "), async () => []);
  return typeof completion === "string" ? [] : completion.map(({ value }) => value);
};

describe("help schema", () => {
  it.each(SCHEMA_NAMES)("prints a valid JSON Schema of %s", async (name) => {
    const { code, stdout, stderr } = await run(`help schema ${name}`);
    expect([code, stderr]).toEqual([0, ""]);
    const schema = JSON.parse(stdout);
    expect(schema).toMatchObject({
      $schema: "https://json-schema.org/draft/2020-12/schema",
      $id: `${ID}${name.replaceAll(" ", "-")}.json`,
      title: `secureflag-licenses ${name} --json`,
    });
    expect(() => new Ajv2020({ validateFormats: false, allowUnionTypes: true }).compile(schema)).not.toThrow();
    expect((await run(`help schema ${name} --json`)).stdout).toBe(stdout);
    expect((await run(`help --json schema ${name}`)).stdout).toBe(stdout);
    const file = join(DIST, "schemas", `${name.replaceAll(" ", "-")}.json`);
    expect(JSON.parse(readFileSync(file, "utf8"))).toEqual(schema);
  });

  it("describes the errors", async () => {
    const { stdout } = await run("help schema error");
    const validate = new Ajv2020({ validateFormats: false }).compile(JSON.parse(stdout));
    const { stderr } = await run("buy five --json");
    expect(validate(JSON.parse(stderr))).toBe(true);
    expect(validate({ error: { code: "x" } })).toBe(false);
  });

  it("is indented on a terminal, and on one line elsewhere", async () => {
    const [piped, shown] = [
      await run("help schema logout"),
      await run("help schema logout", { isStdoutTerminal: true }),
    ];
    expect(piped.stdout).toBe(`${JSON.stringify(JSON.parse(piped.stdout))}\n`);
    expect(shown.stdout).toBe(`${JSON.stringify(JSON.parse(piped.stdout), null, 2)}\n`);
  });

  it("lists what has one", async () => {
    const { stdout } = await run("help schema");
    expect(stdout.trimEnd().split("\n")).toEqual(SCHEMA_NAMES);
    const list = JSON.parse((await run("help schema --json")).stdout);
    expect(list).toContainEqual({ command: "purchases list", id: `${ID}purchases-list.json` });
    const files = readdirSync(join(DIST, "schemas"));
    expect(list.map(({ id }: { id: string }) => id).sort()).toEqual(files.map((file) => `${ID}${file}`).sort());
  });

  it.each([
    ["purchases lst", "Did you mean purchases list?"],
    ["stauts", "Did you mean status?"],
    ["Top-Up", "Did you mean top-up?"],
    ["tokens trust", "Choose one of tokens trust list, tokens trust add, tokens trust remove."],
    ["nothing like it", "Run `secureflag-licenses help schema` for a list."],
  ])("of %s fails: %s", async (words, hint) => {
    const { code, stdout, stderr } = await run(`help schema ${words} --json`);
    expect([code, stdout]).toEqual([2, ""]);
    expect(JSON.parse(stderr).error).toMatchObject({ code: "invalid_usage", hint });
  });

  it("is completed with the commands that print JSON", async () => {
    expect(await offered("help ")).toContain("schema");
    const first = await offered("help schema ");
    expect(first).toEqual([...(await offered("")).filter((word) => word !== "mcp"), "error"]);
    expect(await offered("help schema purchases ")).toEqual(await offered("purchases "));
    expect(await offered("help schema tokens trust ")).toEqual(["list", "add", "remove"]);
    expect(await offered("help schema nosuch ")).toEqual([]);
    for (const word of first) {
      expect(
        SCHEMA_NAMES.some((name) => name === word || name.startsWith(`${word} `)),
        word,
      ).toBe(true);
    }
  });
});
