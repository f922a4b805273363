import { describe, expect, it } from "vitest";
import type { StoredCredential } from "../../../src/cli/connection/credentials.ts";
import { runProgram } from "../../../src/cli/main.ts";
import { ClientError } from "../../../src/client/errors.ts";
import type { StoredPaymentMethod } from "../../../src/contract/billing.ts";
import { API_URL, me } from "../support/builders.ts";
import { type FakeWorld, fakeContext } from "../support/fakeContext.ts";
import { type ExpectedCall, scriptedClient } from "../support/script.ts";

const NORTHWIND = { id: 4201, name: "Northwind Labs", role: 0 };

const invitation = (id: number, role = 7) => ({ id, name: `South\u001b[2Jwind ${id}`, role });

const credential: StoredCredential = {
  apiUrl: API_URL,
  email: "admin@northwind.example",
  accessToken: "access_1",
  accessExpiresAt: Date.parse("2026-11-22T10:15:00Z"),
  refreshToken: "refresh_1",
  scopes: [],
};

async function play(line: string, script: readonly ExpectedCall[], world: FakeWorld = {}) {
  const scripted = scriptedClient(script);
  const env = { SECUREFLAG_API_URL: API_URL };
  const context = fakeContext({ env, credential, ...world, client: scripted.client });
  const code = await runProgram(line.split(" "), context);
  scripted.assertDone();
  const told = context.written.stderr.replaceAll(/\s+/g, " ");
  return { code, told, opened: context.opened, ...context.written };
}

const lines = (text: string) => text.trimEnd().split("\n");

const asked = (invitations: ReturnType<typeof invitation>[], organizations = [NORTHWIND]): ExpectedCall => ({
  call: "me",
  gives: me({ organizations, invitations }),
});

describe("organizations list", () => {
  it("prints one record per line off a terminal, including invitations, and how to accept on stderr", async () => {
    const { code, stdout, stderr } = await play("organizations list", [asked([invitation(5, 0), invitation(6)])]);
    expect(code).toBe(0);
    expect(stdout).toBe(
      "4201\tNorthwind Labs\torganization administrator\tmember\n" +
        "5\tSouth[2Jwind 5\torganization administrator\tinvited\n" +
        "6\tSouth[2Jwind 6\tuser\tinvited\n",
    );
    expect(stderr).toBe("Accept an invitation with `secureflag-licenses organizations accept <id>`.\n");
    expect((await play("organizations list --quiet", [asked([invitation(5)])])).stderr).toBe("");
  });

  it("prints a long name in full on wide and narrow terminals", async () => {
    const name = "Northwind Information Security Laboratories Europe";
    const script = [asked([], [{ id: 4201, name, role: 3 }])];
    const wide = await play("organizations list --no-color", script, { isStdoutTerminal: true, columns: 100 });
    expect(lines(wide.stdout).map((line) => line.split(/ {2,}/).filter(Boolean))).toEqual([
      ["ID", "Name", "Role", "Status"],
      ["4201", name, "team manager", "member"],
    ]);
    const narrow = await play("organizations list --no-color", script, { isStdoutTerminal: true, columns: 60 });
    expect(narrow.stdout.replaceAll(/\s+/g, " ")).toBe(`Organization ${name} ID 4201 Role team manager Status member `);
  });

  it("prints only memberships as JSON", async () => {
    const { stdout, stderr } = await play("organizations list --json", [asked([invitation(5)])]);
    expect([JSON.parse(stdout), stderr]).toEqual([[NORTHWIND], ""]);
  });

  it("prints no invitations if the backend has none", async () => {
    const { stdout } = await play("organizations list", [{ call: "me", gives: me() }]);
    expect(stdout).not.toContain("nvitation");
  });
});

describe("organizations accept", () => {
  const accepted: ExpectedCall = { call: "acceptInvitation", with: [5], gives: invitation(5, 0) };

  it("accepts the given organization, whichever is set", async () => {
    const world = { env: { SECUREFLAG_API_URL: API_URL, SECUREFLAG_ORGANIZATION: "4201" } };
    const { code, stdout, stderr } = await play("organizations accept 5", [accepted], world);
    expect([code, stdout, stderr]).toEqual([0, "You joined South[2Jwind 5 (5) as organization administrator.\n", ""]);
    const json = await play("organizations accept 5 --json", [accepted]);
    expect(JSON.parse(json.stdout)).toEqual({ ...invitation(5, 0), accepted: true });
  });

  it("exits with 5 for an API token and explains how to sign in", async () => {
    const fails = new ClientError("forbidden", "Not with an API token", { requestId: "req_1" });
    const call: ExpectedCall = { call: "acceptInvitation", fails };
    const { code, told } = await play("organizations accept 5", [call]);
    expect([code, told]).toEqual([5, expect.stringContaining("Unset SECUREFLAG_API_TOKEN")]);
    const { stderr } = await play("organizations accept 5 --json", [call]);
    expect(JSON.parse(stderr).error).toMatchObject({ code: "forbidden", requestId: "req_1" });
  });

  it("exits with 2 without an invitation and points to the list", async () => {
    const fails = new ClientError("not_found", "There is no invitation to organization 5");
    const { code, told } = await play("organizations accept 5", [{ call: "acceptInvitation", fails }]);
    expect([code, told]).toEqual([2, expect.stringContaining("organizations list")]);
  });

  it("says that it was accepted if the result cannot be printed", async () => {
    const { code, told } = await play("organizations accept 5", [accepted], { isStdoutFull: true });
    expect([code, told]).toEqual([1, expect.stringContaining("was accepted, but the result could not be printed")]);
  });
});

