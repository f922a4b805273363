import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  approveGrant,
  authorizeDevice,
  countWrongSignIn,
  denyGrant,
  findGrant,
} from "../../../src/backend/identity/deviceGrants.ts";
import { readUser } from "../../../src/backend/identity/memberships.ts";
import { prune } from "../../../src/backend/prune.ts";
import { CLIENT_ID, DEVICE_GRANT } from "../../../src/contract/identity.ts";
import { buy, call } from "../support/backend.ts";
import { form, idOf, type People, startWithPeople } from "../support/people.ts";
import { DIALECTS } from "../support/stores.ts";

const SECOND = 1000;

const HERE = "192.0.2.1";

const OVER = { code: "not_found" };

describe.each(DIALECTS)("the device grant on %s", (dialect) => {
  let people: People;
  const begin = async () => (await form(people, "device_authorization", { client_id: CLIENT_ID })).body;
  const poll = (deviceCode: string, more: Record<string, string> = {}) =>
    form(people, "token", { grant_type: DEVICE_GRANT, device_code: deviceCode, client_id: CLIENT_ID, ...more });
  const outcome = async (deviceCode: string) => {
    const { status, body } = await poll(deviceCode);
    return status === 200 ? "tokens" : body.error;
  };
  const later = (milliseconds: number) => {
    people.clocks.machine += milliseconds;
  };
  const approve = async (userCode: string, email = people.plain, mfaAt: number | null = null) =>
    approveGrant(
      people.deps,
      await findGrant(people.deps, userCode, HERE),
      await readUser(people.deps.database, await idOf(people, email)),
      mfaAt,
    );

  beforeAll(async () => {
    people = await startWithPeople(dialect);
  });
  afterAll(() => people.close());
  // Expire what the previous test left behind.
  beforeEach(() => later(3_600 * SECOND));

  test("starts as in RFC 8628, section 3.2, and stores only hashes", async () => {
    const { status, headers, body } = await form(people, "device_authorization", { client_id: CLIENT_ID });
    expect(status).toBe(200);
    expect(headers["cache-control"]).toBe("no-store");
    expect(body).toEqual({
      device_code: expect.stringMatching(/^[\w-]{43}$/),
      user_code: expect.stringMatching(/^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$/),
      verification_uri: "http://localhost:80/device",
      verification_uri_complete: `http://localhost:80/device?user_code=${body.user_code}`,
      expires_in: 600,
      interval: 5,
    });
    const stored = JSON.stringify(await people.deps.database.selectFrom("device_grants").selectAll().execute());
    for (const secret of [body.device_code, body.user_code, body.user_code.replace("-", "")]) {
      expect(stored).not.toContain(secret);
    }
  });

  test.each<[string, string, Record<string, string>, string]>([
    ["an unknown client", "device_authorization", { client_id: "other" }, "invalid_client"],
    ["no client ID", "device_authorization", {}, "invalid_request"],
    [
      "an unknown client polling",
      "token",
      { grant_type: DEVICE_GRANT, device_code: "x", client_id: "other" },
      "invalid_client",
    ],
    [
      "an unknown device code",
      "token",
      { grant_type: DEVICE_GRANT, device_code: "x", client_id: CLIENT_ID },
      "invalid_grant",
    ],
    ["no device code", "token", { grant_type: DEVICE_GRANT, client_id: CLIENT_ID }, "invalid_request"],
    ["another grant type", "token", { grant_type: "password", username: "a", password: "b" }, "unsupported_grant_type"],
    ["no grant type", "token", { device_code: "x" }, "invalid_request"],
    ["an unknown refresh token", "token", { grant_type: "refresh_token", refresh_token: "x" }, "invalid_grant"],
    [
      "an unknown client refreshing",
      "token",
      { grant_type: "refresh_token", refresh_token: "x", client_id: "other" },
      "invalid_client",
    ],
  ])("%s is rejected as in RFC 6749, section 5.2", async (_, path, fields, error) => {
    const answer = await form(people, path, fields);
    expect(answer).toMatchObject({ status: 400, body: { error } });
    expect(answer.headers["cache-control"]).toBe("no-store");
    expect(answer.headers["content-type"]).toMatch(/^application\/json/);
    expect(answer.body.error_description).toMatch(/^[\x20\x21\x23-\x5b\x5d-\x7e]+$/);
  });

  test("stays pending, then returns the tokens of the user who approved, once", async () => {
    const { device_code: deviceCode, user_code: userCode } = await begin();
    expect(await outcome(deviceCode)).toBe("authorization_pending");
    await approve(userCode);
    const { status, body } = await poll(deviceCode);
    expect(status).toBe(200);
    expect(body).toMatchObject({ token_type: "Bearer", expires_in: 900, refresh_token: expect.any(String) });
    const me = await call(people, "GET", "/me", { token: body.access_token });
    expect(me.body.user.email).toBe(people.plain);
    expect(await outcome(deviceCode)).toBe("invalid_grant");
    expect((await call(people, "GET", "/me", { token: body.access_token })).status).toBe(200);
  });

  test("gives the tokens to one of ten parallel polls", async () => {
    const { device_code: deviceCode, user_code: userCode } = await begin();
    await approve(userCode);
    const sessions = () => people.deps.database.selectFrom("sessions").select("id").execute();
    const before = (await sessions()).length;
    const outcomes = await Promise.all(Array.from({ length: 10 }, () => outcome(deviceCode)));
    expect(outcomes.sort()).toEqual([...Array(9).fill("invalid_grant"), "tokens"]);
    expect(await sessions()).toHaveLength(before + 1);
  });

  test("adds 5 seconds to the interval permanently when polled too early", async () => {
    const { device_code: deviceCode } = await begin();
    const waits: [number, string][] = [
      [0, "authorization_pending"],
      [5 * SECOND, "authorization_pending"],
      [5 * SECOND - 1, "slow_down"],
      [10 * SECOND - 1, "slow_down"],
      [15 * SECOND, "authorization_pending"],
      [15 * SECOND - 1, "slow_down"],
      [20 * SECOND, "authorization_pending"],
      [20 * SECOND, "authorization_pending"],
    ];
    const seen: [number, string][] = [];
    for (const [wait] of waits) {
      later(wait);
      seen.push([wait, await outcome(deviceCode)]);
    }
    expect(seen).toEqual(waits);
  });

  test("carries the time at which the page accepted the one-time code", async () => {
    const { device_code: deviceCode, user_code: userCode } = await begin();
    await approve(userCode, people.codes, people.clocks.machine);
    later(5 * 60 * SECOND);
    const token = (await poll(deviceCode)).body.access_token;
    later(10 * 60 * SECOND);
    expect((await buy(people, people.organizationId, 1, "fresh", { token })).status).toBe(201);
    later(1);
    expect(await buy(people, people.organizationId, 1, "stale", { token })).toMatchObject({
      status: 401,
      body: { code: "mfa_required" },
    });
  });

  test("answers access_denied once denied, and nothing changes that", async () => {
    const { device_code: deviceCode, user_code: userCode } = await begin();
    const grant = await findGrant(people.deps, userCode, HERE);
    await denyGrant(people.deps, grant);
    expect(await outcome(deviceCode)).toBe("access_denied");
    await expect(approve(userCode)).rejects.toMatchObject(OVER);
    const user = await readUser(people.deps.database, await idOf(people, people.plain));
    await expect(approveGrant(people.deps, grant, user, null)).rejects.toMatchObject(OVER);
    expect(await outcome(deviceCode)).toBe("access_denied");
  });

  test("takes one of two parallel decisions", async () => {
    const { user_code: userCode } = await begin();
    const grant = await findGrant(people.deps, userCode, HERE);
    const user = await readUser(people.deps.database, await idOf(people, people.plain));
    const decided = await Promise.allSettled([
      approveGrant(people.deps, grant, user, null),
      denyGrant(people.deps, grant),
      approveGrant(people.deps, grant, user, null),
    ]);
    expect(decided.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });

  test("expires after ten minutes, approved or not", async () => {
    const [left, late, unused] = [await begin(), await begin(), await begin()];
    later(600 * SECOND - 1);
    expect(await outcome(left.device_code)).toBe("authorization_pending");
    await approve(unused.user_code);
    const grant = await findGrant(people.deps, late.user_code, HERE);
    later(1);
    for (const { device_code: deviceCode } of [left, late, unused])
      expect(await outcome(deviceCode)).toBe("expired_token");
    await expect(denyGrant(people.deps, grant)).rejects.toMatchObject(OVER);
    await expect(findGrant(people.deps, left.user_code, HERE)).rejects.toThrow(/has expired/);
    await expect(findGrant(people.deps, unused.user_code, HERE)).rejects.toThrow(/used already/);
    later(86_400 * SECOND + 1);
    await prune(people.deps);
    await begin();
    expect(await people.deps.database.selectFrom("device_grants").selectAll().execute()).toHaveLength(1);
  });

  test("is denied after five wrong sign-ins under its user code, from any addresses and in parallel", async () => {
    const { device_code: deviceCode, user_code: userCode } = await begin();
    const grant = await findGrant(people.deps, userCode, HERE);
    for (let wrong = 0; wrong < 4; wrong += 1) await countWrongSignIn(people.deps, grant);
    expect(await outcome(deviceCode)).toBe("authorization_pending");
    await Promise.all([countWrongSignIn(people.deps, grant), countWrongSignIn(people.deps, grant)]);
    expect(await outcome(deviceCode)).toBe("access_denied");
    await expect(findGrant(people.deps, userCode, HERE)).rejects.toMatchObject(OVER);
  });

  test("stays approved after wrong sign-ins", async () => {
    const { device_code: deviceCode, user_code: userCode } = await begin();
    const grant = await findGrant(people.deps, userCode, HERE);
    await approve(userCode);
    for (let wrong = 0; wrong < 6; wrong += 1) await countWrongSignIn(people.deps, grant);
    expect(await outcome(deviceCode)).toBe("tokens");
  });

  describe("a user code", () => {
    test.each<[string, (code: string) => string]>([
      ["as shown", (code) => code],
      ["in lowercase", (code) => code.toLowerCase()],
      ["without its dash", (code) => code.replace("-", "")],
      ["with spaces", (code) => ` ${code.replace("-", " ")} `],
    ])("is found %s", async (_, typed) => {
      const { user_code: userCode } = await begin();
      expect((await findGrant(people.deps, typed(userCode), HERE)).state).toBe("pending");
    });

    test("can be wrong five times per address in 15 minutes; correct ones neither count nor reset it", async () => {
      const { user_code: userCode } = await begin();
      const find = (code: string, address = HERE) => findGrant(people.deps, code, address);
      for (let wrong = 0; wrong < 5; wrong += 1) {
        await find(userCode);
        await expect(find(`BBBB-BBB${wrong}`)).rejects.toMatchObject(OVER);
      }
      await expect(find(userCode)).rejects.toMatchObject({ code: "rate_limited", headers: { "Retry-After": "900" } });
      await expect(find("BBBB-BBBB")).rejects.toMatchObject({ code: "rate_limited" });
      expect((await find(userCode, "203.0.113.9")).state).toBe("pending");
      later(15 * 60 * SECOND + 1);
      expect((await find((await begin()).user_code)).state).toBe("pending");
    });

    test("is drawn again if it is already in use", async () => {
      const { random } = people.deps;
      const drawn = [Buffer.alloc(8, 0), Buffer.alloc(8, 0), Buffer.alloc(8, 255), Buffer.alloc(8, 239)];
      const unlucky = { ...people.deps, random: (bytes: number) => (bytes === 8 && drawn.shift()) || random(bytes) };
      const request = { clientId: CLIENT_ID, address: HERE, pageOrigin: "https://billing.example" };
      expect((await authorizeDevice(unlucky, request)).user_code).toBe("BBBB-BBBB");
      expect((await authorizeDevice(unlucky, request)).user_code).toBe("ZZZZ-ZZZZ");
      expect(drawn).toEqual([]);
    });
  });
});
