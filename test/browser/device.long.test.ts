import { randomBytes } from "node:crypto";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { findUser, savePasswordHash } from "../../src/backend/identity/memberships.ts";
import { passwords } from "../../src/backend/identity/secrets.ts";
import { addMember } from "../../src/backend/users/store.ts";
import { BASE_PATH } from "../../src/contract/constants.ts";
import { CLIENT_ID, DEVICE_GRANT, type DeviceAuthorization } from "../../src/contract/identity.ts";
import { startBackend, type TestBackend, organization as testOrganization } from "../backend/support/backend.ts";
import { expectAccessible, openTab, requestsOf, startBrowser } from "../support/browser.ts";
import { removePlaces } from "../support/places.ts";
import { startSandbox } from "../support/sandbox.ts";
import { ADMIN, organization, PASSWORD, seed, user } from "../support/seed.ts";
import { codeAt, freshCode } from "../support/totp.ts";

const SECRET = "JBSWY3DPEHPK3PXP";

const EMAIL = "ada.lovelace-with-a-rather-long-name@engineering.northwind.example";

let browser: Browser;

let backend: TestBackend;

let origin: string;

beforeAll(async () => {
  browser = await startBrowser();
  backend = await startBackend();
  const made = testOrganization();
  const [admin] = made.users;
  if (admin) made.users.push({ ...admin, email: EMAIL, totpSecret: SECRET });
  await backend.addOrganization(made);
  const inviting = testOrganization({ name: "An-organization-with-a-rather-long-name-and-no-space-in-it" });
  await backend.addOrganization(inviting);
  const invited = { uuid: "invited", email: EMAIL, firstName: "Ada", lastName: "Lovelace", role: 3 };
  const change = { actor: "test", at: backend.clocks.billing };
  const settings = { adminNoTraining: true };
  await addMember(backend.deps.database, inviting.id, { ...invited, ...settings }, change);
  const hash = await passwords(randomBytes).hash(PASSWORD);
  const found = await findUser(backend.deps.database, EMAIL);
  await savePasswordHash(backend.deps.database, found?.id ?? 0, hash);
  origin = await backend.app.listen({ host: "127.0.0.1", port: 0 });
});

afterAll(async () => {
  await browser.close();
  await backend.close();
  await removePlaces();
});

// What was got wrong before is forgotten.
beforeEach(() => {
  backend.clocks.machine += 16 * 60_000;
});

async function post(at: string, path: string, fields: Record<string, string>) {
  const response = await fetch(`${at}${BASE_PATH}${path}`, { method: "POST", body: new URLSearchParams(fields) });
  return (await response.json()) as Record<string, unknown>;
}

/** Starts a sign-in like a terminal. */
async function begin(at = origin): Promise<DeviceAuthorization> {
  const answer = await post(at, "/oauth/device_authorization", { client_id: CLIENT_ID });
  return answer as unknown as DeviceAuthorization;
}

/** Returns the terminal's result: the error, or the type of its tokens. */
async function outcome({ device_code }: DeviceAuthorization, at = origin): Promise<unknown> {
  const answer = await post(at, "/oauth/token", { grant_type: DEVICE_GRANT, client_id: CLIENT_ID, device_code });
  return answer.error ?? answer.token_type;
}

/** Returns an unused code of the authenticator app. */
function nextCode(): string {
  backend.clocks.machine += 30_000;
  return codeAt(SECRET, backend.clocks.machine);
}

const title = (page: Page) => page.locator("h1").innerText();

const problem = (page: Page) => page.getByRole("alert").innerText();

async function givePassword(page: Page, password = PASSWORD): Promise<void> {
  await page.getByLabel("Email").fill(EMAIL);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Continue" }).click();
}

async function giveCode(page: Page, code: string): Promise<void> {
  await page.getByLabel("Code from your authenticator app").fill(code);
  await page.getByRole("button", { name: "Continue" }).click();
}

/** Walks through the page up to a step. */
const STEPS = {
  "sign in": async (page: Page, address: string) => void (await page.goto(address)),
  "wrong password": async (page: Page, address: string) => {
    await page.goto(address);
    await givePassword(page, "wrong");
  },
  "one-time code": async (page: Page, address: string) => {
    await page.goto(address);
    await givePassword(page);
  },
  "wrong code": async (page: Page, address: string) => {
    await STEPS["one-time code"](page, address);
    await giveCode(page, "12");
  },
  consent: async (page: Page, address: string) => {
    await STEPS["one-time code"](page, address);
    await giveCode(page, nextCode());
  },
  approved: async (page: Page, address: string) => {
    await STEPS.consent(page, address);
    await page.getByRole("button", { name: "Approve" }).click();
  },
  denied: async (page: Page, address: string) => {
    await STEPS.consent(page, address);
    await page.getByRole("button", { name: "Deny" }).click();
  },
  over: async (page: Page, address: string) => {
    await STEPS.consent(page, address);
    backend.clocks.machine += 600_000;
    await page.getByRole("button", { name: "Approve" }).click();
  },
} satisfies Record<string, (page: Page, address: string) => Promise<void>>;

