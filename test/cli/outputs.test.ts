import type { Command } from "commander";
import { describe, expect, it } from "vitest";
import { createProgram } from "../../src/cli/main.ts";
import { outputSchemas } from "../../src/cli/outputSchemas.ts";
import { type OutputName, outputs } from "../../src/cli/outputs.ts";
import { fakeContext } from "./support/fakeContext.ts";

/** Every command of the help that prints a result, by the words that call it. `mcp` speaks a protocol instead. */
function commandsOf(command: Command, above: readonly string[] = []): string[] {
  return command
    .createHelp()
    .visibleCommands(command)
    .flatMap((below) => {
      const words = [...above, below.name()];
      const doesSomething =
        (below.commands.length === 0 && below.name() !== "mcp") ||
        ["sandbox", "serve", "billing", "policy"].includes(below.name());
      return [...(doesSomething ? [words.join(" ")] : []), ...commandsOf(below, words)];
    });
}

describe("the output schemas", () => {
  it("exist for every command and nothing else", async () => {
    const program = await createProgram(fakeContext(), () => {});
    expect(Object.keys(outputs).sort()).toEqual(commandsOf(program).sort());
  });

  it("have JSON Schemas, and so have errors", () => {
    const files = [...Object.keys(outputs), "error"].map((name) => `${name.replaceAll(" ", "-")}.json`);
    expect(Object.keys(outputSchemas()).sort()).toEqual(files.sort());
    for (const schema of Object.values(outputSchemas())) {
      expect(schema).toMatchObject({ $schema: "https://json-schema.org/draft/2020-12/schema" });
    }
  });

  it.each<[OutputName, unknown]>([
    ["logout", { profile: "default", removed: true }],
    ["top-up", { target: { available: 5, purchased: 5 }, shortfall: 0, bought: 0 }],
    ["purchases list", {}],
    ["users add", { user: null, purchase: null, licenses: null }],
    ["users list", [{ email: "ada@northwind.example" }]],
    ["tokens revoke", { id: "tok_1", revoked: true, dryRun: false }],
  ])("reject what %s never prints", (name, document) => {
    expect(outputs[name].safeParse(document).success).toBe(false);
  });
});
