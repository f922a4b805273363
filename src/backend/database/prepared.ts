import { type CompiledQuery, type Kysely, type RawBuilder, sql } from "kysely";
import { isPostgres } from "./engine.ts";
import type { Database } from "./schema.ts";

/** What a parameter of a statement is compiled to, until it has a value. */
interface Placeholder {
  readonly parameter: string;
}

/** What can be compiled: a query of the builder, or `sql`. */
interface Compilable<Row> {
  compile(database: Kysely<Database>): CompiledQuery<Row>;
}

type Values = Readonly<Record<string, string | number | null>>;

/**
 * Returns a function that runs a statement whose text never changes. It is compiled once per dialect, which takes longer
 * than everything else that this process does to run it.
 *
 * @param build is called with a function that returns the parameter of a name; a parameter may occur repeatedly
 */
export function preparedStatement<Given extends Values, Row>(
  build: (parameter: (name: keyof Given & string) => RawBuilder<never>, database: Kysely<Database>) => Compilable<Row>,
): (database: Kysely<Database>, values: Given) => Promise<Row[]> {
  const compiled: { sqlite?: CompiledQuery<Row>; postgres?: CompiledQuery<Row> } = {};
  return async (database, values) => {
    const dialect = isPostgres(database) ? "postgres" : "sqlite";
    compiled[dialect] ??= build(parameter, database).compile(database);
    const statement = compiled[dialect];
    const parameters = statement.parameters.map((value) =>
      isPlaceholder(value) ? (values[value.parameter] ?? null) : value,
    );
    return (await database.executeQuery<Row>({ ...statement, parameters })).rows;
  };
}

/** Returns a function that inserts a row with these columns; see `preparedStatement`. */
export function preparedInsert<Table extends keyof Database, Column extends keyof Database[Table] & string>(
  table: Table,
  columns: readonly Column[],
): (database: Kysely<Database>, row: Readonly<Record<Column, string | number | null>>) => Promise<unknown> {
  return preparedStatement<Record<Column, string | number | null>, never>((value) => {
    const names = columns.map((column) => sql.ref(column));
    return sql<never>`insert into ${sql.table(table)} (${sql.join(names)}) values (${sql.join(columns.map(value))})`;
  });
}

function parameter(name: string): RawBuilder<never> {
  return sql.val<unknown>({ parameter: name } satisfies Placeholder) as RawBuilder<never>;
}

function isPlaceholder(value: unknown): value is Placeholder {
  return typeof value === "object" && value !== null && "parameter" in value;
}
