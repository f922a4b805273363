import { refused } from "./problems.ts";
import type { Store } from "./store.ts";

/** Stripe expands four levels at most (Stripe's API reference, Expanding responses). */
const MAX_DEPTH = 4;

type Fields = Record<string, unknown>;

/**
 * Puts objects in the place of their IDs.
 *
 * @param paths as of the parameter `expand`: `latest_charge.refunds`, `data.customer`
 * @returns a copy
 * @throws Problem for what has no such field
 */
export function expanded(store: Store, object: object, paths: readonly string[] = []): object {
  const copy = structuredClone(object);
  for (const path of paths) {
    const names = path.split(".");
    if (names.length > MAX_DEPTH) throw unknownPath(path, "is deeper than four levels");
    fill(store, copy as Fields, names, path);
  }
  return copy;
}

function fill(store: Store, object: Fields, [name = "", ...rest]: readonly string[], path: string): void {
  const value = name === "refunds" && object.object === "charge" ? refundsOf(store, String(object.id)) : object[name];
  if (value === undefined) throw unknownPath(path, "cannot be expanded");
  if (value === null) return;
  const found = typeof value === "string" ? store.find(value) : value;
  if (found === null) throw unknownPath(path, "cannot be expanded");
  object[name] = found;
  if (rest.length === 0) return;
  for (const inner of Array.isArray(found) ? found : [found]) fill(store, inner as Fields, rest, path);
}

function refundsOf(store: Store, charge: string): object {
  const { data, hasMore } = store.list("refund", { charge });
  return { object: "list", data, has_more: hasMore, url: `/v1/charges/${charge}/refunds` };
}

function unknownPath(path: string, why: string) {
  return refused(`This property (${path}) ${why}.`, { param: "expand" });
}
