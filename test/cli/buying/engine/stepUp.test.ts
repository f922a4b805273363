import { expect, test } from "vitest";
import { CliError } from "../../../../src/cli/errors.ts";
import { KEY, PRICED, play, refusal } from "../../support/playBuy.ts";

test.each([
  ["left the question for a one-time code", new CliError("interrupted", ""), "interrupted"],
  ["had no code to give", refusal("mfa_required"), "mfa_required"],
  ["gave only wrong codes", refusal("mfa_invalid"), "mfa_invalid"],
])(
  "a purchase whose person %s was refused: nothing is looked for, and nothing remembered",
  async (_what, fails, code) => {
    const { outcome, journal } = await play({ script: [...PRICED, { call: "createPurchase", fails }] });
    expect(outcome).toMatchObject({ code });
    expect(journal.log).toEqual([`record ${KEY}`, `remove ${KEY}`]);
  },
);

test("one that did not leave, because the sign-in is locked, stays remembered and is not asked about", async () => {
  const fails = new CliError("sign_in_busy", "locked");
  const { outcome, journal } = await play({ script: [...PRICED, { call: "createPurchase", fails }] });
  expect(outcome).toMatchObject({ code: "sign_in_busy" });
  expect(journal.log).toEqual([`record ${KEY}`]);
});
