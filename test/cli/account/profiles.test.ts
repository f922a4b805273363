import { describe, expect, it } from "vitest";
import type { StoredCredential } from "../../../src/cli/connection/credentials.ts";
import { runProgram } from "../../../src/cli/main.ts";
import { ClientError } from "../../../src/client/errors.ts";
import { API_URL, me } from "../support/builders.ts";
import { type FakeWorld, fakeContext } from "../support/fakeContext.ts";
import { type ExpectedCall, scriptedClient } from "../support/script.ts";

const EMAIL = "admin@northwind.example";

const credential: StoredCredential = {
  apiUrl: API_URL,
  email: EMAIL,
  accessToken: "access_1",
  accessExpiresAt: Date.parse("2026-11-22T10:15:00Z"),
  refreshToken: "refresh_1",
  scopes: [],
};

const profiles = {
  default: { apiUrl: API_URL, organizationId: 4201, email: EMAIL },
  work: { apiUrl: "https://billing.example/v2", organizationId: null, email: null },
};

async function play(args: readonly string[], script: readonly ExpectedCall[] = [], world: FakeWorld = {}) {
  const scripted = scriptedClient(script);
  const context = fakeContext({ profiles, credential, ...world, client: scripted.client });
  const code = await runProgram(args, context);
  scripted.assertDone();
  return { code, context, ...context.written };
}

describe("profiles", () => {
  it("lists backend, organization and sign-in", async () => {
    const { stdout } = await play(["profiles", "list", "--json"]);
    expect(JSON.parse(stdout)).toEqual([
      { name: "default", active: true, ...profiles.default, signedIn: true },
      { name: "work", active: false, ...profiles.work, signedIn: false },
    ]);
    const shown = (await play(["profiles", "list"])).stdout;
    for (const text of ["default (in use)", EMAIL, "4201", "not set"]) expect(shown).toContain(text);
    expect((await play(["profiles", "list", "--json"], [], { profiles: {} })).stdout).toBe("[]\n");
  });

  it("lists them without accessing the keyring, which may be locked", async () => {
    const context = fakeContext({ profiles, credential });
    const store = await context.credentials();
    const read = () => Promise.reject(new Error("the keyring was asked"));
    const code = await runProgram(["profiles", "list", "--json"], {
      ...context,
      credentials: async () => ({ ...store, read }),
    });
    expect([code, context.written.stderr]).toEqual([0, ""]);
    expect(JSON.parse(context.written.stdout)).toMatchObject([{ signedIn: true }, { signedIn: false }]);
  });

  it("switches to a profile", async () => {
    const { code, stdout, context } = await play(["profiles", "use", "work", "--json"]);
    expect([code, JSON.parse(stdout)]).toEqual([0, { name: "work", active: true }]);
    expect(await (await context.settings()).activeProfile()).toBe("work");
    const world = { env: { SECUREFLAG_PROFILE: "other" } };
    expect((await play(["profiles", "use", "work"], [], world)).stderr).toContain("SECUREFLAG_PROFILE");
  });

  it("signs out of a profile and removes it, and explains what to do if it was active", async () => {
    const revoke: ExpectedCall = { call: "revoke", with: ["refresh_1"] };
    const { code, stdout, stderr, context } = await play(["profiles", "remove", "default", "--yes"], [revoke]);
    expect([code, stdout]).toEqual([0, "Removed profile default.\n"]);
    expect(stderr).toContain("profiles use");
    expect([Object.keys(context.profiles), context.stored.size]).toEqual([["work"], 0]);
    const other = await play(["profiles", "remove", "work", "--yes", "--json"]);
    expect(JSON.parse(other.stdout)).toEqual({ name: "work", removed: true, revoked: false });
    expect(other.context.stored.size).toBe(1);
  });

  it("asks before removing a profile; a script needs --yes", async () => {
    const no = await play(["profiles", "remove", "default"], [], { isTerminal: true, answers: [false] });
    expect([no.code, no.stderr, no.context.stored.size]).toEqual([3, "Canceled. Nothing was changed.\n", 1]);
    const script = await play(["profiles", "remove", "default"]);
    expect([script.code, script.context.stored.size]).toEqual([2, 1]);
    expect(script.stderr).toContain("Pass --yes to remove the profile without a prompt.");
  });

  it("removes a profile even if the backend cannot be reached", async () => {
    const fails = new ClientError("unreachable", "no");
    const { code, stderr, context } = await play(
      ["profiles", "remove", "default", "--yes"],
      [{ call: "revoke", fails }],
    );
    expect([code, context.stored.size]).toEqual([0, 0]);
    expect(stderr).toContain("Failed to revoke the sign-in");
  });

  it.each(["use", "remove"])("%s exits with 2 and lists the profiles for an unknown one", async (command) => {
    const flags = command === "remove" ? ["--yes"] : [];
    const { code, stderr } = await play(["profiles", command, "nosuch", "--json", ...flags]);
    expect(code).toBe(2);
    expect(JSON.parse(stderr).error).toMatchObject({ code: "profile_unknown", hint: "Profiles: default, work." });
  });

  it.each(["a\u001bb", "a\nb", "\u202eab", " ", "x".repeat(101), "__proto__"])("rejects the name %j", async (name) => {
    const flag = await play(["whoami", "--profile", name]);
    expect(flag).toMatchObject({ code: 2, stderr: expect.stringContaining("--profile cannot be") });
    const variable = await play(["whoami"], [], { env: { SECUREFLAG_PROFILE: name } });
    expect(variable).toMatchObject({ code: 2, stderr: expect.stringContaining("SECUREFLAG_PROFILE") });
    expect(flag.stderr + variable.stderr).not.toMatch(/[\u001b\u202e]/);
  });

  it("accepts any other name", async () => {
    const names = ["ci.eu", "Büro 東京", "-", "constructor", "x".repeat(100)];
    for (const name of names) {
      const { code } = await play(["profiles", "use", "--", name], [], { profiles: { [name]: profiles.work } });
      expect({ name, code }).toEqual({ name, code: 0 });
    }
  });
});

