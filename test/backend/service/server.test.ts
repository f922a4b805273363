import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { request as httpsRequest } from "node:https";
import { join } from "node:path";
import Stripe from "stripe";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { listenFailure } from "../../../src/backend/http/server.ts";
import { checkService } from "../../../src/backend/service/check.ts";
import { importSeed } from "../../../src/backend/service/import.ts";
import { migrateService } from "../../../src/backend/service/migrate.ts";
import { operatorProvider } from "../../../src/backend/service/operatorProvider.ts";
import { type RunningService, startService } from "../../../src/backend/service/server.ts";
import { readServiceSettings } from "../../../src/backend/service/settings.ts";
import { withStore } from "../../../src/backend/service/store.ts";
import { CLIENT_ID, JWT_TYPE, TOKEN_EXCHANGE } from "../../../src/contract/identity.ts";
import { createAuthority } from "../../support/certificates.ts";
import { isInstalled } from "../../support/installed.ts";
import { startIssuer } from "../../support/issuer.ts";
import { removePlaces, temporaryDirectory } from "../../support/places.ts";
import { ADMIN, organization, PASSWORD, seed, tokenOf } from "../../support/seed.ts";
import { createDatabase, POSTGRES, serviceEnvironment, type TestDatabase } from "../../support/service.ts";
import { serviceMachine } from "../support/serviceMachine.ts";

const JSON_TYPE = { "content-type": "application/json" };

const ROLE = `test_role_${randomBytes(4).toString("hex")}`;

