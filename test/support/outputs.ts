import { readFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import { errorOutput, type OutputName, outputs } from "../../src/cli/outputs.ts";
import { DIST } from "./places.ts";

/** The output of a run does not match its JSON Schema. */
class OutputError extends Error {
  override readonly name = "OutputError";
}

const ajv = new Ajv2020({ validateFormats: false, allErrors: true, allowUnionTypes: true });
const validators = new Map<string, ValidateFunction>();
const WITH_VALUE = ["--profile", "--org", "--api-url", "--timeout"];

/**
 * Checks that the `--json` output of a run matches the package's JSON Schemas and has no other fields. Every end-to-end run
 * goes through here.
 */
export function assertOutput(args: readonly string[], run: { exitCode: number; stdout: string; stderr: string }): void {
  if (!args.includes("--json") || run.exitCode >= 128) return;
  const name = commandOf(args);
  const prints = name !== null && run.stdout !== "" && !args.includes("-");
  if (prints) assertDocument(name, run.stdout, outputs[name]);
  // The service logs there first, a line each.
  const said = name === "serve" ? (run.stderr.trimEnd().split("\n").at(-1) ?? "") : run.stderr;
  if (run.exitCode !== 0 && said.startsWith("{")) assertDocument("error", said, errorOutput);
}

/** The command that the arguments call: the longest one that they start with. */
function commandOf(args: readonly string[]): OutputName | null {
  const words = args.filter((word, index) => !word.startsWith("-") && !WITH_VALUE.includes(args[index - 1] ?? ""));
  const names = [3, 2, 1].map((count) => words.slice(0, count).join(" "));
  return (names.find((name) => Object.hasOwn(outputs, name)) as OutputName | undefined) ?? null;
}

function assertDocument(name: string, text: string, schema: { parse(document: unknown): unknown }): void {
  const document: unknown = JSON.parse(text);
  const validate = validatorOf(name);
  if (!validate(document)) throw new OutputError(`${name}: ${ajv.errorsText(validate.errors)}\n${text}`);
  if (!isDeepStrictEqual(schema.parse(document), document)) {
    throw new OutputError(`${name}: has fields that its schema does not name\n${text}`);
  }
}

function validatorOf(name: string): ValidateFunction {
  const known = validators.get(name);
  if (known) return known;
  const file = join(DIST, "schemas", `${name.replaceAll(" ", "-")}.json`);
  const validate = ajv.compile(JSON.parse(readFileSync(file, "utf8")));
  validators.set(name, validate);
  return validate;
}
