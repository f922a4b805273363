import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { runProgram } from "../../../src/cli/main.ts";
import { ClientError } from "../../../src/client/errors.ts";
import { API_URL, failedPurchase, openPurchase, purchase } from "../support/builders.ts";
import { type FakeWorld, fakeContext } from "../support/fakeContext.ts";
import { temporaryDirectory } from "../support/machine.ts";
import { type ExpectedCall, scriptedClient } from "../support/script.ts";

const env = { SECUREFLAG_API_URL: API_URL, SECUREFLAG_API_TOKEN: "sfl_secret", SECUREFLAG_ORGANIZATION: "4201" };

async function play(line: string | readonly string[], script: readonly ExpectedCall[], world: FakeWorld = {}) {
  const scripted = scriptedClient(script);
  const context = fakeContext({ env, client: scripted.client, ...world });
  const code = await runProgram(["api", ...(typeof line === "string" ? line.split(" ") : line)], context);
  scripted.assertDone();
  return { code, context, ...context.written };
}

const sent = (request: object, gives: unknown = { value: { ok: true } }): ExpectedCall => ({
  call: "send",
  with: [expect.objectContaining(request)],
  gives,
});

describe("api", () => {
  it.each([
    ["GET /me", { id: "me", params: {}, query: {} }],
    ["get me", { id: "me" }],
    [
      "GET /organizations/{org}/purchases?limit=5",
      { id: "listPurchases", params: { organizationId: "4201" }, query: { limit: "5" } },
    ],
    [
      "GET /organizations/7/purchases/pur_1",
      { id: "getPurchase", params: { organizationId: "7", purchaseId: "pur_1" } },
    ],
    [
      "GET /organizations/7/purchases/by-key/a%2Fb",
      { id: "getPurchaseByKey", params: { organizationId: "7", idempotencyKey: "a/b" } },
    ],
    [
      "DELETE /organizations/{organizationId}/tokens/tok_1 --yes",
      { id: "revokeApiToken", params: { organizationId: "4201", tokenId: "tok_1" } },
    ],
  ])("%s", async (line, request) => {
    const { code, stdout, stderr } = await play(line, [sent(request)]);
    expect([code, stdout, stderr]).toEqual([0, '{"ok":true}\n', ""]);
  });

  it.each([
    ["FETCH /me"],
    ["GET"],
    ["GET /nosuch"],
    ["GET https://evil.example/me"],
    ["GET //evil.example/me"],
    ["GET /organizations/../me"],
    ["GET /organizations/%2e%2e/subscription"],
    ["GET /organizations/x/subscription"],
    ["GET /organizations/4201/purchases/%zz"],
    ["GET /organizations/4201/purchases?limt=5"],
    ["GET /organizations/4201/purchases?limit=many"],
    ["GET /organizations/4201/purchases?limit=1&limit=2"],
    ["GET /me#fragment"],
    ["POST /me --yes"],
    ["POST /auth/login --yes --body -"],
    ["POST /oauth/token --yes --body -"],
    ["POST /auth/step-up --yes --body -"],
    ["DELETE /organizations/4201/tokens/tok_1"],
    ["POST /organizations/4201/quotes --body -"],
    ["POST /organizations/4201/quotes --yes"],
    ["GET /me --body -"],
    ["POST /organizations/4201/purchases --yes --body -"],
    ["GET /me --idempotency-key k"],
    ["GET /me --pdf"],
    ["GET /me --force"],
    ["GET /me --json --output -"],
    ["GET /organizations/4201/events/export --json"],
    ["GET /organizations/4201/purchases/pur_1/receipt --pdf --json"],
  ])("%s exits with 2 and sends nothing", async (line) => {
    expect(await play(line, [], { input: "{}" })).toMatchObject({ code: 2, stdout: "" });
  });

  it.each([
    ["GET /mee", "Did you mean /me?"],
    ["GET /organizations/4201/purchase", "Did you mean /organizations/4201/purchases?"],
    ["POST /me --yes", "It takes GET."],
    ["GET /organizations/4201/purchases?limt=5", "It takes limit, after, status, kind, from, to."],
    ["DELETE /organizations/4201/tokens/tok_1", "Pass --yes to send the request without a prompt."],
  ])("%s suggests: %s", async (line, hint) => {
    const { stderr } = await play(`${line} --json`, []);
    expect(JSON.parse(stderr).error.hint).toBe(hint);
  });

  it("sends a body from stdin or a file, which must be JSON", async () => {
    const line = "POST /organizations/{org}/quotes --yes --body";
    const file = join(temporaryDirectory(), "body.json");
    writeFileSync(file, '{"licenses": 5}');
    const request = sent({ id: "createQuote", body: '{"licenses": 5}' });
    expect(await play(`${line} ${file}`, [request])).toMatchObject({ code: 0 });
    // As it is: the backend refuses a name that occurs twice.
    for (const body of ['{"licenses":5}\n', '{"licenses":1,"licenses":500}']) {
      const asItIs = sent({ id: "createQuote", body });
      expect(await play(`${line} -`, [asItIs], { input: `\ufeff${body}` })).toMatchObject({ code: 0 });
    }
    writeFileSync(file, Buffer.from('{"note":"caf\xe9"}', "latin1"));
    expect(await play(`${line} ${file}`, [])).toMatchObject({ code: 2, stderr: expect.stringContaining("not UTF-8") });
    for (const input of ["", "{", "x".repeat(70_000)]) {
      expect(await play(`${line} -`, [], { input })).toMatchObject({ code: 2, stdout: "" });
    }
    expect(await play(`${line} -`, [], { input: "{}", isTerminal: true })).toMatchObject({ code: 2 });
    expect(await play(`${line} /nonexistent`, [])).toMatchObject({ code: 2 });
  });

  it("sends a purchase only under a key, and asks in a terminal", async () => {
    const file = join(temporaryDirectory(), "body.json");
    writeFileSync(file, '{"quoteId": "quo_1"}');
    const line = `POST /organizations/{org}/purchases --idempotency-key k1 --body ${file}`;
    const request = sent({ id: "createPurchase", idempotencyKey: "k1", body: '{"quoteId": "quo_1"}' });
    const yes = await play(line, [request], { isTerminal: true, answers: [true] });
    expect(yes.code).toBe(0);
    expect(yes.context.questions.join()).toContain("This may charge the organization. Send POST");
    const no = await play(line, [], { isTerminal: true, answers: [false] });
    expect([no.code, no.stdout]).toEqual([3, ""]);
    expect(no.stderr).toContain("Canceled. Nothing was sent.");
  });

  it("prints nothing for no body, and null with --json", async () => {
    const line = "DELETE /organizations/{org}/tokens/tok_1 --yes";
    expect((await play(line, [sent({}, { value: null })])).stdout).toBe("");
    expect((await play(`${line} --json`, [sent({}, { value: null })])).stdout).toBe("null\n");
  });

  it("writes bytes to stdout as they came, but no PDF to a terminal, and whole to a file", async () => {
    const line = "GET /organizations/{org}/purchases/pur_1/receipt --pdf";
    const pdf = sent({ asPdf: true }, { bytes: Buffer.from("%PDF-1 %%EOF") });
    expect((await play(line, [pdf])).stdout).toBe("%PDF-1 %%EOF");
    expect(await play(line, [], { isStdoutTerminal: true })).toMatchObject({ code: 2 });
    const file = join(temporaryDirectory(), "receipt.pdf");
    expect(await play(`${line} --output ${file}`, [pdf])).toMatchObject({ code: 0, stdout: "" });
    expect(readFileSync(file, "utf8")).toBe("%PDF-1 %%EOF");
    expect(await play(`${line} --output ${file}`, [])).toMatchObject({ code: 2 });
    const failed = join(temporaryDirectory(), "none.json");
    const fails = new ClientError("not_found", "Not found");
    expect(await play(`GET /me --output ${failed}`, [{ call: "send", fails }])).toMatchObject({ code: 2 });
    expect(existsSync(failed)).toBe(false);
  });

  it.each([
    ["forbidden", 5],
    ["outcome_unknown", 10],
  ] as const)("exits after %s with %d", async (code, exitCode) => {
    const fails = new ClientError(code, "It failed");
    expect(await play("GET /me", [{ call: "send", fails }])).toMatchObject({ code: exitCode, stdout: "" });
  });

  it.each([
    [purchase(), 0, null],
    [failedPurchase(), 6, "payment_declined"],
    [openPurchase("requires_approval"), 8, "approval_required"],
    [openPurchase("processing"), 10, "purchase_unsettled"],
  ] as const)("prints a purchase that is $status, and exits with %d", async (value, exitCode, error) => {
    const file = join(temporaryDirectory(), "body.json");
    writeFileSync(file, '{"quoteId": "quo_1"}');
    const line = `POST /organizations/{org}/purchases --yes --json --idempotency-key k1 --body ${file}`;
    const { code, stdout, stderr } = await play(line, [sent({}, { value })]);
    expect([code, JSON.parse(stdout)]).toEqual([exitCode, JSON.parse(JSON.stringify(value))]);
    expect(stderr === "" ? null : JSON.parse(stderr).error.code).toBe(error);
    // Reading one is no purchase.
    expect(await play("GET /organizations/{org}/purchases/pur_1", [sent({}, { value })])).toMatchObject({ code: 0 });
  });

  it("names the file that it saved with --json", async () => {
    const file = join(temporaryDirectory(), "me.json");
    expect(await play(`GET /me --json --output ${file}`, [sent({})])).toMatchObject({
      code: 0,
      stdout: `${JSON.stringify({ file })}\n`,
    });
  });

  it("is indented on a terminal", async () => {
    const { stdout } = await play("GET /me", [sent({}, { value: { a: 1 } })], { isStdoutTerminal: true });
    expect(stdout).toBe('{\n  "a": 1\n}\n');
  });
});
