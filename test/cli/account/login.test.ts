import { describe, expect, it } from "vitest";
import type { StoredCredential } from "../../../src/cli/connection/credentials.ts";
import { findSignIn } from "../../../src/cli/connection/signIn.ts";
import { CliError } from "../../../src/cli/errors.ts";
import { trustedPage } from "../../../src/cli/kit/links.ts";
import { runProgram } from "../../../src/cli/main.ts";
import { ClientError } from "../../../src/client/errors.ts";
import { API_URL, me } from "../support/builders.ts";
import { type FakeWorld, fakeContext } from "../support/fakeContext.ts";
import { type ExpectedCall, scriptedClient } from "../support/script.ts";

const EMAIL = "admin@northwind.example";

const env = { SECUREFLAG_API_URL: API_URL };

const SIGNED_IN = {
  status: "signed_in",
  accessToken: "access_1",
  refreshToken: "refresh_1",
  tokenType: "Bearer",
  expiresIn: 900,
  scopes: ["billing:read"],
};

const LOGIN: ExpectedCall = { call: "login", with: [{ email: EMAIL, password: "pass word" }], gives: SIGNED_IN };

const CODE_NEEDED: ExpectedCall = {
  call: "login",
  gives: { status: "mfa_required", challenge: "c", methods: ["totp"] },
};

const WRONG_CODE = new ClientError("mfa_invalid", "The code is wrong");

const ME: ExpectedCall = { call: "me", gives: me() };

const credential: StoredCredential = {
  apiUrl: API_URL,
  email: EMAIL,
  accessToken: "access_1",
  accessExpiresAt: Date.parse("2026-11-22T10:15:00Z"),
  refreshToken: "refresh_1",
  scopes: [],
};

async function play(line: string, script: readonly ExpectedCall[], world: FakeWorld = {}) {
  const scripted = scriptedClient(script);
  const context = fakeContext({ env, ...world, client: scripted.client });
  const code = await runProgram(line.split(" "), context);
  scripted.assertDone();
  return { code, context, ...context.written };
}

/** What finding a sign-in takes of the flags. */
const OPTIONS = { json: false, timeoutMs: 1_000 };

