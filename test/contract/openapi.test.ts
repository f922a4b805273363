import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { outputSchemas } from "../../src/cli/outputSchemas.ts";
import { BASE_PATH } from "../../src/contract/constants.ts";
import { openapiDocument } from "../../src/contract/openapi.ts";
import { operations } from "../../src/contract/operations/index.ts";
import type { Operation } from "../../src/contract/operations/operation.ts";
import { PROBLEMS } from "../../src/contract/problemCodes.ts";

const root = new URL("../../", import.meta.url);

const { version } = JSON.parse(await readFile(new URL("package.json", root), "utf8")) as { version: string };

const built = new URL("dist/openapi.json", root);

const document = JSON.parse(JSON.stringify(openapiDocument(version)));

function everyObject(value: unknown): Record<string, unknown>[] {
  if (value === null || typeof value !== "object") return [];
  const inside = Object.values(value).flatMap(everyObject);
  return Array.isArray(value) ? inside : [value as Record<string, unknown>, ...inside];
}

function resolve(reference: string): unknown {
  let value: unknown = document;
  for (const step of reference.replace(/^#\//, "").split("/")) {
    value = (value as Record<string, unknown> | undefined)?.[step.replaceAll("~1", "/").replaceAll("~0", "~")];
  }
  return value;
}

describe("openapi.json", () => {
  test("is OpenAPI 3.1 with a title and the package's version", () => {
    expect(document).toMatchObject({ openapi: "3.1.0", info: { title: expect.any(String), version } });
  });

  test("of a service lacks what only a sandbox has", () => {
    const served = Object.keys(openapiDocument(version, "live").paths as object);
    const all = Object.keys(document.paths);
    expect(all.filter((path) => !served.includes(path))).toEqual(["/sandbox", "/sandbox/clock"]);
    expect(served.filter((path) => !all.includes(path))).toEqual([]);
  });

  test.each(Object.entries<Operation>(operations))("has %s", (id, operation) => {
    const path = (operation.atRoot ? "" : BASE_PATH) + operation.path;
    const described = document.paths[path]?.[operation.method.toLowerCase()];
    expect(described).toMatchObject({ operationId: id, summary: operation.summary });
    expect(Object.keys(described.responses).sort()).toEqual([...Object.keys(operation.answers), "default"].sort());
    const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    const inPath = described.parameters.filter((parameter: { in: string }) => parameter.in === "path");
    expect(inPath.map((parameter: { name: string }) => parameter.name).sort()).toEqual(names.sort());
    expect(inPath.every((parameter: { required: boolean }) => parameter.required)).toBe(true);
    expect(described.security).toEqual(operation.access === "public" ? [] : [{ bearer: [] }]);
  });

  test("has only the operations, each once", () => {
    const ids = everyObject(document.paths).flatMap(({ operationId }) => (operationId ? [operationId] : []));
    expect(ids.sort()).toEqual(Object.keys(operations).sort());
  });

  test("has no two paths that differ only in parameter names", () => {
    const shapes = Object.keys(document.paths).map((path) => path.replaceAll(/\{\w+\}/g, "{}"));
    expect(shapes.length).toBe(new Set(shapes).size);
  });

  test("documents the size limits of bodies", () => {
    expect(document.info.description).toContain("Request bodies have up to 65536 bytes");
    const { description } = document.paths[`${BASE_PATH}/organizations/{organizationId}/users/import`].post;
    expect(description).toBe("Scope: users:write. The body may have up to 4194304 bytes.");
  });

  test("documents every amount due now as before tax, next to the tax and the total", () => {
    const due = [document, outputSchemas()].flatMap(everyObject).filter(({ dueNow }) => dueNow !== undefined);
    expect(due.length).toBeGreaterThan(10);
    for (const { dueNow, tax, total } of due as Record<string, { description?: string }>[]) {
      expect(dueNow?.description).toMatch(
        /^Prorated amount due now, before tax, in minor units; `total` is what is ch/,
      );
      expect(tax?.description).toContain("`dueNow`");
      expect(total?.description).toContain("What is charged");
    }
  });

  test("has no unresolved reference", () => {
    const references = everyObject(document).flatMap(({ $ref }) => (typeof $ref === "string" ? [$ref] : []));
    expect(references).toContain("#/components/schemas/Problem");
    expect(references.filter((reference) => resolve(reference) === undefined)).toEqual([]);
  });

  test("allows new fields in responses", () => {
    const answers = Object.values<Record<string, { responses: unknown }>>(document.paths)
      .flatMap((methods) => Object.values(methods))
      .map(({ responses }) => responses);
    expect(everyObject(answers).filter(({ additionalProperties }) => additionalProperties === false)).toEqual([]);
  });

  test("allows no unknown fields in requests", () => {
    const quotes = document.paths[`${BASE_PATH}/organizations/{organizationId}/quotes`].post;
    expect(quotes.requestBody.content["application/json"].schema).toMatchObject({ additionalProperties: false });
  });

  test("names every error code", () => {
    const { description } = document.components.schemas.Problem;
    expect(Object.keys(PROBLEMS).filter((code) => !description.includes(code))).toEqual([]);
  });

  test.skipIf(!existsSync(built))("matches the built file", async () => {
    expect(JSON.parse(await readFile(built, "utf8"))).toEqual(document);
  });
});
