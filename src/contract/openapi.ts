import * as z from "zod";
import { BASE_PATH } from "./constants.ts";
import type { Mode } from "./mode.ts";
import { operations } from "./operations/index.ts";
import { MAX_BODY_BYTES, type Operation } from "./operations/operation.ts";
import { PROBLEM_MEDIA_TYPE, PROBLEMS } from "./problemCodes.ts";
import { problemSchema } from "./problems.ts";

/**
 * Generates the OpenAPI 3.1 document from the schemas that both sides validate with.
 *
 * @param version the package's
 * @param mode of the backend that is described: only a sandbox has all operations
 */
export function openapiDocument(version: string, mode: Mode = "sandbox"): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const [id, operation] of Object.entries<Operation>(operations)) {
    if (operation.sandboxOnly && mode !== "sandbox") continue;
    const path = (operation.atRoot ? "" : BASE_PATH) + operation.path;
    paths[path] = { ...paths[path], [operation.method.toLowerCase()]: describe(id, operation) };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "SecureFlag license billing",
      version,
      description:
        "Subscription, quotes and purchases of licenses. Amounts are integers in the currency's minor unit (ISO 4217). " +
        `Request bodies have up to ${MAX_BODY_BYTES} bytes where a call does not say otherwise.`,
      license: { name: "MIT", identifier: "MIT" },
    },
    paths,
    components: {
      securitySchemes: { bearer: { type: "http", scheme: "bearer" } },
      schemas: {
        Problem: { ...jsonSchema(problemSchema), description: `Codes: ${Object.keys(PROBLEMS).join(", ")}` },
      },
    },
  };
}

function needsOf({ access, freshCode, maxBodyBytes }: Operation): string {
  return [
    access === "administrator" && "The session of a signed-in organization administrator.",
    access.includes(":") && `Scope: ${access}.`,
    maxBodyBytes && `The body may have up to ${maxBodyBytes} bytes.`,
    freshCode === true && "The session of a user with one-time codes needs one of the last 15 minutes (mfa_required).",
    freshCode === "enrolled" &&
      "The user needs one-time codes (mfa_not_enrolled), and the session one of the last 15 minutes (mfa_required).",
  ]
    .filter(Boolean)
    .join(" ");
}

function describe(operationId: string, operation: Operation): Record<string, unknown> {
  const needs = needsOf(operation);
  return {
    operationId,
    summary: operation.summary,
    ...(needs && { description: needs }),
    security: operation.access === "public" ? [] : [{ bearer: [] }],
    parameters: [
      ...parametersIn("path", operation.params),
      ...parametersIn("query", operation.query),
      ...(operation.idempotent ? [keyHeader] : []),
    ],
    ...(operation.body && {
      requestBody: { required: true, content: { [mediaTypeOf(operation)]: { schema: jsonSchema(operation.body) } } },
    }),
    responses: responsesOf(operation),
  };
}

const keyHeader = {
  name: "Idempotency-Key",
  in: "header",
  required: true,
  schema: { type: "string", minLength: 1, maxLength: 255, pattern: "^[\\x21-\\x7e]+$" },
};

function responsesOf(operation: Operation): Record<string, unknown> {
  const success = Object.entries(operation.answers).map(([status, schema]) => [
    status,
    { description: "Success", ...(schema && { content: contentOf(operation, schema) }) },
  ]);
  const problem = {
    description: "Error",
    content: { [PROBLEM_MEDIA_TYPE]: { schema: { $ref: "#/components/schemas/Problem" } } },
  };
  return { ...Object.fromEntries(success), default: problem };
}

function contentOf(operation: Operation, schema: z.ZodType): Record<string, unknown> {
  const json = { "application/json": { schema: jsonSchema(schema) } };
  return operation.alsoAs ? { ...json, [operation.alsoAs]: { schema: { type: "string", format: "binary" } } } : json;
}

function parametersIn(where: "path" | "query", schema: z.ZodObject | undefined): unknown[] {
  return Object.entries(schema?.shape ?? {}).map(([name, field]) => ({
    name,
    in: where,
    required: where === "path",
    schema: jsonSchema(field as z.ZodType),
  }));
}

function mediaTypeOf(operation: Operation): string {
  return operation.bodyType === "form" ? "application/x-www-form-urlencoded" : "application/json";
}

/** The JSON Schema of a schema's input. Objects of answers are open, because clients ignore unknown fields. */
function jsonSchema(schema: z.ZodType): Record<string, unknown> {
  const { $schema, ...rest } = z.toJSONSchema(schema, { io: "input" });
  return rest;
}
