/** The values that are bound to statements. No column holds blobs, which each library reads as something else. */
export type Bindable = string | number | bigint | null;

/** The part of `StatementSync` that is used. */
export interface NodeStatement {
  columns(): readonly unknown[];
  all(...values: readonly Bindable[]): unknown[];
  get(...values: readonly Bindable[]): unknown;
  run(...values: readonly Bindable[]): { changes: number | bigint; lastInsertRowid: number | bigint };
  iterate(...values: readonly Bindable[]): IterableIterator<unknown>;
  setReadBigInts(isEnabled: boolean): void;
}

/** The part of `DatabaseSync` that is used. */
export interface NodeDatabase {
  readonly isOpen: boolean;
  readonly isTransaction: boolean;
  exec(query: string): void;
  prepare(query: string): NodeStatement;
  close(): void;
}

/** The part of [node:sqlite](https://nodejs.org/api/sqlite.html) that is used. */
export interface NodeSqlite {
  readonly DatabaseSync: new (file: string, options: { defensive: boolean }) => NodeDatabase;
}

/**
 * Loads the SQLite of Node.js 22.19 and newer, without the warning that it is experimental, about which nobody at a terminal
 * can do anything. Other warnings are still emitted. It is not imported: that fails on Node.js 20 and warns on 22.
 *
 * @returns `null` where Node.js has none, or one that lacks what the store needs
 */
export function loadNodeSqlite(): NodeSqlite | null {
  if (!hasCompleteSqlite(process.versions.node)) return null;
  const { emitWarning } = process;
  process.emitWarning = ((...warning: Parameters<typeof emitWarning>) => {
    if (!isExperimental(warning)) emitWarning(...warning);
  }) as typeof emitWarning;
  try {
    // Node.js has none if it runs with --no-experimental-sqlite.
    return (process.getBuiltinModule("node:sqlite") as NodeSqlite | undefined) ?? null;
  } finally {
    process.emitWarning = emitWarning;
  }
}

/**
 * Whether the SQLite of a version of Node.js is used: it has all of `NodeDatabase` from 22.16 on, is relied on from 22.19
 * on, and has no `isTransaction` in 23.
 */
export function hasCompleteSqlite(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major >= 24 || (major === 22 && minor >= 19);
}

/** Whether the arguments of `process.emitWarning` are those of an experimental feature. */
function isExperimental([, type]: readonly unknown[]): boolean {
  return type === "ExperimentalWarning";
}
