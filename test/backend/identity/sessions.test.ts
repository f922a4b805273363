import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BackendError } from "../../../src/backend/errors.ts";
import { authenticate, invitationsFor } from "../../../src/backend/identity/access.ts";
import { passwords, uuidFrom } from "../../../src/backend/identity/secrets.ts";
import { assertKnownClient, OauthError, oauthErrorBody, signIn } from "../../../src/backend/identity/signIn.ts";
import { issueTicket, readTicket } from "../../../src/backend/identity/tickets.ts";
import { CLIENT_ID, DEVICE_GRANT } from "../../../src/contract/identity.ts";
import { buy, call, NOON, tokenOf } from "../support/backend.ts";
import {
  answer,
  form,
  idOf,
  login,
  type People,
  quickPasswords,
  refresh,
  signedIn,
  startWithPeople,
} from "../support/people.ts";

const MINUTE = 60_000;
const DAY = 86_400_000;
const TEXT = expect.stringMatching(/\w/);
const REFUSED = { status: 400, body: { error: "invalid_grant", error_description: TEXT } };

let people: People;

const me = (token: string) => call(people, "GET", "/me", { token });

beforeAll(async () => {
  people = await startWithPeople();
});

afterAll(() => people.close());

describe("a refresh token", () => {
  test.each([
    [30 * DAY - 1, 200],
    [30 * DAY, 400],
  ])("after %i ms answers %i", async (age, status) => {
    const { refreshToken } = await signedIn(people, people.plain);
    people.clocks.machine += age;
    expect((await refresh(people, refreshToken)).status).toBe(status);
  });

  test.each([
    [MINUTE, 200],
    [MINUTE + 1, 400],
  ])("exchanged %i ms ago answers %i", async (age, status) => {
    const { refreshToken } = await signedIn(people, people.plain);
    await refresh(people, refreshToken);
    people.clocks.machine += age;
    expect((await refresh(people, refreshToken)).status).toBe(status);
  });

  test.each(["", "sfr", "sfr_unknown_secret", "sfs_unknown"])("is rejected if unknown: %j", async (suffix) => {
    expect(await refresh(people, `x${suffix}`)).toMatchObject(REFUSED);
  });

  test("ends a session when it has that session's name but another secret", async () => {
    const { refreshToken, accessToken } = await signedIn(people, people.plain);
    expect(await refresh(people, `${refreshToken}x`)).toMatchObject(REFUSED);
    expect((await me(accessToken)).status).toBe(401);
  });
});

describe("revoking a token", () => {
  const revoke = (token: string) => form(people, "revoke", { token });

  test("leaves the session alone if the name matches but the secret does not", async () => {
    const { refreshToken, accessToken } = await signedIn(people, people.plain);
    expect((await revoke(`${refreshToken}x`)).status).toBe(200);
    expect((await me(accessToken)).status).toBe(200);
  });

  test("also works with the token before the previous one", async () => {
    const { refreshToken } = await signedIn(people, people.plain);
    const { body } = await refresh(people, refreshToken);
    expect((await revoke(refreshToken)).status).toBe(200);
    expect((await me(body.access_token)).status).toBe(401);
  });
});

describe("a bearer token", () => {
  test.each([
    ["no header", () => undefined],
    ["an empty header", () => ""],
    ["no token", () => "Bearer"],
    ["another scheme", () => `Basic ${tokenOf(people.organizationId)}`],
    ["text before the scheme", () => `x Bearer ${tokenOf(people.organizationId)}`],
    ["text after the token", () => `Bearer ${tokenOf(people.organizationId)} x`],
    ["an unknown token", () => "Bearer sfl_unknown"],
  ])("is rejected with %s", async (_, header) => {
    await expect(authenticate(people.deps, header(), null)).rejects.toMatchObject({
      code: "unauthenticated",
      message: TEXT,
      headers: { "WWW-Authenticate": "Bearer" },
    });
  });

  test.each(["Bearer", "bearer", "BEARER"])("accepts the scheme %s", async (scheme) => {
    const { identity } = await authenticate(people.deps, `${scheme} ${tokenOf(people.organizationId)}`, null);
    expect(identity).toMatchObject({ user: { email: people.plain }, session: null });
  });

  test("hides its user's invitations if it is an API token", async () => {
    const { accessToken } = await signedIn(people, people.plain);
    const { identity: person } = await authenticate(people.deps, `Bearer ${accessToken}`, null);
    const { identity: token } = await authenticate(people.deps, `Bearer ${tokenOf(people.organizationId)}`, null);
    const setAccepted = (accepted: 0 | 1) =>
      people.deps.database.updateTable("members").set({ accepted }).where("user_id", "=", person.user.id).execute();
    await setAccepted(0);
    expect(await invitationsFor(people.deps, person)).toMatchObject([{ id: people.organizationId }]);
    expect(await invitationsFor(people.deps, token)).toEqual([]);
    await setAccepted(1);
  });

  test("buys without a one-time code if it is an API token, even if its user has them", async () => {
    const { accessToken } = await signedIn(people, people.codes);
    const path = `/organizations/${people.organizationId}/tokens`;
    const { body } = await call(people, "POST", path, {
      token: accessToken,
      body: { name: "ci", scopes: ["billing:read", "billing:purchase"] },
    });
    people.clocks.machine += 16 * MINUTE;
    expect((await buy(people, people.organizationId, 1, "api-token", { token: body.token })).status).toBe(201);
  });
});

