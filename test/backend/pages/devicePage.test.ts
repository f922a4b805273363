import type { InjectOptions } from "fastify";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { buildApp } from "../../../src/backend/app.ts";
import { authorizeDevice, pollDevice } from "../../../src/backend/identity/deviceGrants.ts";
import { findUser, savePasswordHash } from "../../../src/backend/identity/memberships.ts";
import { startSession } from "../../../src/backend/identity/sessions.ts";
import { issueTicket } from "../../../src/backend/identity/tickets.ts";
import { CLIENT_ID } from "../../../src/contract/identity.ts";
import { codeAt } from "../../support/totp.ts";
import { call, organization, startBackend, type TestBackend } from "../support/backend.ts";
import { quickPasswords } from "../support/people.ts";
import { DIALECTS } from "../support/stores.ts";

const PASSWORD = "correct horse battery staple";

const SECRET = "JBSWY3DPEHPK3PXP";

const PLAIN = "plain@example.test";

const CODES = "codes@example.test";

const HOSTILE = `"><script>alert(1)</script>@example.test`;

const ORIGIN = "http://localhost";

const FORM = { "content-type": "application/x-www-form-urlencoded" };

const quick = quickPasswords();

let backend: TestBackend;

afterEach(() => backend.close());

async function start(dialect: (typeof DIALECTS)[number] = "sqlite"): Promise<void> {
  backend = await startBackend(dialect, quick);
  const made = organization();
  const [admin] = made.users;
  if (admin) {
    made.users.push({ ...admin, email: PLAIN }, { ...admin, email: HOSTILE });
    made.users.push({ ...admin, email: CODES, totpSecret: SECRET });
  }
  await backend.addOrganization(made);
  const hash = await quick.hash(PASSWORD);
  for (const email of [PLAIN, CODES, HOSTILE]) await savePasswordHash(backend.deps.database, await idOf(email), hash);
}

async function idOf(email: string): Promise<number> {
  return (await findUser(backend.deps.database, email))?.id ?? 0;
}

/** Starts a sign-in like a terminal. */
function begin(address = "203.0.113.7") {
  return authorizeDevice(backend.deps, { clientId: CLIENT_ID, address, pageOrigin: ORIGIN });
}

/** Returns the terminal's result: `signed_in`, or the error of RFC 8628. */
async function outcome(deviceCode: string): Promise<string> {
  backend.clocks.machine += 60_000;
  return pollDevice(backend.deps, { deviceCode, clientId: CLIENT_ID }).then(
    ({ status }) => status,
    ({ code }: { code: string }) => code,
  );
}

const now = () => backend.clocks.machine;

/** A browser: it keeps cookies, and submits the form it shows with its hidden fields. */
class Window {
  cookie = "";
  status = 0;
  html = "";
  headers: Record<string, unknown> = {};

  async open(path = "/device", headers: Record<string, string> = {}): Promise<this> {
    return this.#take({ method: "GET", url: path, headers });
  }

  /** Sends the form that is shown, with what a person fills in; `undefined` leaves a field out. */
  async send(typed: Record<string, string | undefined>, headers: Record<string, string> = {}): Promise<this> {
    const fields = Object.entries({ ...this.fields, ...typed }).filter(([, value]) => value !== undefined);
    return this.sendRaw(new URLSearchParams(fields as [string, string][]).toString(), headers);
  }

  async sendRaw(payload: string, headers: Record<string, string> = {}): Promise<this> {
    return this.#take({ method: "POST", url: "/device", payload, headers: { ...FORM, ...headers } });
  }

  /** Goes on to where a person decides. */
  async signIn(userCode: string, email = PLAIN): Promise<this> {
    await this.open(`/device?user_code=${userCode}`);
    await this.send({ email, password: PASSWORD });
    return email === CODES ? this.send({ code: codeAt(SECRET, now()) }) : this;
  }