describe("a pending invitation", () => {
  it("is mentioned by whoami, at most three, unless --quiet", async () => {
    const many = asked([5, 6, 7, 8, 9].map((id) => invitation(id, 3)));
    const { code, told } = await play("whoami", [many]);
    expect(code).toBe(0);
    expect(told).toContain("(5) invited you as team manager.");
    expect(told).toContain("`secureflag-licenses organizations accept 7`");
    expect(told).not.toContain("accept 8");
    expect(told).toContain("2 more invitations");
    expect((await play("whoami --quiet", [many])).stderr).toBe("");
    expect((await play("whoami --json", [many])).stderr).toBe("");
  });

  it("is mentioned by login", async () => {
    const env = { SECUREFLAG_API_URL: API_URL };
    const { code, told } = await play("login --with-token", [asked([invitation(5)])], { env, input: "sfl_1" });
    expect([code, told]).toEqual([0, expect.stringContaining("organizations accept 5")]);
  });

  it("is named if a command needs an organization and there is no other", async () => {
    const { code, told } = await play("status", [asked([invitation(5)], [])]);
    expect([code, told]).toEqual([2, expect.stringContaining("organizations accept 5")]);
  });
});

describe("organizations assignment-strategy", () => {
  const ORG = "--org 4201";

  it("shows the current one", async () => {
    const script: ExpectedCall[] = [{ call: "assignmentStrategy", with: [4201], gives: "INITIAL_PLAN" }];
    expect(await play(`organizations assignment-strategy ${ORG}`, script)).toMatchObject({
      code: 0,
      stdout: "Assignment strategy for new users: initial-plan.\n",
      stderr: "",
    });
    const { stdout } = await play(`organizations assignment-strategy ${ORG} --json`, script);
    expect(JSON.parse(stdout)).toEqual({ organizationId: 4201, assignmentStrategy: "INITIAL_PLAN" });
  });

  it.each(["none", "NONE"])("sets %s", async (word) => {
    const script: ExpectedCall[] = [{ call: "setAssignmentStrategy", with: [4201, "NONE"], gives: "NONE" }];
    const { code, stdout } = await play(`organizations assignment-strategy ${word} ${ORG}`, script);
    expect([code, stdout]).toEqual([0, "Set the assignment strategy for new users to none.\n"]);
  });

  it("exits with 5 for an API token, and with 1 if the backend does not support it", async () => {
    const refused = (error: ClientError): ExpectedCall[] => [{ call: "setAssignmentStrategy", fails: error }];
    const forbidden = refused(new ClientError("forbidden", "This needs a signed-in administrator"));
    const token = await play(`organizations assignment-strategy none ${ORG}`, forbidden);
    expect([token.code, token.told]).toEqual([5, expect.stringContaining("Unset SECUREFLAG_API_TOKEN")]);
    const missing = refused(new ClientError("unexpected_answer", "Nonsense", { status: 404 }));
    const other = await play(`organizations assignment-strategy none ${ORG}`, missing);
    expect([other.code, other.told]).toEqual([1, expect.stringContaining("does not support")]);
  });
});

describe("organizations payment-method", () => {
  const PAGE = `${new URL(API_URL).origin}/payment-method/4201/1/signature`;
  const stored = (changes: Partial<StoredPaymentMethod> = {}): ExpectedCall => ({
    call: "paymentMethod",
    with: [4201],
    gives: {
      paymentMethod: { type: "card", label: "Visa ending in 4242" },
      expires: "2027-04",
      url: PAGE,
      urlExpiresAt: "2026-11-23T12:00:00.000Z",
      livemode: false,
      mode: "sandbox",
      ...changes,
    },
  });
  const world = (): FakeWorld => ({ env: { SECUREFLAG_API_URL: API_URL, SECUREFLAG_ORGANIZATION: "4201" } });

  it("prints the card and the page that changes it, and opens nothing", async () => {
    const { code, stdout, opened } = await play("organizations payment-method", [stored()], world());
    expect([code, opened]).toEqual([0, []]);
    expect(stdout).toBe(
      "Payment         Visa ending in 4242\nValid to        2027-04\n\n" +
        `To change it, open this page (valid until 2026-11-23 12:00 UTC):\n${PAGE}\n`,
    );
    const { stdout: none } = await play("organizations payment-method", [stored({ paymentMethod: null })], world());
    expect(none).toMatch(/^Payment +none\n/);
    const { stdout: json } = await play("organizations payment-method --json", [stored()], world());
    expect(JSON.parse(json)).toEqual({ organizationId: 4201, ...(stored().gives as object) });
  });

  it("opens the page with --open, unless it is not the backend's", async () => {
    const trusted = await play("organizations payment-method --open", [stored()], world());
    expect([trusted.code, trusted.opened]).toEqual([0, [PAGE]]);
    expect(trusted.stderr).toContain("Opened the page in your browser.");
    const url = "https://evil.example/payment-method/4201";
    const foreign = await play("organizations payment-method --open", [stored({ url })], world());
    expect([foreign.code, foreign.opened]).toEqual([0, []]);
    expect(foreign.told).toContain("Not opened, as it is not a page of");
  });

  it("prints the card alone for a token that may not change it, and refuses to open a page", async () => {
    const readOnly = stored({ url: null, urlExpiresAt: null });
    expect((await play("organizations payment-method", [readOnly], world())).stdout).toBe(
      "Payment         Visa ending in 4242\nValid to        2027-04\n",
    );
    const { code, stdout, told } = await play("organizations payment-method --open", [readOnly], world());
    expect([code, stdout]).toEqual([5, ""]);
    expect(told).toContain("scope billing:purchase");
  });
});
