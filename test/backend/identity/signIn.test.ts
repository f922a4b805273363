import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findUser, savePasswordHash } from "../../../src/backend/identity/memberships.ts";
import { passwords } from "../../../src/backend/identity/secrets.ts";
import { signIn } from "../../../src/backend/identity/signIn.ts";
import { BASE_PATH } from "../../../src/contract/constants.ts";
import { call, organization, startBackend, type TestBackend } from "../support/backend.ts";
import { quickPasswords } from "../support/people.ts";

const PASSWORD = "pässword with spaces";

const quick = quickPasswords();

let backend: TestBackend;

const made = organization();

const email = made.users[0]?.email ?? "";

const login = (credentials: unknown) => call(backend, "POST", "/auth/login", { body: credentials });

const form = (path: string, fields: Record<string, string>) =>
  backend.app.inject({
    method: "POST",
    url: BASE_PATH + path,
    headers: { "content-type": "application/x-www-form-urlencoded" },
    payload: new URLSearchParams(fields).toString(),
  });

const refresh = async (token: string) => {
  const response = await form("/oauth/token", { grant_type: "refresh_token", refresh_token: token });
  return { status: response.statusCode, body: response.json() };
};

const me = async (token: string) => (await call(backend, "GET", "/me", { token })).status;

beforeAll(async () => {
  backend = await startBackend("sqlite", quick);
  const admin = made.users[0];
  if (admin) {
    made.users.push({ ...admin, email: "totp@example.test", totpSecret: "JBSWY3DPEHPK3PXP" });
    made.users.push({ ...admin, email: "Zoe\u0301@b\u00fccher.test" });
  }
  await backend.addOrganization(made);
  const hash = await quick.hash(PASSWORD);
  for (const name of [email, "totp@example.test", "zo\u00e9@b\u00fccher.test"]) {
    const user = await findUser(backend.deps.database, name);
    await savePasswordHash(backend.deps.database, user?.id ?? 0, hash);
  }
});

afterAll(() => backend.close());

test("the correct password gives a session with every scope, for 15 minutes", async () => {
  const { status, body } = await login({ email: email.toUpperCase(), password: PASSWORD });
  expect(status).toBe(200);
  expect(body).toMatchObject({ status: "signed_in", tokenType: "Bearer", expiresIn: 900 });
  expect(body.scopes).toContain("billing:purchase");
  expect(await me(body.accessToken)).toBe(200);
  backend.clocks.machine += 15 * 60_000;
  expect(await me(body.accessToken)).toBe(401);
});

test.each(["Zoe\u0301@b\u00fccher.test", "zo\u00e9@B\u00dcCHER.test", "zo\u00e9@xn--bcher-kva.test"])(
  "a user also signs in as %j, and is shown as entered",
  async (spelling) => {
    const { status, body } = await login({ email: spelling, password: PASSWORD });
    expect(status).toBe(200);
    const whoami = await call(backend, "GET", "/me", { token: body.accessToken });
    expect(whoami.body.user.email).toBe("Zoe\u0301@b\u00fccher.test");
  },
);

test("an unknown user and a wrong password get the same answer", async () => {
  const wrong = await login({ email, password: "wrong" });
  const unknown = await login({ email: "nobody@example.test", password: PASSWORD });
  expect(wrong).toMatchObject({ status: 401, body: { code: "unauthenticated" } });
  expect({ ...unknown.body, requestId: "" }).toEqual({ ...wrong.body, requestId: "" });
});

test("a user with one-time codes cannot sign in by password alone", async () => {
  const { status, body } = await login({ email: "totp@example.test", password: PASSWORD });
  expect(status).toBe(200);
  expect(body).toEqual({ status: "mfa_required", challenge: expect.any(String), methods: ["totp"] });
  expect(JSON.stringify(body)).not.toContain("sfs_");
});

test("refreshing rotates; the previous token works once more within a minute; an older one ends the session", async () => {
  const { body: session } = await login({ email, password: PASSWORD });
  const first = await refresh(session.refreshToken);
  expect(first).toMatchObject({ status: 200, body: { token_type: "Bearer", expires_in: 900 } });
  expect(await me(session.accessToken)).toBe(401);
  const grace = await refresh(session.refreshToken);
  expect(grace.status).toBe(200);
  const reused = await refresh(session.refreshToken);
  expect(reused).toMatchObject({ status: 400, body: { error: "invalid_grant" } });
  expect(await me(grace.body.access_token)).toBe(401);
});

test("after a minute the token before the previous one ends the session", async () => {
  const { body: session } = await login({ email, password: PASSWORD });
  const next = await refresh(session.refreshToken);
  backend.clocks.machine += 60_001;
  expect((await refresh(session.refreshToken)).status).toBe(400);
  expect(await me(next.body.access_token)).toBe(401);
});

