/** Types of what the commands print, for programs that read it. */
import { compile } from "json-schema-to-typescript";

const ABOUT = `/**
 * What the commands print with \`--json\`: \`Status\` is the output of \`secureflag-licenses status --json\`, and \`Outputs\`
 * has all of them by the words of the command. \`ErrorOutput\` is what a failure prints on stderr. Later versions may add
 * properties.
 */`;

/**
 * Writes the outputs as a declaration file that imports nothing.
 *
 * @param schema one JSON Schema of all outputs, whose definitions become types
 * @param aliases other names of these types
 */
export async function typesOf({ schema, aliases }) {
  // Formatting, with Prettier, would take longer than all else in the build.
  const text = await compile(schema, "Outputs", { additionalProperties: false, bannerComment: ABOUT, format: false });
  const more = [...aliases].map(([name, type]) => `export type ${name} = ${type}\n`);
  return indent(`${text.trimEnd()}\n\n${more.join("")}`);
}

/** Indents each line by the brackets that are open there. */
function indent(text) {
  let depth = 0;
  const lines = text.split("\n").map((line) => {
    if (/^ ?\*|^\/\*/.test(line)) return `${"  ".repeat(depth)}${line}`;
    if (/^[})]/.test(line)) depth -= 1;
    const indented = line === "" ? "" : `${"  ".repeat(depth)}${line}`;
    if (/[{(]$/.test(line)) depth += 1;
    return indented;
  });
  return lines.join("\n");
}