  /** What the form carries without showing it, and what it shows filled in. */
  get fields(): Record<string, string> {
    const inputs = [...this.html.matchAll(/<input (?:"[^"]*"|[^">])*>/g)].map(([input]) => [
      /\bname="([^"]*)"/.exec(input)?.[1] ?? "",
      unescaped(/\bvalue="([^"]*)"/.exec(input)?.[1] ?? ""),
    ]);
    return Object.fromEntries(inputs);
  }

  /** The page with plain spaces. */
  get text(): string {
    return this.html.replaceAll("\u00a0", " ");
  }

  get title(): string {
    return unescaped(/<h1>(.*?)<\/h1>/.exec(this.html)?.[1] ?? "");
  }

  get problem(): string | undefined {
    return /role="alert"[^>]*>(.*?)<\/p>/.exec(this.html)?.[1];
  }

  /** The fields that are marked as wrong. */
  get wrong(): string[] {
    const inputs = [...this.html.matchAll(/<input [^>]*aria-invalid="true"[^>]*>/g)];
    return inputs.map(([input]) => /\bname="([^"]*)"/.exec(input)?.[1] ?? "");
  }

  async #take(request: InjectOptions): Promise<this> {
    const cookie = this.cookie === "" ? {} : { cookie: this.cookie };
    const response = await backend.app.inject({ ...request, headers: { ...cookie, ...request.headers } });
    const set = response.headers["set-cookie"];
    if (typeof set === "string") this.cookie = set.split(";")[0] ?? "";
    this.status = response.statusCode;
    this.html = response.body;
    this.headers = response.headers;
    return this;
  }
}

function unescaped(text: string): string {
  return text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&quot;", '"').replaceAll("&amp;", "&");
}

describe.each(DIALECTS)("the approval page on %s", (dialect) => {
  beforeEach(() => start(dialect));

  test("signs in a terminal with a password", async () => {
    const { device_code, user_code } = await begin();
    const window = await new Window().signIn(user_code);
    expect(window).toMatchObject({ status: 200, title: "Approve this sign-in?" });
    const started = "November 22, 2026 at 12:00 PM UTC";
    for (const shown of [PLAIN, `${CLIENT_ID}, the command line`, "203.0.113.7", user_code, started]) {
      expect(window.text).toContain(shown);
    }
    await window.send({ action: "approve" });
    expect(window).toMatchObject({ status: 200, title: "You are signed in" });
    expect(await outcome(device_code)).toBe("signed_in");
  });

  test("says on every page that the sandbox moves no money", async () => {
    const { user_code } = await begin();
    const window = await new Window().open(`/device?user_code=${user_code}`);
    const titles: string[] = [];
    const expectBanner = () => {
      titles.push(window.title);
      expect(window.html).toContain('<p class="banner">SANDBOX: no money moves</p>');
    };
    expectBanner();
    await window.send({ email: CODES, password: PASSWORD });
    expectBanner();
    await window.send({ code: codeAt(SECRET, now()) });
    expectBanner();
    const consent = window.fields;
    await window.send({ action: "approve" });
    expectBanner();
    await window.sendRaw(new URLSearchParams({ ...consent, action: "approve" }).toString());
    expectBanner();
    await window.sendRaw("step=unknown");
    expectBanner();
    expect(titles).toEqual([
      "Sign in from your terminal",
      "One-time code",
      "Approve this sign-in?",
      "You are signed in",
      "This sign-in is over",
      "Something went wrong",
    ]);
  });

  test("shows when the sign-in was started, with the date in the reader's format", async () => {
    const { user_code } = await begin();
    const window = await new Window().open(`/device?user_code=${user_code}`);
    await window.send({ email: PLAIN, password: PASSWORD }, { "accept-language": "de-DE, en;q=0.5" });
    expect(window.text).toContain("Started</dt><dd>less than a minute ago (22 November 2026 at 12:00 UTC)");
  });

  test("asks users with an authenticator app for a one-time code, and the session records when it was given", async () => {
    const { device_code, user_code } = await begin();
    const given = now();
    const window = await new Window().signIn(user_code.toLowerCase().replace("-", " "), CODES);
    await window.send({ action: "approve" });
    expect(window.title).toBe("You are signed in");
    expect(await outcome(device_code)).toBe("signed_in");
    const sessions = await backend.deps.database.selectFrom("sessions").select("mfa_at").execute();
    expect(sessions).toEqual([{ mfa_at: given }]);
  });

  test("denies the sign-in", async () => {
    const { device_code, user_code } = await begin();
    const window = await new Window().signIn(user_code);
    await window.send({ action: "deny" });
    expect(window).toMatchObject({ status: 200, title: "Denied" });
    expect(await outcome(device_code)).toBe("access_denied");
  });

  test("accepts one decision from two windows at once", async () => {
    const { device_code, user_code } = await begin();
    const windows = [await new Window().signIn(user_code), await new Window().signIn(user_code)];
    await Promise.all(windows.map((window) => window.send({ action: "approve" })));
    expect(windows.map(({ status }) => status).sort()).toEqual([200, 404]);
    const late = windows.find(({ status }) => status === 404);
    expect(late).toMatchObject({ title: "This sign-in is over", problem: expect.stringContaining("used already") });
    expect(await outcome(device_code)).toBe("signed_in");
  });

  test("denies after five wrong sign-ins under a code, for any accounts", async () => {
    const { device_code, user_code } = await begin();
    const window = await new Window().open(`/device?user_code=${user_code}`);
    const statuses: number[] = [];
    for (const email of ["a", "b", "c", "d", "e"]) {
      await window.send({ email, password: "wrong" });
      statuses.push(window.status);
    }
    expect(statuses).toEqual([401, 401, 401, 401, 401]);
    expect(window).toMatchObject({
      title: "This sign-in is over",
      problem: expect.stringContaining("Too many failed sign-ins"),
    });
    expect(await outcome(device_code)).toBe("access_denied");
  });
});

