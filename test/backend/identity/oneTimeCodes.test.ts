import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { issueTicket } from "../../../src/backend/identity/tickets.ts";
import { prune } from "../../../src/backend/prune.ts";
import { buy, call, NOON, submit, tokenOf } from "../support/backend.ts";
import {
  answer,
  challengeOf,
  code,
  idOf,
  login,
  type People,
  refresh,
  SECRET,
  STEP,
  signedIn,
  startWithPeople,
  wrongCode,
} from "../support/people.ts";
import { DIALECTS } from "../support/stores.ts";

const MINUTE = 60_000;

const INVALID = { status: 401, body: { code: "mfa_invalid" } };

const ENDED = { status: 401, body: { code: "unauthenticated" } };

const STALE = { status: 401, body: { code: "mfa_required" } };

describe.each(DIALECTS)("one-time codes on %s", (dialect) => {
  let people: People;
  const stepUp = (token: string, given: string, address = "192.0.2.1") =>
    call(people, "POST", "/auth/step-up", { token, body: { code: given }, address });

  /** The attempts that count, and not that a failure was recorded. */
  const attempts = () =>
    people.deps.database.selectFrom("sign_in_attempts").selectAll().where("address", "!=", "event log").execute();

  beforeAll(async () => {
    people = await startWithPeople(dialect);
  });
  afterAll(() => people.close());
  // Expire what the previous test left behind.
  let hours = 0;
  beforeEach(async () => {
    hours += 1;
    people.clocks.machine = NOON + hours * 3_600_000;
    await prune(people.deps);
  });

  // RFC 6238, appendix B, the rows of SHA-1, of which six digits are the last six.
  test.each([
    [59, "287082"],
    [1111111109, "081804"],
    [1111111111, "050471"],
    [1234567890, "005924"],
    [2000000000, "279037"],
    [20000000000, "353130"],
  ])("the RFC 6238 test vector at %i s matches", async (seconds, expected) => {
    people.clocks.machine = seconds * 1000;
    const { status, body } = await login(people, people.codes);
    expect(status).toBe(200);
    expect(body).toEqual({ status: "mfa_required", challenge: expect.any(String), methods: ["totp"] });
    expect(await answer(people, body.challenge, expected)).toMatchObject({
      status: 200,
      body: { status: "signed_in", tokenType: "Bearer", expiresIn: 900 },
    });
  });

  test.each([
    [-2, 401],
    [-1, 200],
    [0, 200],
    [1, 200],
    [2, 401],
  ])("a code from a clock %i steps off answers %i", async (steps, status) => {
    expect((await answer(people, await challengeOf(people), code(people, steps))).status).toBe(status);
  });

  test.each(["12345", "1234567", "abcdef", "１２３４５６", "12345a", "-12345", "1e5", " ", "0x1234"])(
    "%j is a wrong code",
    async (given) => {
      expect(await answer(people, await challengeOf(people), given)).toMatchObject(INVALID);
    },
  );

  test("a code may be entered in groups", async () => {
    const right = code(people);
    const spaced = `${right.slice(0, 3)} ${right.slice(3)}`;
    expect((await answer(people, await challengeOf(people), spaced)).status).toBe(200);
  });

  test("a code works once, and its neighbors still work", async () => {
    const right = code(people);
    expect((await answer(people, await challengeOf(people), right)).status).toBe(200);
    expect(await answer(people, await challengeOf(people), right)).toMatchObject(INVALID);
    expect((await answer(people, await challengeOf(people), code(people, -1))).status).toBe(200);
    people.clocks.machine += STEP;
    expect(await answer(people, await challengeOf(people), right)).toMatchObject(INVALID);
    expect((await answer(people, await challengeOf(people), code(people))).status).toBe(200);
  });

  test("of ten parallel uses of a code, from any addresses, one succeeds", async () => {
    const places = Array.from({ length: 10 }, (_, index) => `198.51.100.${index}`);
    const challenges = await Promise.all(places.map((place) => challengeOf(people, place)));
    const right = code(people);
    const answers = await Promise.all(
      places.map((place, index) => answer(people, challenges[index] ?? "", right, place)),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array(9).fill(401)]);
  });

  describe("a challenge", () => {
    test("survives wrong codes and is spent by a correct one", async () => {
      const challenge = await challengeOf(people);
      expect(await answer(people, challenge, wrongCode(people))).toMatchObject(INVALID);
      expect((await answer(people, challenge, code(people))).status).toBe(200);
      expect(await answer(people, challenge, code(people, 1))).toMatchObject(ENDED);
    });

    test("is spent once by two concurrent correct codes", async () => {
      const challenge = await challengeOf(people);
      const answers = await Promise.all([0, 1].map((steps) => answer(people, challenge, code(people, steps))));
      expect(answers.map(({ status }) => status).sort()).toEqual([200, 401]);
    });

    test("allows five attempts, from any addresses and in parallel", async () => {
      const challenge = await challengeOf(people);
      const tries = Array.from({ length: 10 }, (_, index) =>
        answer(people, challenge, wrongCode(people), `198.51.100.${index}`),
      );
      const codes = (await Promise.all(tries)).map(({ body }) => body.code);
      expect(codes.sort()).toEqual([...Array(5).fill("mfa_invalid"), ...Array(5).fill("unauthenticated")]);
      expect(await answer(people, challenge, code(people), "203.0.113.1")).toMatchObject(ENDED);
    });

    test.each([
      [5 * MINUTE - 1, 200],
      [5 * MINUTE, 401],
    ])("after %i ms answers %i", async (later, status) => {
      const challenge = await challengeOf(people);
      people.clocks.machine += later;
      expect((await answer(people, challenge, code(people))).status).toBe(status);
    });

    test("rejects tickets of other kinds and arbitrary text", async () => {
      const page = await issueTicket(people.deps, await idOf(people, people.codes), "page", null);
      expect(await answer(people, page, code(people))).toMatchObject(ENDED);
      expect(await answer(people, "unknown", code(people))).toMatchObject(ENDED);
    });
  });

  describe("the lock", () => {
    test("applies to password and code at that address after five wrong codes, and nowhere else", async () => {
      const [first, spare] = [await challengeOf(people), await challengeOf(people)];
      for (let tried = 0; tried < 5; tried += 1) await answer(people, first, wrongCode(people));
      expect(await login(people, people.codes)).toMatchObject(ENDED);
      expect(await answer(people, spare, code(people))).toMatchObject(INVALID);
      // The refusal did not spend the code.
      expect((await answer(people, spare, code(people), "203.0.113.9")).status).toBe(200);
      people.clocks.machine += 15 * MINUTE + 1;
      expect((await answer(people, await challengeOf(people), code(people))).status).toBe(200);
    });

    test("answers with the same message, locked or wrong, password or code", async () => {
      const challenge = await challengeOf(people);
      const wrong = await answer(people, challenge, wrongCode(people));
      const noPassword = await login(people, people.codes, { password: "wrong" });
      for (let tried = 0; tried < 3; tried += 1) await answer(people, challenge, wrongCode(people));
      const locked = await answer(people, challenge, code(people));
      const lockedOut = await login(people, people.codes);
      expect({ ...locked.body, requestId: "" }).toEqual({ ...wrong.body, requestId: "" });
      expect({ ...lockedOut.body, requestId: "" }).toEqual({ ...noPassword.body, requestId: "" });
    });

    test("counts on after a correct password", async () => {
      for (let tried = 0; tried < 5; tried += 1) await answer(people, await challengeOf(people), wrongCode(people));
      expect(await login(people, people.codes)).toMatchObject(ENDED);
    });

    test("counts wrong passwords and wrong codes together, including those of step-up", async () => {
      const { accessToken } = await signedIn(people, people.codes);
      for (const password of ["a", "b"]) await login(people, people.codes, { password });
      await answer(people, await challengeOf(people), wrongCode(people));
      for (let tried = 0; tried < 2; tried += 1)
        expect(await stepUp(accessToken, wrongCode(people))).toMatchObject(INVALID);
      expect(await stepUp(accessToken, code(people, 1))).toMatchObject(INVALID);
      expect((await call(people, "GET", "/me", { token: accessToken })).status).toBe(200);
    });

    test("ignores abandoned sign-ins, and is reset by a correct code", async () => {
      for (let left = 0; left < 8; left += 1) expect((await login(people, people.codes)).status).toBe(200);
      for (let round = 0; round < 3; round += 1) {
        people.clocks.machine += STEP;
        const challenge = await challengeOf(people);
        for (let tried = 0; tried < 3; tried += 1) await answer(people, challenge, wrongCode(people));
        expect((await answer(people, challenge, code(people))).status).toBe(200);
      }
      expect(await attempts()).toEqual([]);
    });

    test("counts parallel guesses", async () => {
      const challenges = await Promise.all(Array.from({ length: 8 }, () => challengeOf(people, undefined)));
      const guesses = challenges.map((challenge) => answer(people, challenge, wrongCode(people)));
      expect((await Promise.all(guesses)).map(({ status }) => status)).toEqual(Array(8).fill(401));
      // Those left were judged wrong; the others met the lock, which reveals nothing about the code.
      const judged = await attempts();
      expect(judged.length).toBeLessThanOrEqual(5);
    });
  });

  describe("a session", () => {
    const age = 15 * MINUTE;

    /** A session whose access token outlives the code by which it began. */
    async function renewed() {
      const session = await signedIn(people, people.codes);
      people.clocks.machine += 10 * MINUTE;
      const { body } = await refresh(people, session.refreshToken);
      people.clocks.machine -= 10 * MINUTE;
      return body.access_token as string;
    }

    test.each([
      [age, 201],
      [age + 1, 401],
    ])("%i ms after the last code may buy: %i", async (later, status) => {
      const token = await renewed();
      people.clocks.machine += later;
      expect((await buy(people, people.organizationId, 1, `key-${later}`, { token })).status).toBe(status);
    });

    test("that is stale buys under the same key after a code", async () => {
      const token = await renewed();
      people.clocks.machine += age + 1;
      const { body: quote } = await call(people, "POST", `/organizations/${people.organizationId}/quotes`, {
        token,
        body: { licenses: 2 },
      });
      const order = () => submit(people, people.organizationId, { quoteId: quote.id }, "same-key", token);
      const refused = await order();
      expect(refused).toMatchObject(STALE);
      expect(refused.headers["www-authenticate"]).toContain("max_age=900");
      expect(await stepUp(token, wrongCode(people))).toMatchObject(INVALID);
      expect(await order()).toMatchObject(STALE);
      expect(await stepUp(token, code(people))).toMatchObject({ status: 204, body: null });
      expect(await stepUp(token, code(people))).toMatchObject(INVALID);
      expect(await order()).toMatchObject({ status: 201, body: { licenses: 2 } });
    });

    test("is asked for a code last, and not for a request that is rejected anyway", async () => {
      const token = await renewed();
      people.clocks.machine += age + 1;
      const path = `/organizations/${people.organizationId}/tokens`;
      expect((await call(people, "POST", path, { token, body: { name: "ci", scopes: [] } })).status).toBe(400);
      const body = { name: "ci", scopes: ["billing:read"] };
      expect(await call(people, "POST", path, { token, body })).toMatchObject(STALE);
      expect((await call(people, "GET", path, { token })).status).toBe(200);
    });

    test("keeps the time of its code through rotation and the grace period", async () => {
      const session = await signedIn(people, people.codes);
      people.clocks.machine += 14 * MINUTE;
      await refresh(people, session.refreshToken);
      const { body: grace } = await refresh(people, session.refreshToken);
      people.clocks.machine += MINUTE;
      const bought = await buy(people, people.organizationId, 1, "key-1", { token: grace.access_token });
      expect(bought.status).toBe(201);
      people.clocks.machine += 1;
      expect(await buy(people, people.organizationId, 1, "key-2", { token: grace.access_token })).toMatchObject(STALE);
    });

    test("that started before its user had one-time codes is stale", async () => {
      const { accessToken } = await signedIn(people, people.plain);
      const userId = await idOf(people, people.plain);
      await people.deps.database.updateTable("users").set({ totp_secret: SECRET }).where("id", "=", userId).execute();
      expect(await buy(people, people.organizationId, 1, "key", { token: accessToken })).toMatchObject(STALE);
      expect((await stepUp(accessToken, code(people))).status).toBe(204);
      expect((await buy(people, people.organizationId, 1, "key", { token: accessToken })).status).toBe(201);
      await people.deps.database.updateTable("users").set({ totp_secret: null }).where("id", "=", userId).execute();
    });

    test("of a user without one-time codes is never asked, and neither is an API token", async () => {
      const { accessToken } = await signedIn(people, people.plain);
      people.clocks.machine += 14 * MINUTE;
      for (const token of [accessToken, tokenOf(people.organizationId)]) {
        expect((await buy(people, people.organizationId, 1, token.slice(-8), { token })).status).toBe(201);
      }
      expect(await stepUp(accessToken, "123456")).toMatchObject({ status: 400, body: { code: "invalid_request" } });
      expect(await stepUp(tokenOf(people.organizationId), "123456")).toMatchObject({
        status: 403,
        body: { code: "forbidden" },
      });
    });
  });

  test("the secret is encrypted in the store, and a plain one from before works", async () => {
    const users = people.deps.database.updateTable("users").where("email_key", "=", people.codes);
    const { totp_secret: encrypted } = await people.deps.database
      .selectFrom("users")
      .select("totp_secret")
      .where("email_key", "=", people.codes)
      .executeTakeFirstOrThrow();
    expect(encrypted).toMatch(/^v1\./);
    expect(people.deps.secrets.decrypt(await idOf(people, people.codes), encrypted ?? "")).toBe(SECRET);
    await users.set({ totp_secret: SECRET }).execute();
    expect((await answer(people, await challengeOf(people), code(people))).status).toBe(200);
    await users.set({ totp_secret: encrypted }).execute();
  });

  test("the secret of another user is an internal error that does not name its cause", async () => {
    const { database, secrets } = people.deps;
    const users = database.updateTable("users").where("email_key", "=", people.codes);
    const id = await idOf(people, people.codes);
    await users.set({ totp_secret: secrets.encrypt(id + 1, SECRET) }).execute();
    const { status, body } = await answer(people, await challengeOf(people), code(people));
    expect([status, body.code, body.detail]).toEqual([500, "internal", expect.not.stringMatching(/secret|decrypt/i)]);
    expect(people.log.at(-1)).toContain(`Secret of user ${id}: cannot be decrypted`);
    await users.set({ totp_secret: secrets.encrypt(id, SECRET) }).execute();
    expect((await answer(people, await challengeOf(people), code(people))).status).toBe(200);
  });

  test("stores neither challenges nor codes, and deletes old ones", async () => {
    const { database } = people.deps;
    const challenge = await challengeOf(people);
    const right = code(people);
    await answer(people, challenge, right);
    const left = await challengeOf(people);
    const everything = JSON.stringify([
      await database.selectFrom("sign_in_tickets").selectAll().execute(),
      await database.selectFrom("used_codes").select("user_id").execute(),
      people.log,
    ]);
    for (const secret of [challenge, left, right]) expect(everything).not.toContain(secret);
    people.clocks.machine += 2 * 3_600_000;
    await prune(people.deps);
    await answer(people, await challengeOf(people), code(people));
    // Without the vectors of the years 2033 and 2603.
    const steps = database
      .selectFrom("used_codes")
      .select("step")
      .where("step", "<", NOON / STEP + 100_000);
    expect(await steps.execute()).toHaveLength(1);
    expect(await database.selectFrom("sign_in_tickets").selectAll().execute()).toEqual([]);
  });

  test("takes the same work for known and unknown users, right and wrong passwords, locked or not", async () => {
    people.checked.length = 0;
    for (const email of [people.plain, people.codes, "nobody@example.test"]) {
      for (let tried = 0; tried < 7; tried += 1) await login(people, email, { password: "wrong" });
      await login(people, email);
    }
    expect(people.checked).toHaveLength(24);
    expect(people.checked.slice(16)).toEqual(Array(8).fill(null));
  });
});
