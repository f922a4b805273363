import { clean } from "../render/clean.ts";
import { shorten } from "../render/shorten.ts";

const NEEDED = ["email", "firstName", "lastName"] as const;
const OPTIONAL = ["role", "adminNoTraining"] as const;

/** A column of a file of users (details.md, 24). */
export type Column = (typeof NEEDED)[number] | (typeof OPTIONAL)[number];

const COLUMNS: readonly Column[] = [...NEEDED, ...OPTIONAL];
const KNOWN: ReadonlyMap<string, Column> = new Map(COLUMNS.map((column) => [column.toLowerCase(), column]));
const EXPECTED = `${NEEDED.join(", ")}, and perhaps ${OPTIONAL.join(", ")}`;

/**
 * What separates the values of a file, by its header: comma, or the semicolon or tab that spreadsheets write in many
 * countries.
 */
export function delimiterOf(header: string): string {
  const count = (delimiter: string) => header.split(delimiter).length;
  return [",", ";", "\t"].reduce((best, other) => (count(other) > count(best) ? other : best));
}

/**
 * The columns that a header names, in any order and case, and how many without a name a spreadsheet put after them;
 * `problems` where it does not name them right.
 */
export function readHeader(header: readonly string[]): { columns: Column[]; nameless: number; problems: string[] } {
  const names = header.slice(0, header.findLastIndex((name) => name !== "") + 1);
  const nameless = header.length - names.length;
  const columns = names.flatMap((name) => KNOWN.get(name.toLowerCase()) ?? []);
  if (columns.length === 0)
    return { columns, nameless, problems: [`The first row must name the columns: ${EXPECTED}`] };
  const unknown = new Set(names.filter((name) => !KNOWN.has(name.toLowerCase())));
  const twice = COLUMNS.filter((column) => columns.filter((other) => other === column).length > 1);
  const missing = NEEDED.filter((column) => !columns.includes(column));
  const problems = [
    ...[...unknown].map(unknownColumn),
    ...twice.map((column) => `The column ${column} is there twice`),
    ...missing.map((column) => `The column ${column} is missing`),
  ];
  return { columns, nameless, problems };
}

const STRATEGY_COLUMN =
  "The column assignmentStrategy is not supported: it is a setting of the organization; remove the column and use " +
  "`secureflag-licenses organizations assignment-strategy`";

function unknownColumn(name: string): string {
  if (name === "") return "A column has no name";
  if (letters(name) === "assignmentstrategy") return STRATEGY_COLUMN;
  const near = KNOWN.get(letters(name));
  const advice = near ? `did you mean ${near}?` : `the columns are ${EXPECTED}`;
  return `There is no column "${shorten(clean(name))}"; ${advice}`;
}

/** `First name` and `first_name` stand near `firstName`. */
function letters(name: string): string {
  return name.toLowerCase().replaceAll(/[^\p{Letter}]/gu, "");
}
