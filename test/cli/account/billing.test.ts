import { expect, it } from "vitest";
import { runProgram } from "../../../src/cli/main.ts";
import { ClientError } from "../../../src/client/errors.ts";
import { API_URL } from "../support/builders.ts";
import { fakeContext } from "../support/fakeContext.ts";
import { type ExpectedCall, scriptedClient } from "../support/script.ts";

const TOKEN = { SECUREFLAG_API_TOKEN: "sfl_secret_x", SECUREFLAG_API_URL: API_URL, SECUREFLAG_ORGANIZATION: "4201" };

const DETAILS = {
  name: "North\u001b[2Jwind Ltd",
  address: ["1 High Street", "London N1 1AA"],
  country: "GB",
  vatNumber: "GB999999973",
  email: null,
};

async function play(args: readonly string[], script: readonly ExpectedCall[]) {
  const scripted = scriptedClient(script);
  const context = fakeContext({ env: TOKEN, client: scripted.client });
  const code = await runProgram(["organizations", "billing", ...args], context);
  scripted.assertDone();
  return { code, ...context.written };
}

it("shows billing details, cleaned in text and whole as JSON", async () => {
  const read: ExpectedCall = { call: "billingDetails", with: [4201], gives: DETAILS };
  const { code, stdout } = await play([], [read]);
  expect(code).toBe(0);
  expect(stdout.replaceAll(/ +/g, " ")).toBe(
    "Name North[2Jwind Ltd\nAddress 1 High Street\n London N1 1AA\nCountry United Kingdom (GB)\nVAT number GB999999973\nEmail none\n",
  );
  expect(JSON.parse((await play(["--json"], [read])).stdout)).toEqual({ organizationId: 4201, ...DETAILS });
});

it.each<[string[], object]>([
  [["--name", " Northwind Ltd "], { name: "Northwind Ltd" }],
  [["--name", "", "--email", "", "--vat-number", " "], { name: null, email: null, vatNumber: null }],
  [["--country", "gb"], { country: "GB" }],
  [["--country", ""], { country: null }],
  [["--address", "1 High Street", "--address", "", "--address", "London"], { address: ["1 High Street", "London"] }],
  [["--address", ""], { address: [] }],
  [["--json", "--quiet", "--vat-number", "GB 999"], { vatNumber: "GB 999" }],
])("set %j sends %j", async (args, body) => {
  const set: ExpectedCall = { call: "setBillingDetails", with: [4201, body], gives: DETAILS };
  expect((await play(["set", ...args], [set])).code).toBe(0);
});

it.each<[string, string[]]>([
  ["nothing to set", ["set"]],
  ["an unknown word", ["show"]],
  ["an unknown flag", ["set", "--vat", "1"]],
])("%s is refused before any request", async (_, args) => {
  expect(await play(args, [])).toMatchObject({ code: 2, stdout: "" });
});

it.each([
  ["forbidden", 403, 5, "sign in as an administrator"],
  ["billing_not_offered", 404, 1, "Ask its operator"],
] as const)("explains %s", async (code, status, exitCode, hint) => {
  const fails = new ClientError(code, "No", { status });
  const { code: ended, stderr } = await play(["set", "--name", "X"], [{ call: "setBillingDetails", fails }]);
  expect({ ended, stderr: stderr.replaceAll(/\s+/g, " ") }).toEqual({
    ended: exitCode,
    stderr: expect.stringContaining(hint),
  });
});
