import type { Operation } from "../contract/operations/operation.ts";
import type { BackendAddress } from "./address.ts";

/** Values for the parameters of a path or a query; `undefined` leaves a query's parameter out. */
export type Parameters = Readonly<Record<string, string | number | undefined>>;

/** The path and query of an operation at a backend, every value percent-encoded. */
export function targetOf(operation: Operation, address: BackendAddress, params: Parameters, query: Parameters): string {
  const path = operation.path.replaceAll(/\{(\w+)\}/g, (_match, name: string) => encodeSegment(String(params[name])));
  const given = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined) given.set(name, String(value));
  const search = given.size > 0 ? `?${given}` : "";
  return (operation.atRoot ? "" : address.basePath) + path + search;
}

/** A value of only dots would name another folder, so its dots are encoded as well. */
function encodeSegment(value: string): string {
  return encodeURIComponent(value).replace(/^\.+$/, (dots) => "%2E".repeat(dots.length));
}
