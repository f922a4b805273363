import { describe, expect, it } from "vitest";
import { runProgram } from "../../../src/cli/main.ts";
import { ClientError, type ClientErrorCode } from "../../../src/client/errors.ts";
import { API_URL, me, ORIGIN } from "../support/builders.ts";
import { type FakeWorld, fakeContext } from "../support/fakeContext.ts";
import { type ExpectedCall, scriptedClient } from "../support/script.ts";

const PAGE = `${ORIGIN}/device`;

const GRANT = {
  device_code: "device_secret",
  user_code: "ABCD-EFGH",
  verification_uri: PAGE,
  verification_uri_complete: `${PAGE}?user_code=ABCD-EFGH`,
  expires_in: 600,
  interval: 5,
};

const PAIR = {
  access_token: "access_1",
  refresh_token: "refresh_1",
  token_type: "Bearer",
  expires_in: 900,
  scope: "a b",
};

const grant = (change: object = {}): ExpectedCall => ({ call: "authorizeDevice", gives: { ...GRANT, ...change } });

const polled = (code: ClientErrorCode, retryAfterMs?: number): ExpectedCall => ({
  call: "deviceTokens",
  with: ["device_secret"],
  fails: new ClientError(code, code, { retryAfterMs }),
});

const approved: ExpectedCall = { call: "deviceTokens", with: ["device_secret"], gives: PAIR };

const ME: ExpectedCall = { call: "me", gives: me({ token: { ...me().token, name: null } }) };

/** Plays a script; `at` tells after how many seconds each call was made. */
async function play(line: string, script: readonly ExpectedCall[], world: FakeWorld = {}) {
  const scripted = scriptedClient(script);
  const at: number[] = [];
  const client = new Proxy(scripted.client, {
    get: (target, name, receiver) => {
      if (name === "deviceTokens") at.push(Math.round(context.clock.monotonic() / 1000));
      return Reflect.get(target, name, receiver);
    },
  });
  const context = fakeContext({ env: { SECUREFLAG_API_URL: API_URL }, ...world, client });
  const code = await runProgram(line.split(" "), context);
  scripted.assertDone();
  return { code, at, context, ...context.written };
}

