import { randomBytes } from "node:crypto";
import { resourceMissing } from "./problems.ts";
import type { Kinds, Store } from "./store.ts";

/** What an operation works with. */
export interface World {
  readonly store: Store;
  /** The stand-in's clock, seconds. */
  now(): number;
  /** Whether the account is live, which no money is either way. */
  readonly isLive: boolean;
  /** Where the stand-in listens: `http://127.0.0.1:12111`. */
  origin(): string;
}

/** Makes an ID: `pi_` and 24 random characters. */
export function newId(prefix: string): string {
  return `${prefix}_1${randomBytes(12).toString("hex")}`;
}

/**
 * Reads an object that a request names.
 *
 * @param param the parameter that names it
 * @throws Problem `resource_missing`: 404 for the object of the path, 400 for one of a parameter
 */
export function need<Kind extends keyof Kinds>(
  { store }: Pick<World, "store">,
  kind: Kind,
  id: string,
  param = "id",
): Kinds[Kind] {
  const found = store.get(kind, id);
  if (found === null) throw resourceMissing(kind, id, param);
  return found;
}

/** The ID of an object that is stored as its ID. */
export function idOf(reference: string | { readonly id: string } | null | undefined): string | null {
  return typeof reference === "string" ? reference : (reference?.id ?? null);
}
