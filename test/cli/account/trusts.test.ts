import { describe, expect, it } from "vitest";
import { runProgram } from "../../../src/cli/main.ts";
import { ClientError } from "../../../src/client/errors.ts";
import type { Trust } from "../../../src/contract/trusts.ts";
import { API_URL, ORGANIZATION, subscription } from "../support/builders.ts";
import { type FakeWorld, fakeContext } from "../support/fakeContext.ts";
import { type ExpectedCall, scriptedClient } from "../support/script.ts";

const env = { SECUREFLAG_API_URL: API_URL, SECUREFLAG_API_TOKEN: "t", SECUREFLAG_ORGANIZATION: String(ORGANIZATION) };

const ISSUER = "https://token.actions.githubusercontent.com";

function trust(change: Partial<Trust> = {}): Trust {
  return {
    id: "tru_0123456789abcdef01234567",
    name: "nightly",
    issuer: ISSUER,
    claims: { repository_id: "74", ref: "refs/heads/main" },
    scopes: ["billing:read", "billing:purchase"],
    createdAt: "2026-11-22T10:00:00Z",
    spendLimit: null,
    createdBy: { email: "admin@northwind.example" },
    ...change,
  };
}

async function play(args: readonly string[], script: readonly ExpectedCall[], world: FakeWorld = {}) {
  const scripted = scriptedClient(script);
  const context = fakeContext({ env, ...world, client: scripted.client });
  const code = await runProgram(["tokens", "trust", ...args], context);
  scripted.assertDone();
  return { code, context, ...context.written };
}

const listed: ExpectedCall = { call: "trusts", with: [ORGANIZATION], gives: [trust()] };

describe("tokens trust add", () => {
  const args = ["add", "--name", "nightly", "--issuer", ISSUER, "--scopes", "billing:read,billing:purchase"];
  const claims = ["--claim", "repository_id=74", "--claim", "ref=refs/heads/main"];
  const request = {
    name: "nightly",
    issuer: ISSUER,
    claims: { repository_id: "74", ref: "refs/heads/main" },
    scopes: ["billing:read", "billing:purchase"],
    spendLimit: null,
  };

  it("sends the claims, and says what a job has to set", async () => {
    const call: ExpectedCall = { call: "addTrust", with: [ORGANIZATION, request], gives: trust() };
    const { code, stdout } = await play([...args, ...claims], [call]);
    expect(code).toBe(0);
    expect(stdout).toContain(`SECUREFLAG_TRUST=nightly and SECUREFLAG_ORGANIZATION=${ORGANIZATION}`);
    expect(JSON.parse((await play([...args, ...claims, "--json"], [call])).stdout)).toEqual(trust());
  });

  it("takes a value up to its end, whatever is in it", async () => {
    const sub = "repo:a/b:environment:x=y, z";
    const call: ExpectedCall = {
      call: "addTrust",
      with: [expect.objectContaining({ claims: { sub } })],
      gives: trust(),
    };
    expect((await play([...args, "--claim", `sub=${sub}`], [call])).code).toBe(0);
  });

  it("limits what jobs buy in the currency of the subscription", async () => {
    const spendLimit = { amount: { amount: 50_000, currency: "GBP" }, licenses: 10 };
    const script: ExpectedCall[] = [
      { call: "subscription", gives: subscription() },
      { call: "addTrust", with: [{ ...request, spendLimit }], gives: trust() },
    ];
    const limits = ["--max-spend", "500/month", "--max-licenses", "10/month"];
    expect((await play([...args, ...claims, ...limits], script)).code).toBe(0);
  });

  it.each([
    [[], "Missing flag: --claim <name=value>"],
    [["--claim", "ref"], "--claim cannot be 'ref'. It must be <name>=<value>"],
    [["--claim", "ref="], "--claim cannot be 'ref='"],
    [["--claim", "ref=a", "--claim", "ref=b"], "The claim ref is there twice"],
  ])("rejects %o before any request", async (more, message) => {
    const { code, stderr } = await play([...args, ...more], []);
    expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
  });

  it("adds nothing with --dry-run", async () => {
    const { code, stdout } = await play([...args, ...claims, "--max-licenses", "10", "--dry-run", "--json"], [listed]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      ...request,
      id: null,
      createdAt: null,
      createdBy: null,
      spendLimit: { amount: null, amountLeft: null, licenses: 10, licensesLeft: 10 },
      dryRun: true,
    });
  });

  it("says that the trust was added if the result cannot be printed", async () => {
    const { code, stderr } = await play([...args, ...claims], [{ call: "addTrust", gives: trust() }], {
      isStdoutFull: true,
    });
    expect([code, stderr]).toEqual([1, expect.stringContaining("The trust nightly was added, but")]);
  });
});

