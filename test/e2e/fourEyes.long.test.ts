import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { errorOf, resultOf, runCli } from "../support/cli.ts";
import { ageCodes, codeOf, prepareFourEyes, SECOND, signInTo, startAgain } from "../support/fourEyes.ts";
import { removePlaces, temporaryDirectory } from "../support/places.ts";
import type { RunningSandbox } from "../support/sandbox.ts";
import { ADMIN } from "../support/seed.ts";

let sandbox: RunningSandbox;
let data: string;
let buyer: string;
let other: string;

beforeAll(async () => {
  data = join(await temporaryDirectory(), "data");
  await prepareFourEyes(data);
  sandbox = await startAgain(data);
  buyer = await signInTo(sandbox, ADMIN);
  other = await signInTo(sandbox, SECOND);
});
afterAll(async () => {
  await sandbox?.stop();
  await removePlaces();
});

const byToken = (...args: string[]) => sandbox.cli(1, [...args, "--json"]);

const as = (home: string, ...args: string[]) => runCli([...args, "--json"], { home });

const waitingPurchase = async (): Promise<{ id: string }> => {
  const bought = await byToken("buy", "5", "--yes");
  expect(bought.exitCode).toBe(8);
  return JSON.parse(bought.stdout).purchase;
};

test("users wait for the licenses that they need, and are added by the same command afterwards", async () => {
  const person = "--email new@northwind.example --first-name New --last-name User";
  const line = `users add ${person} --buy-missing --yes`.split(" ");
  const waiting = await byToken(...line);
  expect(waiting.exitCode).toBe(8);
  const { purchase, user } = JSON.parse(waiting.stdout);
  expect([purchase.nextAction.type, user]).toEqual(["administrator_approval", null]);
  expect(resultOf(await as(other, "purchases", "approve", purchase.id, "--yes"))).toMatchObject({
    licenses: { purchased: 26 },
  });
  expect(resultOf(await byToken(...line))).toMatchObject({ user: { email: "new@northwind.example" } });
  expect(await sandbox.captures()).toHaveLength(1);
});

test("a purchase above the threshold is charged once another administrator approves it", async () => {
  const bought = await byToken("buy", "5", "--yes");
  expect(bought.exitCode).toBe(8);
  const { purchase } = JSON.parse(bought.stdout);
  expect(purchase.nextAction).toMatchObject({ type: "administrator_approval", url: null });
  expect(JSON.parse(bought.stderr).error).toMatchObject({
    code: "approval_required",
    hint: expect.stringContaining(`\`secureflag-licenses purchases approve ${purchase.id}\``),
  });
  expect((await byToken("purchases", "resume")).exitCode).toBe(8);
  expect(resultOf(await byToken("top-up", "--available", "5", "--yes"))).toMatchObject({ shortfall: 0 });

  const approving = ["purchases", "approve", purchase.id, "--yes"];
  expect(errorOf(await byToken(...approving))).toMatchObject({ code: "forbidden", exitCode: 5 });
  expect(errorOf(await as(buyer, ...approving))).toMatchObject({ code: "forbidden", exitCode: 5 });
  expect(await sandbox.captures()).toHaveLength(1);

  const dry = resultOf(await as(other, "purchases", "approve", purchase.id, "--dry-run"));
  expect(dry).toMatchObject({ dryRun: true, purchase: { status: "requires_approval" } });
  for (let times = 0; times < 2; times += 1) {
    expect(resultOf(await as(other, ...approving))).toMatchObject({
      purchase: { status: "succeeded", approval: { approvedBy: SECOND } },
      licenses: { purchased: 31 },
    });
  }
  expect(await sandbox.captures()).toHaveLength(2);
});

test("a rejected purchase says why, and is not charged", async () => {
  const { id } = await waitingPurchase();
  const rejecting = ["purchases", "reject", id, "--reason", "Too many", "--yes"];
  expect(errorOf(await as(buyer, ...rejecting))).toMatchObject({ code: "forbidden", exitCode: 5 });
  const failure = { code: "rejected", message: "Too many" };
  expect(resultOf(await as(other, ...rejecting))).toMatchObject({ purchase: { status: "failed", failure } });
  const late = errorOf(await as(other, "purchases", "approve", id, "--yes"));
  expect(late).toMatchObject({ code: "not_approvable", exitCode: 9 });
  expect(resultOf(await byToken("purchases", "show", id))).toMatchObject({ failure });
});

test("an approval needs a fresh one-time code, which --totp gives", async () => {
  const { id } = await waitingPurchase();
  const port = Number(new URL(sandbox.ready.url).port);
  await sandbox.stop();
  ageCodes(data);
  sandbox = await startAgain(data, { port });
  const approving = ["purchases", "approve", id, "--yes"];
  expect(errorOf(await as(other, ...approving))).toMatchObject({ code: "mfa_required", exitCode: 4 });
  const approved = await as(other, ...approving, "--totp", await codeOf(SECOND));
  expect(resultOf(approved)).toMatchObject({ purchase: { status: "succeeded" } });
});

test("a purchase that nobody approves expires", async () => {
  const { id } = await waitingPurchase();
  expect((await byToken("sandbox", "clock", "advance", "--by", "3d")).exitCode).toBe(0);
  const shown = await byToken("purchases", "show", id);
  expect(resultOf(shown)).toMatchObject({ status: "failed", failure: { code: "approval_expired" } });
});
