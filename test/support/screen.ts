/** The widest line, in characters. */
export function widthOf(text: string): number {
  return Math.max(...text.split("\n").map((line) => [...line].length));
}

/** Whether a terminal would act on anything in the text but its line ends: C0, C1, bidirectional controls. */
export function hasControls(text: string): boolean {
  return /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]/.test(text);
}

/** Every name in a JSON value, as paths: `licenses.used`, `[].id`. A null ends its path. */
export function fieldsOf(value: unknown, path = ""): string[] {
  if (Array.isArray(value)) return value.length === 0 ? [path] : fieldsOf(value[0], `${path}[]`);
  if (value === null || typeof value !== "object") return [path];
  return Object.entries(value)
    .flatMap(([name, inner]) => fieldsOf(inner, path ? `${path}.${name}` : name))
    .sort();
}

/** A list of field paths written with braces: `a{b,c},d` → `a.b`, `a.c`, `d`. */
export function fields(text: string): string[] {
  const paths: string[] = [];
  const stack: string[] = [];
  for (const [, name = "", mark = ""] of text.replaceAll(/\s/g, "").matchAll(/([\w[\]]*)([{},]|$)/g)) {
    if (name && mark === "{") stack.push(name);
    else {
      if (name) paths.push([...stack, name].join("."));
      if (mark === "}") stack.pop();
    }
  }
  return paths.sort();
}
