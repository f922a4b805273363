import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import * as z from "zod";
import manifest from "../../package.json";
import { readSections } from "../support/page.ts";
import { ROOT } from "../support/places.ts";

const TEMPLATES = ".github/ISSUE_TEMPLATE";

const text = z.string().min(1);
const validations = z.strictObject({ required: z.boolean() }).optional();
const id = z.string().regex(/^[\w-]+$/);

// https://docs.github.com/en/communities/using-templates-to-encourage-useful-issues-and-pull-requests/syntax-for-githubs-form-schema
const asked = { label: text, description: text.optional() };
const typed = { ...asked, placeholder: text.optional(), value: text.optional() };
const element = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("markdown"), attributes: z.strictObject({ value: text }) }),
  z.strictObject({ type: z.literal("input"), id, attributes: z.strictObject(typed), validations }),
  z.strictObject({
    type: z.literal("textarea"),
    id,
    attributes: z.strictObject({ ...typed, render: text.optional() }),
    validations,
  }),
  z.strictObject({
    type: z.literal("dropdown"),
    id,
    attributes: z.strictObject({ ...asked, options: z.array(text).min(1), multiple: z.boolean().optional() }),
    validations,
  }),
]);
const form = z.strictObject({
  name: text,
  description: text,
  labels: z.array(text).optional(),
  body: z.array(element),
});
const chooser = z.strictObject({
  blank_issues_enabled: z.boolean(),
  contact_links: z.array(z.strictObject({ name: text, url: z.url(), about: text })),
});

async function readYaml(path: string): Promise<unknown> {
  return parse(await readFile(join(ROOT, path), "utf8"));
}

const forms = (await readdir(join(ROOT, TEMPLATES))).filter((name) => name !== "config.yml");

describe.each(forms)("the issue form %s", (name) => {
  test("is one that the forge accepts", async () => {
    const { body } = form.parse(await readYaml(`${TEMPLATES}/${name}`));
    const questions = body.flatMap((each) => (each.type === "markdown" ? [] : [each]));
    expect(questions.some(({ validations: rules }) => rules?.required)).toBe(true);
    for (const values of [questions.map((each) => each.id), questions.map(({ attributes }) => attributes.label)])
      expect(values.filter((value, index) => values.indexOf(value) !== index)).toEqual([]);
  });
});

test("a bug report asks for version and steps, and for request ID and --verbose where they exist", async () => {
  const { body } = form.parse(await readYaml(`${TEMPLATES}/bug.yml`));
  const required = body.flatMap((each) => (each.type !== "markdown" && each.validations?.required ? [each.id] : []));
  expect(required).toEqual(expect.arrayContaining(["version", "steps"]));
  expect(JSON.stringify(body)).toMatch(/version --json.*Request ID.*--verbose/);
});

test("issues begin with a form, and vulnerabilities do not become issues", async () => {
  const { blank_issues_enabled, contact_links } = chooser.parse(await readYaml(`${TEMPLATES}/config.yml`));
  expect(blank_issues_enabled).toBe(false);
  const privately = manifest.bugs.url.replace(/issues$/, "security/advisories/new");
  expect(contact_links.map(({ url }) => url)).toContain(privately);
  for (const page of [".github/SECURITY.md", `${TEMPLATES}/bug.yml`])
    expect(await readFile(join(ROOT, page), "utf8")).toContain(privately);
});

/** As the forge makes the anchor of a heading. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\w\- ]/g, "")
    .replaceAll(" ", "-");
}

/** The pages of the repository. */
async function pages(): Promise<string[]> {
  const folders = [".github", "src", "test"];
  const names = await Promise.all(
    folders.map(async (folder) =>
      (await readdir(join(ROOT, folder), { recursive: true })).map((name) => join(folder, name)),
    ),
  );
  return ["README.md", ...names.flat().filter((name) => name.endsWith(".md"))];
}

test("every link between pages leads somewhere", async () => {
  const dead: string[] = [];
  let count = 0;
  for (const page of await pages()) {
    const links = (await readFile(join(ROOT, page), "utf8")).matchAll(/\]\(([^):\s]*)\)/g);
    for (const [, link = ""] of links) {
      count += 1;
      const [file = "", anchor] = link.split("#");
      const target = file === "" ? page : join(dirname(page), file);
      const isThere = existsSync(join(ROOT, target));
      const anchors = isThere && anchor !== undefined ? [...(await readSections(target)).keys()].map(anchorOf) : [];
      if (!isThere || (anchor !== undefined && !anchors.includes(anchor))) dead.push(`${page}: ${link}`);
    }
  }
  expect(count).toBeGreaterThan(50);
  expect(dead).toEqual([]);
});
