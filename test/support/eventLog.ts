import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto";

/** An event of an export, with whatever else a test gives it. */
export type LoggedEvent = Record<string, unknown> & { number: number; hash: string };

/** A key pair of a backend. */
export interface LogKey {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  readonly jwk: Record<string, unknown>;
  readonly kid: string;
}

/** JSON as RFC 8785 has it, written anew for the tests: names in order, nothing between. */
export function canonical(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  const names = Object.keys(value).sort();
  return `{${names.map((name) => `${JSON.stringify(name)}:${canonical((value as Record<string, unknown>)[name])}`).join(",")}}`;
}

/** Makes a key pair. */
export function logKey(): LogKey {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const { kty, crv, x } = publicKey.export({ format: "jwk" });
  const kid = createHash("sha256").update(`{"crv":"${crv}","kty":"${kty}","x":"${x}"}`).digest("base64url");
  return { privateKey, publicKey, jwk: { kty, crv, x, kid }, kid };
}

/** Makes events whose numbers and hashes fit, from their other fields. */
export function chained(events: readonly Record<string, unknown>[]): LoggedEvent[] {
  let previous = Buffer.alloc(32);
  return events.map((fields, index) => {
    const event = { ...fields, number: index + 1 };
    previous = createHash("sha256").update(previous).update(canonical(event)).digest();
    return { ...event, hash: previous.toString("hex") };
  });
}

/** The fields of an event but its number and hash. */
export function eventFields(index: number, organizationId = 4201): Record<string, unknown> {
  const at = new Date(Date.parse("2026-11-22T10:00:00Z") + index * 1000).toISOString();
  return { organizationId, at, type: "user.added", actor: "ada@x.test", purchaseId: null, data: { idUser: index } };
}

/** A log of so many events. */
export function logOf(count: number, organizationId = 4201): LoggedEvent[] {
  return chained(Array.from({ length: count }, (_, index) => eventFields(index + 1, organizationId)));
}

/** The signed checkpoint of the last event. */
export function checkpointOf(events: readonly LoggedEvent[], key: LogKey, organization: unknown = 4201) {
  const { number = 0, hash = "0".repeat(64) } = events.at(-1) ?? {};
  const checkpoint = { organization, number, hash, at: "2026-11-23T10:00:00.000Z" };
  const signature = sign(null, Buffer.from(canonical(checkpoint)), key.privateKey).toString("base64url");
  return { checkpoint, kid: key.kid, signature };
}

/** The lines of a whole export. */
export function exportOf(events: readonly LoggedEvent[], key: LogKey): unknown[] {
  return [...events, { keys: [key.jwk] }, checkpointOf(events, key)];
}
