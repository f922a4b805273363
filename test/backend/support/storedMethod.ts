import { call, type TestBackend, tokenOf } from "./backend.ts";

/** `GET …/payment-method`. */
export function methodOf(backend: TestBackend, id: number, token: string = tokenOf(id)) {
  return call(backend, "GET", `/organizations/${id}/payment-method`, { token });
}

/** The path of a new page that changes the payment method of an organization. */
export async function methodPage(backend: TestBackend, id: number): Promise<string> {
  return new URL((await methodOf(backend, id)).body.url).pathname;
}

/** How often the change of the payment method of an organization was audited, and how often it was notified. */
export async function changesOf(
  backend: TestBackend,
  id: number,
): Promise<{ audited: unknown[]; notified: unknown[] }> {
  const path = `/organizations/${id}/events?limit=100`;
  const { items } = (await call(backend, "GET", path, { token: tokenOf(id) })).body;
  const outbox = backend.deps.database.selectFrom("outbox").select("payload_json").where("organization_id", "=", id);
  const queued = (await outbox.execute()).map(({ payload_json }) => JSON.parse(payload_json));
  const isChange = ({ type }: { type: string }) => type === "payment_method.changed";
  return { audited: items.filter(isChange), notified: queued.filter(isChange) };
}
