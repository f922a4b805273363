import { type AddUserRequest, addUserRequestSchema } from "../../contract/users.ts";
import { clean } from "../render/clean.ts";
import { shorten } from "../render/shorten.ts";
import type { Column } from "./csvColumns.ts";
import { ROLE_WORDS, roleNumber } from "./words.ts";

/** The user of a row, as the contract takes it, and what is wrong with it. What is left empty is as if not there. */
export function readUser(row: ReadonlyMap<Column, string>): { user: AddUserRequest; problems: string[] } {
  const problems: string[] = [];
  const optional = <Value>(column: Column, read: (text: string) => Value | null, expected: string) => {
    const text = row.get(column) ?? "";
    const value = text === "" ? null : read(text);
    if (text !== "" && value === null) problems.push(`${column} ${quoted(text)} is not ${expected}`);
    return value;
  };
  const role = optional("role", roleNumber, `one of ${ROLE_WORDS.join(", ")}`);
  const adminNoTraining = optional("adminNoTraining", readFlag, "true or false");
  const user = {
    email: row.get("email") ?? "",
    firstName: row.get("firstName") ?? "",
    lastName: row.get("lastName") ?? "",
    ...(role !== null && { role }),
    ...(adminNoTraining !== null && { adminNoTraining }),
  };
  return { user, problems: [...contractProblems(user), ...problems] };
}

/** What the contract has against a user, once for each column. */
function contractProblems(user: AddUserRequest): string[] {
  const issues = addUserRequestSchema.safeParse(user).error?.issues ?? [];
  const messages = new Map(issues.toReversed().map(({ path, message }) => [String(path[0]), message]));
  return [...messages].reverse().map(([column, message]) => {
    if (column !== "email") return `${column} ${message}`;
    return user.email === "" ? "email is empty" : `email ${quoted(user.email)} ${message}`;
  });
}

const FLAGS: ReadonlyMap<string, boolean> = new Map([
  ...["true", "yes", "1"].map((word) => [word, true] as const),
  ...["false", "no", "0"].map((word) => [word, false] as const),
]);

function readFlag(text: string): boolean | null {
  return FLAGS.get(text.toLowerCase()) ?? null;
}

function quoted(text: string): string {
  return `"${shorten(clean(text))}"`;
}