describe("the approval page", () => {
  beforeEach(() => start());

  test("changes and counts nothing when shown", async () => {
    const { user_code } = await begin();
    const everything = async () => {
      const { database } = backend.deps;
      const grants = await database.selectFrom("device_grants").selectAll().execute();
      const attempts = await database.selectFrom("sign_in_attempts").selectAll().execute();
      return { grants, attempts, tickets: await database.selectFrom("sign_in_tickets").selectAll().execute() };
    };
    const before = await everything();
    for (const code of [user_code, "AAAA-AAAA", "", "x".repeat(999)]) {
      const window = await new Window().open(`/device?user_code=${code}&action=approve&email=a&password=b`);
      expect(window.status).toBe(200);
    }
    expect(await everything()).toEqual(before);
  });

  test("shows the code from its URL, only in the form", async () => {
    const window = await new Window().open("/device?user_code=BCDF-GHJK");
    expect(window.fields).toMatchObject({ user_code: "BCDF-GHJK", email: "", password: "" });
    expect(window.html.match(/autofocus/g)).toHaveLength(1);
    expect(window.html).toMatch(/<input [^>]*name="email"[^>]*autofocus/);
    expect((await new Window().open("/device?user_code=A&user_code=B")).fields.user_code).toBe("");
  });

  test("forbids scripts, subresources, framing and caching", async () => {
    const { headers } = await new Window().open();
    expect(headers).toMatchObject({
      "content-type": "text/html; charset=utf-8",
      "cache-control": "no-store",
      "x-frame-options": "DENY",
      "x-content-type-options": "nosniff",
      "referrer-policy": "same-origin",
    });
    const policy = String(headers["content-security-policy"]);
    expect(policy).toMatch(
      /^default-src 'none'; style-src 'sha256-[\w+/=]+'; form-action 'self'; frame-ancestors 'none'/,
    );
    expect(headers["set-cookie"]).toMatch(/^secureflag-device=[\w-]{43}; Path=\/device; HttpOnly; SameSite=Strict$/);
  });

  test("over https uses the __Host- cookie prefix and accepts forms only from the https origin", async () => {
    const deps = { ...backend.deps, pageOrigin: () => "https://billing.example.com" };
    const app = buildApp(deps, { signIn: { passwords: quick, passwordHashOf: async () => null } });
    const shown = await app.inject({ method: "GET", url: "/device" });
    const cookie = /^__Host-secureflag-device=[\w-]{43}; Path=\/; HttpOnly; Secure; SameSite=Strict$/;
    expect(shown.headers["set-cookie"]).toMatch(cookie);
    const send = (origin: string) => app.inject({ method: "POST", url: "/device", headers: { ...FORM, origin } });
    expect((await send("https://billing.example.com")).statusCode).toBe(400);
    expect((await send("http://billing.example.com")).statusCode).toBe(403);
    await app.close();
  });

  test("escapes untrusted text", async () => {
    const { user_code } = await begin();
    const window = await new Window().open(`/device?user_code=${encodeURIComponent('"><script>1</script>')}`);
    expect(window.fields.user_code).toBe('"><script>1</script>');
    expect(window.html).not.toContain("<script");
    await window.send({ user_code, email: HOSTILE, password: "wrong" });
    expect(window.fields).toMatchObject({ email: HOSTILE, user_code });
    expect(window.html).not.toContain("<script");
    await window.send({ password: PASSWORD });
    expect(window.title).toBe("Approve this sign-in?");
    expect(window.html).toContain("&lt;script");
    expect(window.html).not.toContain("<script");
  });

  test("keeps email and code after a wrong password, never the password", async () => {
    const { user_code } = await begin();
    const window = await new Window().open(`/device?user_code=${user_code}`);
    await window.send({ email: PLAIN, password: "a secret that is wrong" });
    expect(window).toMatchObject({ status: 401, wrong: ["email", "password"] });
    expect(window.problem).toMatch(/wrong/);
    expect(window.fields).toMatchObject({ user_code, email: PLAIN, password: "" });
    expect(window.html).not.toContain("a secret that is wrong");
    await window.send({ password: PASSWORD });
    expect(window.title).toBe("Approve this sign-in?");
  });

  test("rejects a wrong one-time code, then accepts the correct one", async () => {
    const { user_code } = await begin();
    const window = await new Window().open(`/device?user_code=${user_code}`);
    await window.send({ email: CODES, password: PASSWORD });
    const right = codeAt(SECRET, now());
    for (const wrong of [right === "000000" ? "000001" : "000000", "12", ""]) {
      await window.send({ code: wrong });
      expect(window).toMatchObject({ status: 401, title: "One-time code", wrong: ["code"] });
    }
    await window.send({ code: `${right.slice(0, 3)} ${right.slice(3)}` });
    expect(window.title).toBe("Approve this sign-in?");
  });

  test("rejects every user code for 15 minutes after five wrong ones from an address", async () => {
    const { user_code } = await begin();
    const window = await new Window().open();
    for (let tries = 0; tries < 5; tries += 1) {
      await window.send({ user_code: "BBBB-BBBB", email: PLAIN, password: PASSWORD });
      expect(window).toMatchObject({ status: 404, wrong: ["user_code"] });
    }
    await window.send({ user_code, email: PLAIN, password: PASSWORD });
    expect(window).toMatchObject({ status: 429, title: "Sign in from your terminal" });
    expect(window.headers["retry-after"]).toBe("900");
    backend.clocks.machine += 15 * 60_000 + 1;
    const again = await begin();
    await window.send({ user_code: again.user_code, email: PLAIN, password: PASSWORD });
    expect(window.title).toBe("Approve this sign-in?");
  });

  test.each([
    ["password", (window: Window) => window.open("/device"), { email: PLAIN, password: PASSWORD }],
    ["decision", (window: Window, code: string) => window.signIn(code), { action: "approve" }],
  ] as const)("reports a code that expires before the %s as expired", async (_, reach, typed) => {
    const { device_code, user_code } = await begin();
    const window = await reach(new Window(), user_code);
    backend.clocks.machine += 600_000;
    await window.send({ user_code, ...typed });
    expect(window).toMatchObject({ status: 404, problem: expect.stringContaining("expired") });
    expect(await outcome(device_code)).toBe("expired_token");
  });

  test("reports an approval that is submitted again as already decided", async () => {
    const { user_code } = await begin();
    const window = await new Window().signIn(user_code);
    const sent = new URLSearchParams({ ...window.fields, action: "approve" }).toString();
    await window.sendRaw(sent);
    expect(window.title).toBe("You are signed in");
    await window.sendRaw(sent.replace("approve", "deny"));
    expect(window).toMatchObject({ status: 404, title: "This sign-in is over" });
  });
});

