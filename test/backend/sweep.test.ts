import { expect, test } from "vitest";
import { type SweepOptions, sweep } from "../../src/backend/sweep.ts";
import { buy, startBackend } from "./support/backend.ts";
import { openSubscription, renewalsOf, setClock } from "./support/renewing.ts";

const DUE = Date.parse("2027-03-01T00:00:02Z");

test("a hundred renewals that have to wait do not keep a later one from its turn", async () => {
  const backend = await startBackend("sqlite");
  backend.clocks.billing = Date.parse("2027-02-28T23:30:00Z");
  for (let number = 0; number < 100; number += 1) {
    const id = await openSubscription(backend, {}, { paymentMethod: "card_processing" });
    expect((await buy(backend, id, 5, "k")).status).toBe(202);
  }
  const last = await openSubscription(backend, {}, { paymentMethod: "card_ok" });
  await backend.deps.database
    .updateTable("subscriptions")
    .set({ renew_at: DUE - 1 })
    .where("organization_id", "=", last)
    .execute();
  const { gateway } = backend.deps;
  const read = async (id: string) => ({ ...(await gateway.read(id)), status: "processing" as const });
  setClock(backend, new Date(DUE).toISOString());
  const options: SweepOptions = { jobs: 8, bucket: 0, limit: 100, notifications: 100, positions: new Map() };
  for (let round = 0; round < 3; round += 1) await sweep({ ...backend.deps, gateway: { ...gateway, read } }, options);
  expect(await renewalsOf(backend, last)).toHaveLength(1);
  await backend.close();
});

test("a round ends with its limit, so that purchases do not wait for a backlog of renewals", async () => {
  const backend = await startBackend("sqlite");
  for (let number = 0; number < 150; number += 1) await openSubscription(backend, {}, { paymentMethod: "card_ok" });
  setClock(backend, new Date(DUE).toISOString());
  const renewed = async () =>
    (await backend.deps.database.selectFrom("purchases").select("id").where("kind", "=", "renewal").execute()).length;
  const options: SweepOptions = { jobs: 8, bucket: 0, limit: 100, notifications: 100, positions: new Map() };
  expect(await sweep(backend.deps, options)).toBe(true);
  expect(await renewed()).toBe(100);
  await sweep(backend.deps, options);
  expect(await renewed()).toBe(150);
  await backend.close();
});

test("a round that is aborted begins nothing more", async () => {
  const backend = await startBackend("sqlite");
  await openSubscription(backend, {}, { paymentMethod: "card_ok" });
  setClock(backend, new Date(DUE).toISOString());
  const options: SweepOptions = {
    jobs: 1,
    bucket: 0,
    limit: 100,
    notifications: 100,
    positions: new Map(),
    signal: AbortSignal.abort(),
  };
  expect(await sweep(backend.deps, options)).toBe(false);
  await backend.close();
});
