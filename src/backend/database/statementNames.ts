import { createHash } from "node:crypto";
import { SERIALIZATION_FAILURE } from "./storageFailure.ts";

/** Statements with more parameters are not prepared: their number of rows varies, and each would be kept. */
const MAX_PARAMETERS = 60;

/** The names that the connections of a pool prepare statements under. */
export interface StatementNames {
  /** Returns the name of a statement; `null` if it is not worth preparing, or cannot be. */
  of(text: string, values: readonly unknown[]): string | null;
  /**
   * Makes every connection prepare its statements anew, because a migration has changed the columns of their result. Turns
   * the error into a conflict, after which a statement or transaction is repeated: nothing was written.
   */
  forget(name: string, error: object): void;
}

/** Names prepared statements. PgBouncer in transaction mode knows no names. */
export function statementNames(isPgbouncer: boolean): StatementNames {
  let names = new Map<string, string>();
  let generation = 0;
  return {
    of(text, values) {
      if (isPgbouncer || values.length === 0 || values.length > MAX_PARAMETERS) return null;
      const known = names.get(text);
      if (known !== undefined) return known;
      const name = `${createHash("sha256").update(text).digest("base64url")}.${generation}`;
      names.set(text, name);
      return name;
    },
    forget(name, error) {
      Object.assign(error, { code: SERIALIZATION_FAILURE });
      // Another connection may have noticed first.
      if (!name.endsWith(`.${generation}`)) return;
      names = new Map();
      generation += 1;
    },
  };
}

/** Whether PostgreSQL refused a prepared statement because the columns of its result are different now. */
export function isStalePlan(error: unknown): error is object {
  const { code, routine } = error as { code?: unknown; routine?: unknown };
  return code === "0A000" && routine === "RevalidateCachedQuery";
}
