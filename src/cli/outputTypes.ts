import * as z from "zod";
import { licenseCountsSchema, moneySchema } from "../contract/basics.ts";
import { purchaseSchema } from "../contract/billing.ts";
import { errorOutput, outputs } from "./outputs.ts";

/** What many commands print, under the name of its type. */
const SHARED = {
  Money: moneySchema,
  LicenseCounts: licenseCountsSchema,
  Purchase: purchaseSchema,
  VerifiedQuote: outputs.quote.options[0],
};

/** All outputs as one JSON Schema, whose definitions are the types of the package. */
export interface OutputTypes {
  /** An object with a property for each command, by the words that call it, and `error`. */
  readonly schema: z.core.JSONSchema.BaseSchema;
  /** Types that have a second name: `PurchasesShow` is `Purchase`. */
  readonly aliases: ReadonlyMap<string, string>;
}

/** Describes the types of the outputs, each named by the words of its command: `purchases list` is `PurchasesList`. */
export function outputTypes(): OutputTypes {
  const names = z.registry<{ id?: string }>();
  const aliases = new Map<string, string>();
  const commands = Object.entries(outputs).map(([words, schema]) => [typeName(words), schema] as const);
  for (const [name, schema] of [...Object.entries(SHARED), ...commands, ["ErrorOutput", errorOutput] as const]) {
    const first = names.get(schema)?.id;
    if (first === undefined) names.add(schema, { id: name });
    else aliases.set(name, first);
  }
  const schema = z.toJSONSchema(z.object({ ...outputs, error: errorOutput }), {
    io: "input",
    metadata: names,
    override: ({ zodSchema, jsonSchema }) => describe(jsonSchema, z.globalRegistry.get(zodSchema)?.description),
  });
  return { schema, aliases };
}

function typeName(words: string): string {
  return words.replaceAll(/(?:^|[ -])(\w)/g, (_, letter: string) => letter.toUpperCase());
}

/** The generator of types takes a reference with a description for a type of its own, so it gets the name instead. */
function describe(schema: z.core.JSONSchema.BaseSchema, description: string | undefined): void {
  if (description === undefined) return;
  schema.description = description;
  if (schema.$ref === undefined) return;
  schema.tsType = schema.$ref.replace(/^.*\//, "");
  delete schema.$ref;
}