test("revoking either token ends the session, and an unknown token is not an error", async () => {
  for (const which of ["accessToken", "refreshToken"] as const) {
    const { body: session } = await login({ email, password: PASSWORD });
    expect((await form("/oauth/revoke", { token: session[which] })).statusCode).toBe(200);
    expect(await me(session.accessToken)).toBe(401);
  }
  expect((await form("/oauth/revoke", { token: "unknown" })).statusCode).toBe(200);
});

test("five failures in 15 minutes lock sign-in from that address, even with the correct password and with the same answer", async () => {
  backend.clocks.machine += 15 * 60_000;
  for (let attempt = 0; attempt < 5; attempt += 1) await login({ email, password: "wrong" });
  const locked = await login({ email, password: PASSWORD });
  expect(locked).toMatchObject({ status: 401, body: { code: "unauthenticated" } });
  backend.clocks.machine += 15 * 60_000 + 1;
  expect((await login({ email, password: PASSWORD })).status).toBe(200);
}, 60_000);

test("parallel guesses count each other", async () => {
  backend.clocks.machine += 16 * 60_000;
  const guesses = Array.from({ length: 8 }, (_, index) => ({ email, password: index === 7 ? PASSWORD : "wrong" }));
  const answers = await Promise.all(guesses.map(login));
  expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(401));
}, 60_000);

test("parallel correct sign-ins do not count as guesses", async () => {
  backend.clocks.machine += 16 * 60_000;
  const answers = await Promise.all(Array.from({ length: 12 }, () => login({ email, password: PASSWORD })));
  expect(answers.map(({ status }) => status)).toEqual(Array(12).fill(200));
}, 60_000);

test("sign-ins that the backend did not live to judge count for a minute", async () => {
  backend.clocks.machine += 16 * 60_000;
  const { verify } = quick;
  quick.verify = () => Promise.reject(new TypeError("the process ends here"));
  for (let times = 0; times < 5; times += 1) {
    expect((await login({ email, password: PASSWORD })).status).toBe(500);
  }
  quick.verify = verify;
  expect((await login({ email, password: PASSWORD })).status).toBe(401);
  backend.clocks.machine += 60_001;
  expect((await login({ email, password: PASSWORD })).status).toBe(200);
}, 60_000);

test("50 failures lock an address, and no other", async () => {
  backend.clocks.machine += 16 * 60_000;
  const rows = Array.from({ length: 50 }, (_, index) => ({
    email_key: `guess${index}@example.test`,
    address: "127.0.0.1",
    at: backend.clocks.machine,
  }));
  await backend.deps.database.insertInto("sign_in_attempts").values(rows).execute();
  const elsewhere = { method: "POST" as const, url: `${BASE_PATH}/auth/login`, remoteAddress: "192.0.2.7" };
  expect((await login({ email, password: PASSWORD })).status).toBe(401);
  expect((await backend.app.inject({ ...elsewhere, payload: { email, password: PASSWORD } })).statusCode).toBe(200);
});

test("a password matches its own hash, in any Unicode normalization, and no other", async () => {
  const real = passwords(randomBytes);
  const hash = await real.hash(PASSWORD);
  expect(hash).toMatch(/^scrypt\$[\w-]{22}\$[\w-]{43}$/);
  expect(await real.verify(PASSWORD.normalize("NFD"), hash)).toBe(true);
  expect(await real.verify("wrong", hash)).toBe(false);
});

test("an unknown user takes the same work as a known one", async () => {
  const verified: (string | null)[] = [];
  const deps = {
    ...backend.deps,
    passwords: {
      ...passwords(randomBytes),
      verify: async (_password: string, hash: string | null) => {
        verified.push(hash);
        return false;
      },
    },
    passwordHashOf: async () => "hash",
  };
  for (const name of [email, "nobody@example.test"]) {
    await expect(signIn(deps, { email: name, password: "x" }, "198.51.100.1")).rejects.toThrow(/wrong/);
  }
  expect(verified).toEqual(["hash", null]);
  const started = performance.now();
  expect(await passwords(randomBytes).verify("x", null)).toBe(false);
  expect(performance.now() - started).toBeGreaterThan(50);
});

test("a rejected refresh answers 400, an internal error does not", async () => {
  await backend.deps.database.schema.alterTable("sessions").renameTo("hidden").execute();
  const answer = await refresh("sfr_x_y");
  await backend.deps.database.schema.alterTable("hidden").renameTo("sessions").execute();
  expect(answer).toMatchObject({ status: 500, body: { error: "server_error" } });
});

test("neither passwords nor tokens are stored", async () => {
  const { body: session } = await login({ email, password: PASSWORD });
  const { database } = backend.deps;
  const everything = JSON.stringify([
    await database.selectFrom("users").selectAll().execute(),
    await database.selectFrom("sessions").selectAll().execute(),
    await database.selectFrom("api_tokens").selectAll().execute(),
    backend.log,
  ]);
  for (const secret of [PASSWORD, session.accessToken, session.refreshToken, made.tokens?.[0]?.token ?? "?"]) {
    expect(everything).not.toContain(secret);
  }
});