const TITLES: Readonly<Record<keyof typeof STEPS, string>> = {
  "sign in": "Sign in from your terminal",
  "wrong password": "Sign in from your terminal",
  "one-time code": "One-time code",
  "wrong code": "One-time code",
  consent: "Approve this sign-in?",
  approved: "You are signed in",
  denied: "Denied",
  over: "This sign-in is over",
};

const addressOf = ({ verification_uri_complete: address = "" }: DeviceAuthorization) => address;

describe("the approval page in a browser without JavaScript", () => {
  test("signs in with a one-time code by keyboard alone, in the default sandbox", async () => {
    const sandbox = await startSandbox({ seed: seed(organization(1, { users: [user({ totpSecret: SECRET })] })) });
    const grant = await begin(sandbox.origin);
    const page = await openTab(browser);
    const requests = requestsOf(page);
    await page.goto(addressOf(grant));
    await page.keyboard.type(ADMIN);
    await page.keyboard.press("Tab");
    await page.keyboard.type(PASSWORD);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "One-time code" }).waitFor();
    await page.keyboard.type(await freshCode(SECRET));
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Approve this sign-in?" }).waitFor();
    expect(await page.locator("dl").innerText()).toContain(ADMIN);
    await page.keyboard.press("Tab");
    expect(await page.locator(":focus").innerText()).toBe("Approve");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "You are signed in" }).waitFor();
    expect(await outcome(grant, sandbox.origin)).toBe("Bearer");
    expect(requests.map((address) => new URL(address).origin)).toEqual(requests.map(() => sandbox.origin));
    expect(page.url()).toBe(`${sandbox.origin}/device`);
    await page.context().close();
    await sandbox.stop();
  });

  test("reports a wrong password and a wrong code, and accepts the next attempt", async () => {
    const grant = await begin();
    const page = await openTab(browser);
    await STEPS["wrong password"](page, addressOf(grant));
    expect(await problem(page)).toMatch(/wrong/);
    expect(await page.getByLabel("Email").inputValue()).toBe(EMAIL);
    expect(await page.getByLabel("Password").inputValue()).toBe("");
    expect(await page.locator(":focus").getAttribute("name")).toBe("password");
    await givePassword(page);
    await giveCode(page, "000000");
    expect(await problem(page)).toMatch(/wrong/);
    await giveCode(page, nextCode());
    await page.getByRole("button", { name: "Approve" }).click();
    expect(await title(page)).toBe("You are signed in");
    expect(await outcome(grant)).toBe("Bearer");
    await page.context().close();
  });

  test("denies, and reloading the result does not decide again", async () => {
    const grant = await begin();
    const page = await openTab(browser);
    await STEPS.denied(page, addressOf(grant));
    expect(await title(page)).toBe("Denied");
    await page.reload();
    expect(await title(page)).toBe("This sign-in is over");
    expect(await outcome(grant)).toBe("access_denied");
    await page.context().close();
  });

  test("reports an expired code", async () => {
    const grant = await begin();
    const page = await openTab(browser);
    await STEPS.over(page, addressOf(grant));
    expect(await problem(page)).toMatch(/expired/);
    expect(await outcome(grant)).toBe("expired_token");
    await page.context().close();
  });

  test("ignores a form sent by another site", async () => {
    const grant = await begin();
    const page = await openTab(browser);
    await STEPS.consent(page, addressOf(grant));
    const form = await page.locator("form").evaluate((element) => element.outerHTML);
    const elsewhere = await openTab(browser);
    await elsewhere.route("http://evil.example/", (route) =>
      route.fulfill({ contentType: "text/html", body: form.replace('action="/device"', `action="${origin}/device"`) }),
    );
    await elsewhere.goto("http://evil.example/");
    await elsewhere.getByRole("button", { name: "Approve" }).click();
    await elsewhere.waitForURL(`${origin}/device`);
    expect(await problem(elsewhere)).toMatch(/another site/);
    expect(await outcome(grant)).toBe("authorization_pending");
    await elsewhere.context().close();
    await page.context().close();
  });
});

test.each(Object.keys(STEPS) as (keyof typeof STEPS)[])("%s: passes axe and fits the window", async (step) => {
  const page = await openTab(browser, { javaScript: true });
  const errors: string[] = [];
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  await STEPS[step](page, addressOf(await begin()));
  expect(await title(page)).toBe(TITLES[step]);
  await expectAccessible(page, [1024, 320]);
  expect(errors.filter((text) => !/status of 40[14]/.test(text))).toEqual([]);
  await page.context().close();
});
