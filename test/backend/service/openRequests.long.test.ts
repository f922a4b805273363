import { connect, type Socket } from "node:net";
import type { FastifyInstance } from "fastify";
import { afterAll, beforeAll, expect, test } from "vitest";
import { limitRequests } from "../../../src/backend/service/limits.ts";
import { createMetrics } from "../../../src/backend/service/metrics.ts";
import { BASE_PATH } from "../../../src/contract/constants.ts";
import { freePort } from "../../support/ports.ts";
import { waitFor } from "../../support/wait.ts";
import { call, organization, startBackend, submit, type TestBackend, tokenOf } from "../support/backend.ts";
import { deliver, webhookApp } from "../support/webhooks.ts";

/** How many requests may be open. */
const MAX_OPEN = 1_000;

const made = organization();
const home = `/organizations/${made.id}`;
const token = tokenOf(made.id);
const metrics = createMetrics();
const sockets: Socket[] = [];

let backend: TestBackend;
let app: FastifyInstance;
let port: number;

beforeAll(async () => {
  backend = await startBackend();
  await backend.addOrganization(made);
  app = webhookApp({
    ...backend.deps,
    gateway: { ...backend.deps.gateway, account: { mode: "test", seller: "SecureFlag" } },
  });
  limitRequests(
    app,
    { rate: 100_000, burst: 100_000 },
    { now: () => backend.clocks.machine, load: () => ({ waiting: 0, loopDelay: 0 }), connections: 10, metrics },
  );
  port = await freePort();
  await app.listen({ port, host: "127.0.0.1" });
});
afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  await app.close();
  await backend.close();
});

/** Opens a request whose body never arrives. */
function openRequest(): void {
  const socket = connect(port, "127.0.0.1");
  const head = [`POST ${BASE_PATH}${home}/quotes HTTP/1.1`, "Host: 127.0.0.1", `Authorization: Bearer ${token}`];
  socket.write([...head, "Content-Type: application/json", "Content-Length: 99", "", ""].join("\r\n"));
  sockets.push(socket.on("error", () => {}));
}

const shed = async () =>
  (await metrics.shed.get()).values.find(({ labels }) => labels.reason === "open_requests")?.value ?? 0;

const rows = async () => {
  const { database } = backend.deps;
  const tables = ["quotes", "purchases", "idempotency_keys", "events"] as const;
  return Promise.all(
    tables.map(async (table) => (await database.selectFrom(table).select("organization_id").execute()).length),
  );
};

test("more than 1,000 open requests are refused before anything is accepted; webhooks and health go on", async () => {
  const quote = await call({ app }, "POST", `${home}/quotes`, { token, body: { licenses: 1 } });
  const before = await rows();
  for (let opened = 0; opened < MAX_OPEN; opened += 1) openRequest();
  const isFull = async () => (await call({ app }, "GET", "/me", { token })).status === 503;
  await waitFor(isFull, 20_000, "the requests to be open");

  const refused = await submit({ app }, made.id, { quoteId: quote.body.id }, "k");
  expect(refused).toMatchObject({ status: 503, body: { code: "unavailable" }, headers: { "retry-after": "1" } });
  expect(await shed()).toBe(2);
  expect(await rows()).toEqual(before);

  for (const path of ["/healthz", "/readyz"]) {
    expect((await call({ app }, "GET", path, { atRoot: true })).status).toBe(200);
  }
  const event = { type: "customer.deleted", object: { id: "cus_1" } };
  expect(await deliver({ app, now: backend.deps.now }, event)).toBe(200);
  expect((await call({ app }, "GET", `${home}/purchases/by-key/k`, { token })).status).toBe(404);
  expect((await call({ app }, "GET", `${home}/purchases`, { token })).status).toBe(503);

  for (const socket of sockets.splice(0, 1)) socket.destroy();
  await waitFor(async () => !(await isFull()), 5_000, "an open request to end");
  for (const socket of sockets.splice(0)) socket.destroy();
  const isEmpty = async () => (await call({ app }, "GET", `${home}/purchases`, { token })).status === 200;
  await waitFor(isEmpty, 5_000, "the open requests to end");
  expect((await submit({ app }, made.id, { quoteId: quote.body.id }, "k")).body.licenses).toBe(1);
}, 60_000);