describe.each(DIALECTS)("invitations on the approval page on %s", (dialect) => {
  beforeEach(() => start(dialect));

  /** Organizations that invite `PLAIN`, as `role` of each. */
  async function invite(...roles: number[]) {
    const made = roles.map(() => organization());
    for (const [index, { id, users }] of made.entries()) {
      await backend.addOrganization({ ...(made[index] as (typeof made)[number]), name: `<b>Club ${index}</b>` });
      const session = await startSession(backend.deps, await idOf(users[0]?.email ?? ""), null);
      const role = roles[index] ?? 7;
      const added = await call(backend, "POST", `/organizations/${id}/users`, {
        token: session.accessToken,
        body: { email: PLAIN, firstName: "P", lastName: "L", role, ...(role < 7 && { adminNoTraining: true }) },
      });
      expect(added.status).toBe(201);
    }
    return made.map(({ id }) => id) as [number, number];
  }

  async function memberships() {
    const session = await startSession(backend.deps, await idOf(PLAIN), null);
    const { organizations, invitations } = (await call(backend, "GET", "/me", { token: session.accessToken })).body;
    const ids = (list: { id: number }[]) => list.map(({ id }) => id);
    return { joined: ids(organizations).slice(1), invited: ids(invitations) };
  }

  const boxes = (window: Window) => [...window.html.matchAll(/<input type="checkbox" name="([^"]*)"[^>]*>/g)];

  test("are listed with their role, unchecked and escaped; nothing is shown if there are none", async () => {
    const window = await new Window().signIn((await begin()).user_code);
    expect(window.html).not.toContain("accept_");
    const [first, second] = await invite(0, 7);
    await window.signIn((await begin()).user_code);
    expect(boxes(window).map(([, name]) => name)).toEqual([`accept_${first}`, `accept_${second}`]);
    expect(window.html).not.toContain("checked");
    expect(window.html).toContain(`&lt;b>Club 0&lt;/b> (${first}), as organization administrator`);
    expect(window.html).not.toContain("<script");
  });

  test("are accepted on approval if checked, and only those", async () => {
    const [first, second] = await invite(0, 7);
    const { device_code, user_code } = await begin();
    const window = await new Window().signIn(user_code);
    await window.send({ action: "approve", [`accept_${second}`]: "on", [`accept_${first}`]: undefined });
    expect(window).toMatchObject({ status: 200, title: "You are signed in" });
    expect(window.html).toContain(`You joined &lt;b>Club 1&lt;/b> (${second}).`);
    expect(await memberships()).toEqual({ joined: [second], invited: [first] });
    expect(await outcome(device_code)).toBe("signed_in");
  });

  test("stay pending if the user denies, checks nothing, or a script sends every field", async () => {
    const [first] = await invite(0);
    for (const typed of [{ action: "deny", [`accept_${first}`]: "on" }, { action: "approve" }]) {
      const window = await new Window().signIn((await begin()).user_code);
      await window.send(typed);
      expect(window.status).toBe(200);
      expect(await memberships()).toEqual({ joined: [], invited: [first] });
    }
  });

  test("that were withdrawn or belong to another user are not accepted, but the terminal is signed in", async () => {
    const [first, second] = await invite(7, 7);
    const { device_code, user_code } = await begin();
    const window = await new Window().signIn(user_code);
    await backend.deps.database
      .updateTable("members")
      .set({ status: "REMOVED" })
      .where("organization_id", "=", first)
      .execute();
    const all = { [`accept_${first}`]: "on", [`accept_${second}`]: "on", accept_9999999999: "on" };
    await window.send({ action: "approve", ...all });
    expect(window.html).toContain(`You joined &lt;b>Club 1&lt;/b> (${second}).`);
    expect(window.html).toContain("had been withdrawn");
    expect(await memberships()).toEqual({ joined: [second], invited: [] });
    expect(await outcome(device_code)).toBe("signed_in");
  });

  test.each([
    ["without the form's token", { token: "" }, 403],
    ["with another value", { accept_1: "yes" }, 400],
    ["under another name", { more: "on" }, 400],
    ["under the name of an object's built-in property", { constructor: "on" }, 400],
  ])("are not accepted %s", async (_, typed, status) => {
    const [first] = await invite(0);
    const { device_code, user_code } = await begin();
    const window = await new Window().signIn(user_code);
    await window.send({ action: "approve", [`accept_${first}`]: "on", ...typed });
    expect(window.status).toBe(status);
    expect(await memberships()).toEqual({ joined: [], invited: [first] });
    expect(await outcome(device_code)).toBe("authorization_pending");
  });
});