describe.skipIf(!POSTGRES)("an instance of the service", () => {
  let database: TestDatabase;
  let log: string[] = [];
  const running: RunningService[] = [];

  const settingsOf = (flags: Record<string, string | boolean> = {}, env: Record<string, string> = {}) =>
    readServiceSettings({
      flags: { payments: "sandbox", "test-mode": true, port: "0", "drain-seconds": "0", ...flags },
      env: { ...serviceEnvironment(database), ...env },
    });

  const machine = () => serviceMachine({ log: (line) => void log.push(line) });

  async function start(
    flags: Record<string, string | boolean> = {},
    env: Record<string, string> = {},
  ): Promise<RunningService> {
    const service = await startService(await settingsOf(flags, env), machine());
    running.push(service);
    return service;
  }

  beforeAll(async () => {
    database = await createDatabase();
    await database.query(`create role ${ROLE} login`);
    const settings = (await settingsOf()).database;
    await migrateService(settings, { isPlan: false, serviceRole: ROLE }, () => {});
    const file = { path: "seed.json", text: JSON.stringify(seed(organization(1))) };
    const given = { flags: { payments: "sandbox", "test-mode": true }, env: {} };
    const provider = await operatorProvider(given, machine());
    const options = { isTestMode: true, provider, masterKeys: [], random: randomBytes };
    await withStore(
      settings,
      () => {},
      (store) => importSeed(store, file, options),
    );
  });
  afterEach(async () => {
    await Promise.all(running.splice(0).map((service) => service.close()));
    log = [];
  });
  afterAll(async () => {
    await database.query(`drop owned by ${ROLE}`);
    await database.query(`drop role ${ROLE}`);
    await database.drop();
    await removePlaces();
  });

  /** The address that a sign-in is counted under, for a request that came with this `X-Forwarded-For`. */
  async function addressOf({ ready }: RunningService, forwardedFor: string): Promise<unknown> {
    await database.query("delete from device_grants");
    const answer = await fetch(`${ready.url}/oauth/device_authorization`, {
      method: "POST",
      headers: { "x-forwarded-for": forwardedFor },
      body: new URLSearchParams({ client_id: CLIENT_ID }),
    });
    expect(answer.status).toBe(200);
    const [grant] = await database.query("select address from device_grants");
    return grant?.address;
  }

  test("takes the client's address from the last hop that is not a trusted proxy", async () => {
    const behind = await start({ "trust-proxy": "127.0.0.1,10.0.0.0/8" });
    expect(await addressOf(behind, "6.6.6.6, 198.51.100.7, 10.1.2.3")).toBe("198.51.100.7");
    expect(await addressOf(await start(), "6.6.6.6")).toBe("127.0.0.1");
  });

  test("trusts issuers in private networks only if the operator allows them", async () => {
    const issuer = await startIssuer();
    try {
      const post = async ({ ready }: RunningService, path: string, body: unknown, token = "") => {
        const isForm = body instanceof URLSearchParams;
        const answer = await fetch(ready.url + path, {
          method: "POST",
          headers: { ...(token && { authorization: `Bearer ${token}` }), ...(!isForm && JSON_TYPE) },
          body: isForm ? body : JSON.stringify(body),
        });
        return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
      };
      const [open, closed] = [await start({ "private-issuers": true }), await start()];
      const session = await post(open, "/auth/login", { email: ADMIN, password: PASSWORD });
      const trust = { name: "ci", issuer: issuer.url, claims: { sub: "job" }, scopes: ["billing:read"] };
      const add = (to: RunningService) => post(to, "/organizations/1/trusts", trust, String(session.body.accessToken));
      expect(await add(closed)).toMatchObject({ status: 400, body: { errors: [{ path: "issuer" }] } });
      expect((await add(open)).status).toBe(201);
      const exchange = async (at: RunningService) => {
        const form = new URLSearchParams({
          grant_type: TOKEN_EXCHANGE,
          subject_token: await issuer.sign({ claims: { sub: "job", aud: new URL(at.ready.url).origin } }),
          subject_token_type: JWT_TYPE,
          organization: "1",
          trust: "ci",
        });
        return post(at, "/oauth/token", form);
      };
      expect(await exchange(open)).toMatchObject({ status: 200, body: { expires_in: 600 } });
      expect(await exchange(closed)).toMatchObject({ status: 503, body: { error: "server_error" } });
    } finally {
      await issuer.close();
    }
  });

  test("serves health alone without the role http", async () => {
    const { ready } = await start({ roles: "jobs" });
    const root = new URL(ready.url).origin;
    expect((await fetch(`${root}/readyz`)).status).toBe(200);
    expect((await fetch(`${ready.url}/me`)).status).toBe(404);
    expect((await fetch(`${root}/device`)).status).toBe(404);
  });

  test("serves metrics on a port of their own", async () => {
    await start({ "metrics-port": "0" });
    const port = /metrics on port (\d+)/.exec(log.join(""))?.[1];
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    expect(text).toContain("clock_offset_seconds");
    expect(text).toMatch(/^purchases_open\{state="unknown"\} 0$/m);
  });

  test("limits how much a caller sends", async () => {
    const { ready } = await start({ rate: "1", burst: "2" });
    const statuses = [];
    for (let sent = 0; sent < 4; sent += 1) statuses.push((await fetch(`${ready.url}/me`)).status);
    expect(statuses.at(-1)).toBe(429);
  });

  test("takes webhooks if it is paid through Stripe, and has the role of requests", async () => {
    const startWith = async (roles: string) => {
      const payments = {
        provider: "stripe",
        key: "sk_test_1",
        mode: "test",
        webhookSecrets: ["whsec_1"],
        // Nobody is there.
        apiUrl: new URL("http://127.0.0.1:9"),
        rate: 1,
        seller: "SecureFlag",
        minimumCharges: {},
      } as const;
      const service = await startService({ ...(await settingsOf({ roles })), payments }, machine());
      running.push(service);
      return service.ready.url;
    };
    const event = { type: "customer.deleted", created: 0, livemode: false, data: { object: { id: "cus_1" } } };
    const payload = JSON.stringify({ id: "evt_1", object: "event", ...event });
    const signature = Stripe.webhooks.generateTestHeaderString({ payload, secret: "whsec_1" });
    const send = async (url: string) => {
      const headers = { "content-type": "application/json", "stripe-signature": signature };
      return (await fetch(new URL("/webhooks/stripe", url), { method: "POST", headers, body: payload })).status;
    };
    expect(await send(await startWith("http"))).toBe(200);
    expect(await database.query("select id from webhook_events")).toEqual([{ id: "evt_1" }]);
    expect(await send(await startWith("jobs"))).toBe(404);
    expect(await send((await start()).ready.url)).toBe(404);
  });

  test("sells under a role that cannot change what was booked", async () => {
    const url = new URL(database.url);
    url.username = ROLE;
    const { ready } = await start({}, { SECUREFLAG_DATABASE_URL: url.href });
    const headers = { authorization: `Bearer ${tokenOf(1)}`, "content-type": "application/json" };
    const quote = await fetch(`${ready.url}/organizations/1/quotes`, {
      method: "POST",
      headers,
      body: JSON.stringify({ licenses: 1 }),
    });
    const { id: quoteId } = (await quote.json()) as { id: string };
    const bought = await fetch(`${ready.url}/organizations/1/purchases`, {
      method: "POST",
      headers: { ...headers, "idempotency-key": "as-the-role" },
      body: JSON.stringify({ quoteId }),
    });
    expect(bought.status).toBe(201);
    const settings = (await settingsOf({}, { SECUREFLAG_DATABASE_URL: url.href })).database;
    expect(await checkService(settings, () => {})).toEqual([]);
    expect(await checkService((await settingsOf()).database, () => {})).toEqual([expect.stringMatching(/ledger/)]);
  });

  test("refuses a database that is not there, and a port in use", async () => {
    const gone = new URL(database.url);
    gone.pathname = "/none";
    await expect(start({}, { SECUREFLAG_DATABASE_URL: gone.href })).rejects.toMatchObject({
      code: "database_unreachable",
    });
    const { ready } = await start();
    await expect(start({ port: new URL(ready.url).port })).rejects.toMatchObject({ code: "port_in_use" });
    const behind = { "trust-proxy": "10.0.0.0/8", "public-url": "https://billing.example.com" };
    for (const host of ["192.0.2.1", "no-such-host.invalid", "not a name"]) {
      for (const metrics of [{}, { "metrics-port": "0" }]) {
        await expect(start({ ...behind, ...metrics, host }), host).rejects.toMatchObject({
          code: "settings_invalid",
          message: `--host ${host} is not an address of this machine`,
        });
      }
    }
  });

  test("says that a port is not allowed, and leaves other errors as they are", () => {
    const of = (code: string) => listenFailure({ code }, { host: "::", port: 80, flag: "--metrics-port" });
    expect(of("EACCES")).toMatchObject({
      code: "settings_invalid",
      message: "--metrics-port 80: permission denied",
      hint: "Pass a port above 1023, or allow the program to listen on privileged ports.",
    });
    expect(of("EMFILE")).toEqual({ code: "EMFILE" });
  });

  test.runIf(isInstalled("openssl"))("serves https, and says to stay with it", async () => {
    const { cert, key } = await (await createAuthority()).issue({ host: "localhost" });
    const folder = await temporaryDirectory();
    const [certFile, keyFile] = [join(folder, "cert.pem"), join(folder, "key.pem")];
    await Promise.all([writeFile(certFile, cert), writeFile(keyFile, key)]);
    const { ready } = await start({
      "tls-cert": certFile,
      "tls-key": keyFile,
      "public-url": "https://billing.example.com",
    });
    const asking = httpsRequest(`${new URL(ready.url).origin}/healthz`, { ca: cert, rejectUnauthorized: false }).end();
    const [answer] = await once(asking, "response");
    answer.resume();
    expect(answer.statusCode).toBe(200);
    expect(answer.headers["strict-transport-security"]).toMatch(/^max-age=\d+$/);
    expect(answer.headers["x-content-type-options"]).toBe("nosniff");
  });
});
