import { describe, expect, it } from "vitest";
import { runProgram } from "../../../src/cli/main.ts";
import { ClientError } from "../../../src/client/errors.ts";
import { me, user } from "../support/builders.ts";
import { fakeContext } from "../support/fakeContext.ts";
import { type ExpectedCall, scriptedClient } from "../support/script.ts";

const PUBLIC = "https://api.secureflag.com/rest/management/v2";

/** The same API: as our own messages name it, and as people type it. */
const SPELLINGS = [
  `${PUBLIC}/`,
  "https://api.secureflag.com",
  "https://api.secureflag.com/",
  "HTTPS://API.SECUREFLAG.COM",
  "https://API.SecureFlag.com/Rest/Management/V2",
  "https://www.api.secureflag.com",
  "https://www.secureflag.com/",
  "https://secureflag.com:443",
];

/** Plays a command where keyring and files are not to be touched, unless a script says what is called. */
async function play(line: string, env: Record<string, string> = {}, script: readonly ExpectedCall[] = []) {
  const scripted = scriptedClient(script);
  const context = fakeContext({ env, client: scripted.client });
  const code = await runProgram(line.split(" "), {
    ...context,
    credentials: async () => {
      throw new Error("The keyring was touched");
    },
  });
  scripted.assertDone();
  const told = context.written.stderr.replaceAll(/\s+/g, " ");
  return { code, told, stdout: context.written.stdout };
}

describe("without settings", () => {
  it.each([
    ["status", 4],
    ["buy 5", 4],
    ["buy 5 --yes", 4],
    ["quote 5", 4],
    ["top-up --available 5", 4],
    ["purchases list", 4],
    ["users list", 4],
    ["whoami", 4],
    ["login", 4],
    ["login --email a@b.co", 4],
    ["login --web", 4],
    ["login --with-token", 2],
  ])("%s explains what works, without prompting or sending anything", async (line, exitCode) => {
    const { code, told, stdout } = await play(line);
    expect([code, stdout]).toEqual([exitCode, ""]);
    expect(told).toContain("https://api.secureflag.com");
    expect(told).toContain("billing calls");
    expect(told).toContain("`secureflag-licenses sandbox`");
    expect(told).toMatch(/`secureflag-licenses users list( --org <id>)?`|--org <id> to list users/);
  });
});

describe("with a token and no backend", () => {
  const TOKEN = { SECUREFLAG_API_TOKEN: "their-own-token" };

  it.each(["status", "buy 5 --yes", "quote 5", "top-up --available 5 --yes", "purchases list", "status --org 4201"])(
    "%s says so with the same exit code as without a token",
    async (line) => {
      const [withToken, without] = [await play(line, TOKEN), await play(line)];
      expect(withToken).toEqual(without);
      expect(withToken.code).toBe(4);
      expect(withToken.told).toContain("No backend is set");
      for (const url of SPELLINGS) {
        const { code, told } = await play(line, { ...TOKEN, SECUREFLAG_API_URL: url });
        expect(code).toBe(1);
        expect(told).toContain("billing calls of SecureFlag's API (https://api.secureflag.com) are not public");
        expect(told).toContain("`secureflag-licenses sandbox`");
        expect(told).toContain("`secureflag-licenses users list --org <id>`");
      }
    },
  );

  it.each(["status", "buy 5 --yes", "top-up --available 5 --yes"])(
    "%s with SecureFlag's own URL says that its billing API is not public",
    async (line) => {
      const { code, told } = await play(line, { ...TOKEN, SECUREFLAG_API_URL: `${PUBLIC}/` });
      expect(code).toBe(1);
      expect(told).toContain("billing calls of SecureFlag's API (https://api.secureflag.com) are not public");
      expect(told).toContain("`secureflag-licenses sandbox`");
      expect(told).toContain("`secureflag-licenses users list --org <id>`");
    },
  );

  it("login with SecureFlag's own URL says that it accepts only tokens", async () => {
    const { code, told } = await play(`login --api-url ${PUBLIC}`);
    expect([code, told]).toEqual([1, expect.stringContaining("takes only tokens")]);
  });

  it("users list lists users, and changes are not sent", async () => {
    const pages: ExpectedCall[] = [
      { call: "usersPage", with: [4201, 0], gives: [user()] },
      { call: "usersPage", with: [4201, 1], gives: [] },
    ];
    expect((await play("users list --org 4201", TOKEN, pages)).code).toBe(0);
    const add = "users add --email a@b.co --first-name A --last-name B --org 4201";
    for (const line of [add, "users remove a@b.co --yes --org 4201", "organizations assignment-strategy --org 4201"]) {
      expect(await play(line, TOKEN)).toMatchObject({ code: 1, told: expect.stringContaining("lists users") });
    }
  });

  it.each(SPELLINGS)("users list reaches the API as %s", async (url) => {
    const { client, assertDone } = scriptedClient([{ call: "usersPage", with: [4201, 0], gives: [] }]);
    const asked: string[] = [];
    const context = fakeContext({ env: { ...TOKEN, SECUREFLAG_API_URL: url } });
    const createClient = async ({ apiUrl }: { apiUrl: string }) => {
      asked.push(apiUrl);
      return client;
    };
    const line = ["users", "list", "--org", "4201"];
    expect(await runProgram(line, { ...context, createClient })).toBe(0);
    expect(asked).toEqual([PUBLIC]);
    assertDone();
  });

  it.each(["https://api.secureflag.com:8443", "https://api.secureflag.com/billing", "https://my.secureflag.com"])(
    "%s is another backend",
    async (url) => {
      const { code, told } = await play("status --org 4201", { ...TOKEN, SECUREFLAG_API_URL: url }, [
        { call: "subscription", fails: new ClientError("unreachable", "not there") },
        { call: "me", gives: me() },
      ]);
      expect([code, told]).toEqual([10, expect.stringContaining("not there")]);
    },
  );

  it("whoami is attempted there", async () => {
    expect((await play("whoami --json", TOKEN, [{ call: "me", gives: me() }])).code).toBe(0);
  });
});