describe("forged forms of the approval page", () => {
  beforeEach(() => start());

  async function reachConsent() {
    const grant = await begin();
    return { ...grant, window: await new Window().signIn(grant.user_code, CODES) };
  }

  test.each([
    ["without its token", { token: "" }, {}],
    ["with another token", { token: "A".repeat(43) }, {}],
    ["from another site", {}, { origin: "https://evil.example" }],
    ["without an origin", {}, { origin: "null" }],
    ["from another port", {}, { origin: "http://localhost:8080" }],
    ["from another site, according to the browser", {}, { "sec-fetch-site": "cross-site" }],
    ["from a sibling domain", {}, { "sec-fetch-site": "same-site", origin: ORIGIN }],
    ["without its cookie", {}, { cookie: "" }],
    ["with another browser's cookie", {}, { cookie: `secureflag-device=${"A".repeat(43)}` }],
    ["with an invalid cookie", {}, { cookie: "secureflag-device=x" }],
  ])("%s are rejected at every step", async (_, typed, headers) => {
    const { window, device_code, user_code } = await reachConsent();
    const consent = await window.send({ action: "approve", ...typed }, headers);
    expect(consent).toMatchObject({ status: 403, problem: expect.any(String) });
    const first = await new Window().open();
    await first.send({ user_code, email: PLAIN, password: PASSWORD, ...typed }, headers);
    expect(first).toMatchObject({ status: 403, problem: expect.any(String) });
    expect(await outcome(device_code)).toBe("authorization_pending");
  });

  test.each([
    ["the page's own origin", { origin: ORIGIN, "sec-fetch-site": "same-origin" }],
    ["a reload", { "sec-fetch-site": "none" }],
  ])("a form from %s is accepted", async (_, headers) => {
    const { window } = await reachConsent();
    expect(await window.send({ action: "approve" }, headers)).toMatchObject({ title: "You are signed in" });
  });

  test("a ticket cannot approve a code other than the one shown", async () => {
    const { window } = await reachConsent();
    const other = await begin("198.51.100.9");
    await window.send({ action: "approve", user_code: other.user_code });
    expect(window.status).toBe(403);
    expect(await outcome(other.device_code)).toBe("authorization_pending");
  });

  test("a password ticket is not accepted as a complete sign-in", async () => {
    const { user_code, device_code } = await begin();
    const window = await new Window().open(`/device?user_code=${user_code}`);
    await window.send({ email: CODES, password: PASSWORD });
    await window.send({ step: "consent", action: "approve", code: undefined });
    expect(window.status).toBe(403);
    expect(await outcome(device_code)).toBe("authorization_pending");
  });

  test("mismatched, unknown and expired tickets ask to sign in again", async () => {
    const { window } = await reachConsent();
    const { database } = backend.deps;
    const page = await database.selectFrom("sign_in_tickets").selectAll().execute();
    expect(page.map(({ kind }) => kind)).toEqual(["page"]);
    await issueTicket(backend.deps, await idOf(CODES), "mfa", null);
    await database.updateTable("sign_in_tickets").set({ kind: "mfa" }).execute();
    await window.send({ action: "approve" });
    expect(window).toMatchObject({ status: 401, title: "Sign in from your terminal" });
    expect(window.problem).toMatch(/sign in again/);
  });

  test("a code step's ticket is spent by the right code", async () => {
    const { user_code } = await begin();
    const window = await new Window().open(`/device?user_code=${user_code}`);
    await window.send({ email: CODES, password: PASSWORD });
    const sent = new URLSearchParams({ ...window.fields, code: codeAt(SECRET, now()) }).toString();
    await window.sendRaw(sent);
    expect(window.title).toBe("Approve this sign-in?");
    await window.sendRaw(sent);
    expect(window).toMatchObject({ status: 401, title: "Sign in from your terminal" });
  });

  test.each([
    ["a duplicate field", "step=sign_in&step=sign_in", {}],
    ["an unknown field", "step=sign_in&token=&user_code=&email=&password=&more=1", {}],
    ["an unknown step", "step=approve", {}],
    ["JSON", '{"step":"sign_in"}', { "content-type": "application/json" }],
    ["an empty body", "", {}],
    ["an oversized body", `step=${"x".repeat(65 * 1024)}`, {}],
  ])("%s is rejected with an error page", async (_, payload, headers) => {
    const window = await (await new Window().open()).sendRaw(payload, headers);
    expect(window.status).toBe(400);
    expect(window.headers["content-type"]).toBe("text/html; charset=utf-8");
    expect(window.problem).toBeTruthy();
  });

  test("an internal error is shown on a page, without its cause", async () => {
    await backend.deps.database.schema.dropTable("device_grants").execute();
    const window = await new Window().open("/device?user_code=BCDF-GHJK");
    await window.send({ email: PLAIN, password: PASSWORD });
    expect(window).toMatchObject({ status: 500, title: "Something went wrong" });
    expect(window.html).not.toContain("device_grants");
    expect(window.html).toContain(String(window.headers["x-request-id"]));
    expect(backend.log.join("\n")).toContain("device_grants");
  });
});