describe("tokens trust list", () => {
  it("shows claims and limits in a line each, without control characters", async () => {
    const spendLimit = {
      amount: { amount: 50_000, currency: "GBP" },
      amountLeft: { amount: 12_345, currency: "GBP" },
      licenses: null,
      licensesLeft: null,
    };
    const trusts = [trust({ spendLimit }), trust({ name: "other", claims: { sub: "a\u001b[31m" } })];
    const script: ExpectedCall[] = [{ call: "trusts", with: [ORGANIZATION], gives: trusts }];
    const { stdout } = await play(["list"], script);
    const rows = stdout
      .trimEnd()
      .split("\n")
      .map((line) => line.split("\t"));
    expect(rows.map((cells) => cells.slice(0, 5))).toEqual([
      [
        "nightly",
        ISSUER,
        "repository_id=74, ref=refs/heads/main",
        "billing:read, billing:purchase",
        "£500.00 a month, £123.45 left",
      ],
      ["other", ISSUER, "sub=a[31m", "billing:read, billing:purchase", "none"],
    ]);
    expect(JSON.parse((await play(["list", "--json"], script)).stdout)).toEqual(trusts);
  });

  it.each([
    [80, /^Name +Issuer +Claims/],
    [40, /^Trust +nightly\n/],
  ])("fits %d columns, with a total", async (columns, start) => {
    const { stdout } = await play(["list", "--no-color"], [listed], { isStdoutTerminal: true, columns });
    const [table = "", total] = stdout.split("\n\n");
    const lines = table.split("\n");
    expect(table).toMatch(start);
    expect(lines.filter((line) => line.length > columns && !line.includes(ISSUER))).toEqual([]);
    expect(total).toBe("Total: 1 trust.\n");
  });

  it("prints [] with --json if there are none, and how to add one otherwise", async () => {
    const none: ExpectedCall = { call: "trusts", gives: [] };
    expect((await play(["list", "--json"], [none])).stdout).toBe("[]\n");
    expect((await play(["list"], [none])).stdout).toContain("tokens trust add");
  });
});

describe("tokens trust remove", () => {
  const removed: ExpectedCall = { call: "removeTrust", with: [ORGANIZATION, trust().id] };

  it.each(["nightly", trust().id])("takes %s, and asks first", async (name) => {
    const yes = await play(["remove", name, "--json"], [listed, removed], { isTerminal: true, answers: [true] });
    expect([yes.code, JSON.parse(yes.stdout)]).toEqual([0, { id: trust().id, name: "nightly", removed: true }]);
    expect(yes.context.questions).toEqual([expect.stringContaining("Remove nightly?")]);
    const no = await play(["remove", name], [listed], { isTerminal: true, answers: [false] });
    expect(no).toMatchObject({ code: 3, stdout: "" });
  });

  it("requires --yes in a script, and sends nothing without it", async () => {
    expect(await play(["remove", "nightly"], [])).toMatchObject({ code: 2, stderr: expect.stringContaining("--yes") });
    expect((await play(["remove", "nightly", "--yes"], [listed, removed])).stdout).toBe("Removed the trust nightly.\n");
  });

  it("removes nothing with --dry-run, nor a trust that is not there", async () => {
    const dry = await play(["remove", "nightly", "--dry-run", "--json"], [listed]);
    expect(JSON.parse(dry.stdout)).toEqual({ id: trust().id, name: "nightly", removed: false, dryRun: true });
    const { code, stderr } = await play(["remove", "weekly", "--yes"], [listed]);
    expect([code, stderr]).toEqual([2, expect.stringContaining("Trust not found: weekly")]);
  });

  it("is refused for an API token", async () => {
    const refused: ExpectedCall = { call: "trusts", fails: new ClientError("forbidden", "not by an API token") };
    expect(await play(["remove", "nightly", "--yes"], [refused])).toMatchObject({ code: 5, stdout: "" });
  });
});