describe("login in the browser", () => {
  const pending = polled("authorization_pending");

  it("is the default in a terminal: shows the page and code, opens the page, waits, and stores the sign-in", async () => {
    const { code, at, stderr, stdout, context } = await play(
      "login --json",
      [grant(), pending, pending, approved, ME],
      {
        isTerminal: true,
      },
    );
    expect(code).toBe(0);
    expect(at).toEqual([5, 10, 15]);
    for (const shown of [PAGE, "ABCD-EFGH", `${PAGE}?user_code=ABCD-EFGH`]) expect(stderr).toContain(shown);
    expect(context.opened).toEqual([`${PAGE}?user_code=ABCD-EFGH`]);
    expect(context.stored.get("default")?.credential).toMatchObject({
      accessToken: "access_1",
      refreshToken: "refresh_1",
      email: me().user.email,
    });
    expect(JSON.parse(stdout)).toMatchObject({ profile: "default", token: { name: null } });
    expect(stderr + stdout).not.toContain("device_secret");
  });

  it("requires --web off a terminal, and opens nothing", async () => {
    const { code, stderr, context } = await play("login --web -q", [grant(), approved, ME]);
    expect(code).toBe(0);
    expect(stderr).toContain("ABCD-EFGH");
    expect(context.opened).toEqual([]);
    const refused = await play("login", []);
    expect(refused.code).toBe(2);
    for (const flag of ["--email", "--password-stdin", "--with-token", "--web"]) expect(refused.stderr).toContain(flag);
  });

  it("opens nothing with --no-open", async () => {
    const { code, context } = await play("login --no-open", [grant(), approved, ME], { isTerminal: true });
    expect([code, context.opened]).toEqual([0, []]);
  });

  it.each([
    ["another origin", { verification_uri_complete: "https://evil.example/device" }],
    ["another origin for the short address", { verification_uri: "https://evil.example/device" }],
    ["another scheme", { verification_uri_complete: "file:///etc/passwd" }],
    ["no URL", { verification_uri: "see the manual", verification_uri_complete: undefined }],
  ])("shows a page of %s with a warning, and does not open it", async (_what, change) => {
    const { code, stderr, context } = await play("login", [grant(change), approved, ME], { isTerminal: true });
    expect([code, context.opened]).toEqual([0, []]);
    expect(stderr).toContain("That page is not on");
  });

  it("strips control characters from the backend's text", async () => {
    const hostile = { user_code: "A\u001b[2JB\u202e", verification_uri: `${PAGE}\u001b]8;;x\u0007` };
    const { stderr } = await play("login --web", [grant(hostile), approved, ME]);
    expect(stderr).not.toMatch(/[\u001b\u0007\u202e]/);
  });

  it("slows down permanently, and doubles its interval after failures", async () => {
    const script = [polled("slow_down"), pending, polled("unreachable"), polled("internal"), pending, approved];
    const { code, at } = await play("login --web", [grant({ interval: 2 }), ...script, ME]);
    expect(code).toBe(0);
    // 2 s; then 7 s twice; trouble: 14 s, 28 s; then 7 s again.
    expect(at).toEqual([2, 9, 16, 30, 58, 65]);
  });

  it("honors Retry-After, and backs off to 60 s at most on its own", async () => {
    const lost = Array.from({ length: 5 }, () => polled("unreachable"));
    const { at } = await play("login --web", [grant(), polled("rate_limited", 20_000), ...lost, approved, ME]);
    expect(at).toEqual([5, 25, 65, 125, 185, 245, 305]);
  });

  it("waits no longer than 5 minutes, whatever Retry-After says", async () => {
    const { at } = await play("login --web", [grant(), polled("rate_limited", 8.64e15), approved, ME]);
    expect(at).toEqual([5, 305]);
  });

  it.each([2_000_000_000, Number.MAX_SAFE_INTEGER])(
    "stores a token that lives for %d s as valid for a year",
    async (life) => {
      const endless: ExpectedCall = { call: "deviceTokens", gives: { ...PAIR, expires_in: life } };
      const { code, context } = await play("login --web", [grant(), endless, ME]);
      expect(code).toBe(0);
      const { accessExpiresAt = null } = context.stored.get("default")?.credential ?? {};
      expect(accessExpiresAt).toBe(Date.parse("2027-11-22T10:00:05Z"));
    },
  );

  it("opens and shows the parsed address", async () => {
    const change = { verification_uri: `${PAGE}\\a`, verification_uri_complete: `${PAGE}\\b` };
    const { context, stderr } = await play("login", [grant(change), approved, ME], { isTerminal: true });
    expect(context.opened).toEqual([`${PAGE}/b`]);
    expect(stderr).not.toContain("\\");
  });

  it("polls every 5 s by default", async () => {
    const { at } = await play("login --web", [grant({ interval: undefined }), pending, approved, ME]);
    expect(at).toEqual([5, 10]);
  });

  it.each([
    ["access_denied", [polled("access_denied")], "denied in the browser"],
    ["expired_token", [polled("expired_token")], "was not approved in time"],
    ["unauthenticated", [polled("unauthenticated")], "unauthenticated"],
  ] as const)("%s exits with 4 and keeps nothing", async (code, script, message) => {
    const ended = await play("login --web", [grant(), ...script]);
    expect(ended).toMatchObject({ code: 4, stdout: "", stderr: expect.stringContaining(message) });
    expect(ended.stderr).toContain(code === "unauthenticated" ? "login" : "Nothing was stored");
    expect(ended.context.stored.size).toBe(0);
  });

  it.each([
    ["continues after a malformed response", undefined, 0, [5, 15]],
    ["stops at an unknown error", 400, 1, [5]],
  ])("%s", async (_what, status, code, at) => {
    const fails = new ClientError("unexpected_answer", "The backend says: no", { status });
    const script = [grant(), { call: "deviceTokens", fails }, ...(code === 0 ? [approved, ME] : [])] as const;
    expect(await play("login --web", script)).toMatchObject({ code, at });
  });

  it("stops when the code expires, whatever the backend returns", async () => {
    const ended = await play("login --web", [grant({ expires_in: 12 }), pending, pending, pending]);
    expect(ended).toMatchObject({
      code: 4,
      at: [5, 10, 12],
      stderr: expect.stringContaining("was not approved in time"),
    });
    const endless = { expires_in: 2_000_000_000, interval: 2_000_000_000 };
    const polls = Array.from({ length: 60 }, (_, index) => 60 * (index + 1));
    const never = await play("login --web", [grant(endless), ...polls.map(() => pending)]);
    expect(never).toMatchObject({ code: 4, at: polls });
  });

  it("names the alternatives if the backend does not offer it", async () => {
    const fails = new ClientError("sign_in_not_offered", "no", { hint: "Use --with-token" });
    const ended = await play("login --web", [{ call: "authorizeDevice", fails }]);
    expect(ended).toMatchObject({ code: 1, stderr: expect.stringContaining("--with-token") });
  });

  it("asks where to store the sign-in before sending anything", async () => {
    const world = { isTerminal: true, hasKeyring: false };
    expect(await play("login", [], { ...world, answers: [false] })).toMatchObject({ code: 3 });
    expect(await play("login --web", [], { hasKeyring: false })).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("--insecure-storage"),
    });
  });
});