describe("login", () => {
  it("reads the password from stdin and stores the sign-in and the profile", async () => {
    const { code, stdout, context } = await play(`login --email ${EMAIL} --password-stdin --json`, [LOGIN, ME], {
      input: "pass word\n",
    });
    expect(code).toBe(0);
    expect(context.stored.get("default")).toMatchObject({
      credential: { accessToken: "access_1", accessExpiresAt: Date.parse("2026-11-22T10:15:00Z"), email: EMAIL },
      source: "keyring",
    });
    expect(context.profiles).toEqual({ default: { apiUrl: API_URL, organizationId: 4201, email: EMAIL } });
    expect(JSON.parse(stdout)).toMatchObject({ profile: "default", token: { source: "keyring" } });
    expect([...context.stored.keys()]).toEqual(["default"]);
  });

  it.each([["pass word\r\n"], ["\uFEFFpass word\r\n"], ["\uFEFF pass word \r\n\n"]])(
    "accepts %j from stdin as the password, trimmed like the email and the URL",
    async (input) => {
      const scripted = scriptedClient([LOGIN, ME]);
      const context = fakeContext({ env, client: scripted.client, input });
      const args = ["login", "--email", `\uFEFF ${EMAIL}\r\n`, "--password-stdin", "--api-url", ` ${API_URL}\r`];
      expect(await runProgram(args, context), context.written.stderr).toBe(0);
      scripted.assertDone();
    },
  );

  it("prompts for the password", async () => {
    const { code, context } = await play(`login --email ${EMAIL}`, [LOGIN, ME], {
      isTerminal: true,
      answers: ["pass word"],
    });
    expect(code).toBe(0);
    expect(context.questions).toEqual(["Password"]);
  });

  it("asks before the password if there is no keyring, and sends nothing on No", async () => {
    const world = { isTerminal: true, hasKeyring: false };
    const yes = await play(`login --email ${EMAIL}`, [LOGIN, ME], { ...world, answers: [true, "pass word"] });
    expect(yes.context.stored.get("default")).toMatchObject({ source: "file" });
    const no = await play(`login --email ${EMAIL}`, [], { ...world, answers: [false] });
    expect(no).toMatchObject({
      code: 3,
      stderr: expect.stringContaining("Canceled. Nothing was changed."),
    });
    expect(no.context.stored.size).toBe(0);
  });

  it("requires --insecure-storage in a script without a keyring, before the password is sent", async () => {
    const world = { input: "pass word", hasKeyring: false };
    const line = `login --email ${EMAIL} --password-stdin`;
    const refused = await play(line, [], world);
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining("--insecure-storage") });
    expect((await play(`${line} --insecure-storage`, [LOGIN, ME], world)).code).toBe(0);
  });

  it("does not prompt if the sign-in cannot be stored", async () => {
    const context = fakeContext({ env, client: scriptedClient([]).client, isTerminal: true });
    const check = async () => {
      throw new CliError("keyring_locked", "The keyring is locked", { hint: "Unlock it" });
    };
    Object.assign(await context.credentials(), { check });
    expect(await runProgram(["login", "--email", EMAIL], context)).not.toBe(0);
    expect(context.questions).toEqual([]);
  });

  it.each(["exclusively", "check"] as const)("sends no password if the sign-in cannot be stored: %s", async (call) => {
    const scripted = scriptedClient([]);
    const context = fakeContext({ env, client: scripted.client, input: "pass word", hasKeyring: false });
    const fails = async () => {
      throw new CliError("credentials_unsafe", "It can be read by other users", { hint: "Run: chmod 600" });
    };
    Object.assign(await context.credentials(), { [call]: fails });
    const line = `login --email ${EMAIL} --password-stdin --insecure-storage`;
    expect(await runProgram(line.split(" "), context)).toBe(2);
    scripted.assertDone();
  });

  const inOwnWords = { problem: { code: "unauthenticated", detail: "no" } };

  it.each([
    ["a wrong password", new ClientError("unauthenticated", "no", inOwnWords), 4],
    ["a rejection by a proxy", new ClientError("unauthenticated", "no"), 4],
    ["a lockout", new ClientError("rate_limited", "no"), 10],
    ["an unreachable backend", new ClientError("unreachable", "no"), 10],
  ])("stores nothing after %s", async (_what, fails, exitCode) => {
    const { code, context } = await play(`login --email ${EMAIL} --password-stdin`, [{ call: "login", fails }], {
      input: "x",
    });
    expect(code).toBe(exitCode);
    expect(context.stored.size).toBe(0);
  });

  it.each([
    ["the backend's own words", inOwnWords, true],
    ["the words of an intermediary", {}, false],
  ])("shows a rejection in %s", async (_whose, details, isPassword) => {
    const fails = new ClientError("unauthenticated", "no", details);
    const { stderr } = await play(`login --email ${EMAIL} --password-stdin`, [{ call: "login", fails }], {
      input: "x",
    });
    expect(stderr.includes("The email or password is incorrect")).toBe(isPassword);
  });

  it("completes with the code from --totp, which works once", async () => {
    const line = `login --email ${EMAIL} --password-stdin --totp`;
    const asked: ExpectedCall = { call: "mfa", with: ["c", "123456"] };
    const right = await play(`${line} 123456`, [CODE_NEEDED, { ...asked, gives: SIGNED_IN }, ME], { input: "x" });
    expect(right.code).toBe(0);
    expect(right.context.stored.get("default")?.credential).toMatchObject({ accessToken: "access_1" });
    const terminal = { input: "x", isTerminal: true };
    const wrong = await play(`${line} 123456`, [CODE_NEEDED, { ...asked, fails: WRONG_CODE }], terminal);
    expect(wrong.code).toBe(4);
    expect(wrong.context.stored.size).toBe(0);
  });

  it("prompts for the code up to three times", async () => {
    const wrong: ExpectedCall = { call: "mfa", fails: WRONG_CODE };
    const right: ExpectedCall = { call: "mfa", with: ["c", "123456"], gives: SIGNED_IN };
    const line = `login --email ${EMAIL}`;
    const second = await play(line, [CODE_NEEDED, wrong, right, ME], {
      isTerminal: true,
      answers: ["pass", "000000", "123 456"],
    });
    expect(second.code).toBe(0);
    expect(second.context.questions).toEqual([
      "Password",
      "One-time code from your authenticator app",
      expect.stringContaining("wrong"),
    ]);
    const never = await play(line, [CODE_NEEDED, wrong, wrong], {
      isTerminal: true,
      answers: ["pass", "000000", "no code", "000001"],
    });
    expect(never.code).toBe(4);
    expect(never.context.stored.size).toBe(0);
  });

  it("names --totp if it cannot prompt", async () => {
    const { code, stderr } = await play(`login --email ${EMAIL} --password-stdin --json`, [CODE_NEEDED], {
      input: "x",
    });
    expect(code).toBe(4);
    expect(JSON.parse(stderr).error).toMatchObject({
      code: "mfa_required",
      hint: expect.stringContaining("--totp"),
    });
  });

  it("activates the first profile and says so", async () => {
    const line = `login --profile work --email ${EMAIL} --password-stdin`;
    const first = await play(line, [LOGIN, ME], { input: "pass word" });
    expect(first.stderr).toContain("Switched to profile work.");
    expect(await (await first.context.settings()).activeProfile()).toBe("work");
    const known = { default: { apiUrl: API_URL, organizationId: null, email: null } };
    const second = await play(line, [LOGIN, ME], { input: "pass word", profiles: known });
    expect(second.stderr).toBe("");
    expect(await (await second.context.settings()).activeProfile()).toBe("default");
  });

  it("stores a token from stdin after checking it", async () => {
    const { code, context } = await play("login --with-token", [ME], { input: " sfl_token\n" });
    expect(code).toBe(0);
    expect(context.stored.get("default")?.credential).toMatchObject({ accessToken: "sfl_token", refreshToken: null });
    const refused: ExpectedCall = { call: "me", fails: new ClientError("unauthenticated", "no") };
    expect((await play("login --with-token", [refused], { input: "bad" })).context.stored.size).toBe(0);
  });

  it("stores a token for a backend without GET /me, after reading a page of users", async () => {
    const untold: ExpectedCall = { call: "me", fails: new ClientError("unexpected_answer", "no", { status: 404 }) };
    const page = { call: "usersPage", with: [7, 0] } as const;
    const kept = await play("login --with-token --org 7 --json", [untold, { ...page, gives: [] }], { input: "t" });
    expect(kept.code).toBe(0);
    expect(JSON.parse(kept.stdout)).toMatchObject({
      user: null,
      organization: { id: 7 },
      token: { source: "keyring" },
    });
    expect(kept.context.stored.get("default")?.credential).toMatchObject({ accessToken: "t" });
    expect(kept.context.profiles).toEqual({ default: { apiUrl: API_URL, organizationId: 7, email: null } });

    const fails = new ClientError("unauthenticated", "no");
    const refused = await play("login --with-token --org 7", [untold, { ...page, fails }], { input: "t" });
    expect(refused).toMatchObject({ code: 4 });
    const nowhere = await play("login --with-token", [untold], { input: "t" });
    expect(nowhere).toMatchObject({ code: 2, stderr: expect.stringContaining("--org") });
    expect(refused.context.stored.size + nowhere.context.stored.size).toBe(0);
  });

  it.each(["login --with-token", `login --email ${EMAIL} --password-stdin`])(
    "rejects %s with empty stdin",
    async (line) => {
      expect(await play(line, [], { input: "\n" })).toMatchObject({ code: 2 });
    },
  );
});

