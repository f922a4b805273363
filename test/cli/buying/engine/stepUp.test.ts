import { expect, test } from "vitest";
import { CliError } from "../../../../src/cli/errors.ts";
import { KEY, PRICED, play, refusal } from "../../support/playBuy.ts";

test.each([
  ["left the prompt for a one-time code", new CliError("interrupted", ""), "interrupted"],
  ["had no code to enter", refusal("mfa_required"), "mfa_required"],
  ["entered only wrong codes", refusal("mfa_invalid"), "mfa_invalid"],
])("a rejected purchase whose user %s is not looked up, and its entry is removed", async (_what, fails, code) => {
  const { outcome, journal } = await play({ script: [...PRICED, { call: "createPurchase", fails }] });
  expect(outcome).toMatchObject({ code });
  expect(journal.log).toEqual([`record ${KEY}`, `remove ${KEY}`]);
});

test("an unsent purchase is kept but not looked up if the sign-in is locked", async () => {
  const fails = new CliError("sign_in_busy", "locked");
  const { outcome, journal } = await play({ script: [...PRICED, { call: "createPurchase", fails }] });
  expect(outcome).toMatchObject({ code: "sign_in_busy" });
  expect(journal.log).toEqual([`record ${KEY}`]);
});
