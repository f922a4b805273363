import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { buildApp } from "../../../src/backend/app.ts";
import { passwords } from "../../../src/backend/identity/secrets.ts";
import type { PaymentGateway } from "../../../src/backend/payments/gateway.ts";
import { MODES } from "../../../src/contract/mode.ts";
import { buy, call, organization, startBackend, type TestBackend, tokenOf } from "../support/backend.ts";

let backend: TestBackend;

beforeAll(async () => {
  backend = await startBackend();
});

afterAll(() => backend.close());

test.each(MODES)("purchases, receipts, subscriptions and /me carry the mode of a %s account", async (mode) => {
  const { id } = await addOrganization();
  const { gateway: provider } = backend.deps;
  const gateway: PaymentGateway = {
    ...provider,
    account: { ...provider.account, mode },
    create: async (request) => ({ ...(await provider.create(request)), mode }),
    confirm: async (id, attempt) => ({ ...(await provider.confirm(id, attempt)), mode }),
  };
  const app = buildApp(
    { ...backend.deps, gateway },
    { signIn: { passwords: passwords(randomBytes), passwordHashOf: async (user) => user.password_hash } },
  );
  const get = async (path: string) => (await call({ app }, "GET", path, { token: tokenOf(id) })).body;
  const bought = await buy({ app }, id, 2, `key-${mode}`);
  const purchase = `/organizations/${id}/purchases/${bought.body.id}`;
  const answers = [
    bought.body,
    await get(purchase),
    (await get(`/organizations/${id}/purchases`)).items[0],
    await get(`${purchase}/receipt`),
    await get(`/organizations/${id}/subscription`),
    await get("/me"),
  ];
  expect(answers.map(({ livemode, mode: told }) => ({ livemode, mode: told }))).toEqual(
    answers.map(() => ({ livemode: mode === "live", mode })),
  );
  await app.close();
});

async function addOrganization() {
  const made = organization();
  await backend.addOrganization(made);
  return made;
}