describe("whoami", () => {
  const asked = (token: object): ExpectedCall => ({ call: "me", gives: me({ token: { ...me().token, ...token } }) });

  it("says that the token from the environment is used instead of the stored sign-in", async () => {
    const world = { env: { SECUREFLAG_API_TOKEN: "t" } };
    const wins = (await play(["whoami"], [asked({})], world)).stdout.replaceAll(/\s+/g, " ");
    expect(wins).toContain("from SECUREFLAG_API_TOKEN, instead of the sign-in of profile default");
    const profile = { ...world, env: { ...world.env, SECUREFLAG_PROFILE: "work" } };
    expect((await play(["whoami"], [asked({})], profile)).stdout).not.toContain("instead of");
  });

  it("shows what is left of the token's limit", async () => {
    const gbp = (amount: number) => ({ amount, currency: "GBP" });
    const spendLimit = { amount: gbp(50_000), amountLeft: gbp(1), licenses: 10, licensesLeft: 0 };
    const { stdout } = await play(["whoami"], [asked({ spendLimit })]);
    expect(stdout).toContain("£500.00 a month, £0.01 left");
    expect(stdout).toContain("10 licenses a month, 0 left");
  });

  it.each([
    [14 * 86_400, "in 14 days"],
    [86_400, "in 1 day"],
    [86_399, "within a day"],
    [0, "within a day"],
    [14 * 86_400 + 1, null],
    [null, null],
    [undefined, null],
  ])("warns before an API token expires: %s s left", async (expiresIn, when) => {
    const expiresAt = "2020-01-01T00:00:00Z";
    const { stderr } = await play(["whoami"], [asked({ expiresIn, expiresAt })]);
    expect(stderr).toEqual(when === null ? "" : expect.stringContaining(`The token ci expires ${when}.`));
    expect((await play(["whoami", "--json"], [asked({ expiresIn, expiresAt })])).stderr).toBe("");
    expect((await play(["whoami"], [asked({ expiresIn, expiresAt, name: null })])).stderr).toBe("");
  });
});