describe("logout", () => {
  it("revokes and deletes the sign-in", async () => {
    const { code, stdout, context } = await play("logout --json", [{ call: "revoke", with: ["refresh_1"] }], {
      credential,
    });
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({ profile: "default", removed: true, revoked: true });
    expect(context.stored.size).toBe(0);
  });

  it("deletes the sign-in and warns if the backend cannot be reached", async () => {
    const fails = new ClientError("unreachable", "no");
    const { code, stderr, context } = await play("logout", [{ call: "revoke", fails }], { credential });
    expect(code).toBe(0);
    expect(stderr).toContain("Failed to revoke the sign-in");
    expect(context.stored.size).toBe(0);
  });

  it("succeeds without a sign-in", async () => {
    expect(await play("logout", [])).toMatchObject({ code: 0, stdout: expect.stringContaining("no sign-in") });
  });
});

describe("the stored sign-in", () => {
  const target = {
    profileName: "default",
    profile: null,
    apiUrl: API_URL,
    apiUrlSource: "default",
    organizationId: null,
  } as const;
  const answer = {
    access_token: "access_2",
    refresh_token: "refresh_2",
    token_type: "Bearer",
    expires_in: 900,
    scope: "a b",
  };

  it("is sent only to its own origin", async () => {
    const elsewhere = { env: { SECUREFLAG_API_URL: "https://other.example/v2" }, credential };
    const { code, stderr } = await play("status", [], elsewhere);
    expect(code).toBe(4);
    expect(stderr).toContain("https://other.example");
    expect(stderr).toContain("http://127.0.0.1:4010");
  });

  it("exits with 4 and explains how to sign in if it is missing", async () => {
    expect(await play("status", [])).toMatchObject({ code: 4, stderr: expect.stringContaining("login") });
  });

  it("is not used with SECUREFLAG_API_TOKEN", async () => {
    const context = fakeContext({ env: { SECUREFLAG_API_TOKEN: "env" }, credential });
    const signIn = await findSignIn(context, target, OPTIONS);
    const { client } = scriptedClient([]);
    expect([signIn.source, await signIn.accessToken(client), await signIn.renewToken(client)]).toEqual([
      "environment",
      "env",
      null,
    ]);
  });

  it("is renewed when it has expired, and the new pair is stored", async () => {
    const { client } = scriptedClient([]);
    const fresh = fakeContext({ credential });
    expect(await (await findSignIn(fresh, target, OPTIONS)).accessToken(client)).toBe("access_1");

    const expired = { ...credential, accessExpiresAt: Date.parse("2026-11-22T10:00:00Z") };
    const context = fakeContext({ credential: expired });
    const renewing = scriptedClient([{ call: "refresh", with: ["refresh_1"], gives: answer }]);
    expect(await (await findSignIn(context, target, OPTIONS)).accessToken(renewing.client)).toBe("access_2");
    expect(context.stored.get("default")?.credential).toMatchObject({
      accessToken: "access_2",
      refreshToken: "refresh_2",
    });
    expect(context.reached).toEqual(["C4"]);
  });

  it("is reused if another command has renewed it", async () => {
    const context = fakeContext({ credential });
    const signIn = await findSignIn(context, target, OPTIONS);
    context.stored.set("default", { credential: { ...credential, accessToken: "access_9" }, source: "keyring" });
    expect(await signIn.renewToken(scriptedClient([]).client)).toBe("access_9");
  });

  it("is renewed with the newest refresh token", async () => {
    const context = fakeContext({ credential });
    const signIn = await findSignIn(context, target, OPTIONS);
    const newer = { ...credential, accessToken: "access_9", refreshToken: "refresh_9", accessExpiresAt: 0 };
    context.stored.set("default", { credential: newer, source: "keyring" });
    const { client } = scriptedClient([{ call: "refresh", with: ["refresh_9"], gives: answer }]);
    expect(await signIn.renewToken(client)).toBe("access_2");
  });

  it.each([
    ["signed out", null],
    ["signed in to another backend", { ...credential, apiUrl: "https://other.example/v2", accessToken: "x" }],
    ["given an API token instead", { ...credential, accessToken: "x", refreshToken: null }],
  ])("is not renewed if another command has %s", async (_what, now) => {
    const context = fakeContext({ credential });
    const signIn = await findSignIn(context, target, OPTIONS);
    if (now) context.stored.set("default", { credential: now, source: "keyring" });
    else context.stored.delete("default");
    expect(await signIn.renewToken(scriptedClient([]).client)).toBeNull();
  });

  it("is not renewed if the new one could not be stored", async () => {
    const world = { credential, hasKeyring: false };
    const signIn = await findSignIn(fakeContext(world), target, OPTIONS);
    await expect(signIn.renewToken(scriptedClient([]).client)).rejects.toMatchObject({ code: "keyring_unavailable" });
  });

  it("cannot be renewed without a refresh token", async () => {
    const context = fakeContext({ credential: { ...credential, refreshToken: null } });
    expect(await (await findSignIn(context, target, OPTIONS)).renewToken(scriptedClient([]).client)).toBeNull();
  });
});