describe("a ticket", () => {
  test.each([
    ["mfa", 5 * MINUTE],
    ["page", 10 * MINUTE],
  ] as const)("of kind %s is valid for %i ms", async (kind, life) => {
    const id = await idOf(people, people.codes);
    const ticket = await issueTicket(people.deps, id, kind, NOON);
    people.clocks.machine += life - 1;
    expect(await readTicket(people.deps, ticket, kind)).toMatchObject({ user: { id }, mfaAt: NOON });
    const ended = { code: "unauthenticated", message: TEXT };
    await expect(readTicket(people.deps, ticket, kind === "mfa" ? "page" : "mfa")).rejects.toMatchObject(ended);
    await expect(readTicket(people.deps, `${ticket}x`, kind)).rejects.toMatchObject(ended);
    people.clocks.machine += 1;
    await expect(readTicket(people.deps, ticket, kind)).rejects.toMatchObject(ended);
  });

  test("is rejected with a reason if unknown", async () => {
    const refused = { status: 401, body: { code: "unauthenticated", detail: TEXT } };
    expect(await answer(people, "unknown", "123456")).toMatchObject(refused);
  });
});

describe("signing in", () => {
  test("with the correct password resets earlier failures if no code is required", async () => {
    const address = "192.0.2.44";
    for (let round = 0; round < 3; round += 1) {
      for (let tried = 0; tried < 4; tried += 1) await login(people, people.plain, { password: "wrong", address });
      expect((await login(people, people.plain, { address })).status).toBe(200);
    }
  });

  test.each([
    [30, "mfa_required"],
    [31, "rate_limited"],
  ])("with %i already waiting answers %s", async (waiting, outcome) => {
    const deps = {
      ...people.deps,
      passwords: { ...quickPasswords(), waiting: () => waiting, verify: async () => true },
      passwordHashOf: async () => "hash",
    };
    const result = await signIn(deps, { email: people.codes, password: "x" }, "192.0.2.45").catch((error) => error);
    expect(result.status === "mfa_required" ? result.status : result.code).toBe(outcome);
    if (outcome === "rate_limited") expect(result).toMatchObject({ message: TEXT, headers: { "Retry-After": "5" } });
  });
});

describe("passwords", () => {
  test("are hashed two at a time while the others wait", async () => {
    const real = passwords(randomBytes);
    const resolvers: (() => void)[] = [];
    const work = () => new Promise<void>((resolve) => resolvers.push(resolve));
    const turns = Array.from({ length: 5 }, () => real.inTurn(work));
    await new Promise(setImmediate);
    expect([resolvers.length, real.waiting()]).toEqual([2, 3]);
    while (real.waiting() > 0 || resolvers.length > 0) {
      for (const resolve of resolvers.splice(0)) resolve();
      await new Promise(setImmediate);
    }
    await Promise.all(turns);
    expect(real.waiting()).toBe(0);
  });

  test.each(["scrypt$AAAA$AAAA", "scrypt$AAAA", "other"])("never match an invalid hash: %s", async (hash) => {
    expect(await passwords(randomBytes).verify("x", hash)).toBe(false);
  });
});

test("a version 4 UUID is formatted as in RFC 9562, appendix A.3", () => {
  const bytes = Buffer.from("919108f752d133205bacf847db4148a8", "hex");
  expect(uuidFrom(bytes)).toBe("919108f7-52d1-4320-9bac-f847db4148a8");
});

describe("an error under /oauth", () => {
  test.each([
    [new OauthError("slow_down", "Slow"), {}, "slow_down"],
    [new BackendError("unauthenticated", "No"), {}, "invalid_grant"],
    [new BackendError("internal", "No"), {}, "server_error"],
    [new BackendError("invalid_request", "No"), {}, "invalid_request"],
    [new BackendError("invalid_request", "No"), undefined, "invalid_request"],
    [new BackendError("invalid_request", "No"), { grant_type: "refresh_token" }, "invalid_request"],
    [new BackendError("invalid_request", "No"), { grant_type: DEVICE_GRANT }, "invalid_request"],
    [new BackendError("invalid_request", "No"), { grant_type: "password" }, "unsupported_grant_type"],
  ])("%s for %j has the code %s", (error, body, code) => {
    expect(oauthErrorBody(error, body)).toEqual({ error: code, error_description: error.message });
  });

  test("is described with the characters allowed by RFC 6749, section 5.2", () => {
    const { error_description } = oauthErrorBody(new OauthError("access_denied", 'a "b" \\ é ~!'), {});
    expect(error_description).toBe("a 'b' ? ? ~!");
  });

  test("is returned to an unknown client", () => {
    expect(() => assertKnownClient(CLIENT_ID)).not.toThrow();
    expect(() => assertKnownClient("other")).toThrow(
      expect.objectContaining({ name: "OauthError", code: "invalid_client", message: TEXT }),
    );
  });
});
