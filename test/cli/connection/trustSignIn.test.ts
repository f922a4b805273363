import { describe, expect, it } from "vitest";
import { findSignIn } from "../../../src/cli/connection/signIn.ts";
import type { Target } from "../../../src/cli/connection/target.ts";
import { API_URL, ORGANIZATION, ORIGIN } from "../support/builders.ts";
import { fakeContext } from "../support/fakeContext.ts";
import { type ExpectedCall, scriptedClient } from "../support/script.ts";

const target: Target = {
  profileName: "default",
  profile: null,
  apiUrl: API_URL,
  apiUrlSource: "environment",
  organizationId: ORGANIZATION,
};

const OPTIONS = { json: false, timeoutMs: 1_000 };

const ENV = { SECUREFLAG_TRUST: "nightly", SECUREFLAG_ID_TOKEN: "ey.x.y" };

const exchange = (token: string): ExpectedCall => ({
  call: "exchange",
  with: [{ organizationId: ORGANIZATION, trust: "nightly", identityToken: "ey.x.y" }],
  gives: { access_token: token, expires_in: 600, scope: "billing:read" },
});

/** A sign-in that is kept for a backend. */
const keptFor = (apiUrl: string) => ({
  apiUrl,
  email: "admin@northwind.example",
  accessToken: "kept",
  accessExpiresAt: null,
  refreshToken: null,
  scopes: [],
});

describe("the sign-in by a trust", () => {
  it("exchanges once for calls at the same time, again before it expires, and when it is refused", async () => {
    const context = fakeContext({ env: ENV });
    const signIn = await findSignIn(context, target, OPTIONS);
    expect([signIn.source, signIn.isSession, signIn.email]).toEqual(["trust", false, null]);
    const { client, assertDone } = scriptedClient([exchange("sfl_1"), exchange("sfl_2"), exchange("sfl_3")]);
    expect(await Promise.all([signIn.accessToken(client), signIn.accessToken(client)])).toEqual(["sfl_1", "sfl_1"]);
    await context.clock.sleep(594_999);
    expect(await signIn.accessToken(client)).toBe("sfl_1");
    await context.clock.sleep(1);
    expect(await signIn.accessToken(client)).toBe("sfl_2");
    expect(await signIn.renewToken(client)).toBe("sfl_3");
    expect(await signIn.accessToken(client)).toBe("sfl_3");
    assertDone();
    expect(context.stored.size).toBe(0);
  });

  it("comes after a token of the environment and a sign-in that is kept for this backend", async () => {
    const token = await findSignIn(fakeContext({ env: { ...ENV, SECUREFLAG_API_TOKEN: "t" } }), target, OPTIONS);
    expect(token.source).toBe("environment");
    const kept = await findSignIn(fakeContext({ env: ENV, credential: keptFor(API_URL) }), target, OPTIONS);
    expect(kept.source).toBe("keyring");
    const credential = keptFor("https://other.example/v2");
    expect((await findSignIn(fakeContext({ env: ENV, credential }), target, OPTIONS)).source).toBe("trust");
  });

  it("is not asked for where no trust is set", async () => {
    const env = { ACTIONS_ID_TOKEN_REQUEST_URL: `${ORIGIN}/token`, ACTIONS_ID_TOKEN_REQUEST_TOKEN: "r" };
    await expect(findSignIn(fakeContext({ env }), target, OPTIONS)).rejects.toMatchObject({
      code: "not_signed_in",
      hint: expect.stringContaining("login"),
    });
  });
});