describe("a page to open", () => {
  const BACKEND = "https://billing.example";

  it.each([
    ["https://billing.example/pay", "https://billing.example", "https://billing.example/pay"],
    ["http://127.0.0.1:4010/pay", "http://127.0.0.1:4010", "http://127.0.0.1:4010/pay"],
    ["http://[::1]:4010/pay", "http://[::1]:4010", "http://[::1]:4010/pay"],
    ["https://checkout.stripe.com/c/1", BACKEND, "https://checkout.stripe.com/c/1"],
    ["https://checkout.stripe.com\\@other.example", BACKEND, "https://checkout.stripe.com/@other.example"],
    ["HTTPS:\\\\billing.example\\pay", BACKEND, "https://billing.example/pay"],
    ["https://billing.example/pay\0x", BACKEND, "https://billing.example/pay%00x"],
    [" https://billing.example/a\n b\u202e ", BACKEND, "https://billing.example/a%20b%E2%80%AE"],
    [`https://billing.example/${"x".repeat(2024)}`, BACKEND, `https://billing.example/${"x".repeat(2024)}`],
  ])("%j at %s is returned as parsed", (url, origin, page) => {
    expect(trustedPage(url, origin)).toBe(page);
  });

  it.each([
    ["https://evil.example/pay", BACKEND],
    ["https://evilstripe.com/", BACKEND],
    ["https://stripe.com.evil.example/", BACKEND],
    ["http://checkout.stripe.com/", BACKEND],
    ["https://user@billing.example/pay", BACKEND],
    ["https://:secret@billing.example/pay", BACKEND],
    ["blob:https://billing.example/1", BACKEND],
    ["filesystem:https://billing.example/1", BACKEND],
    ["javascript:alert(1)", BACKEND],
    ["data:text/html,x", BACKEND],
    ["file:///etc/passwd", "null"],
    ["not a url", BACKEND],
    ["", BACKEND],
    ["http://billing.example/pay", "http://billing.example"],
    ["https://billing.example\0/pay", BACKEND],
    [`https://billing.example/${"x".repeat(2025)}`, BACKEND],
    [`https://billing.example/${"\u00e9".repeat(1000)}`, BACKEND],
    [`https://billing.example/${"x".repeat(200_000)}`, BACKEND],
  ])("is rejected: %j at %s", (url, origin) => {
    expect(trustedPage(url, origin)).toBeNull();
  });
});
