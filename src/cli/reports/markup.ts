/** Markup as it is, in which texts were escaped. */
export class Markup {
  constructor(readonly text: string) {}
}

type Part = Markup | string | number | null | readonly Part[];

/** Makes markup of a template. Every text that is put into it, also as an attribute between quotes, is escaped. */
export function html(markup: TemplateStringsArray, ...parts: readonly Part[]): Markup {
  return new Markup(markup.reduce((text, next, index) => text + escaped(parts[index - 1] ?? null) + next));
}

const REFERENCES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escaped(part: Part): string {
  if (part instanceof Markup) return part.text;
  if (Array.isArray(part)) return part.map(escaped).join("");
  return part === null ? "" : String(part).replace(/[&<>"']/g, (sign) => REFERENCES[sign] ?? sign);
}
