import { afterAll, beforeAll, expect, test } from "vitest";
import { errorOf, resultOf, runCli } from "../support/cli.ts";
import { removePlaces } from "../support/places.ts";
import { type RunningSandbox, startSandbox } from "../support/sandbox.ts";
import { organization, PASSWORD, seed, token, tokenOf, user } from "../support/seed.ts";
import { freshCode } from "../support/totp.ts";
import { waitFor } from "../support/wait.ts";

const [ADA, BOB, EVE, LONE, CARL] = ["ada", "bob", "eve", "lone", "carl"].map(
  (name) => `${name}@northwind.example`,
) as [string, string, string, string, string];

const SECRETS: Readonly<Record<string, string>> = {
  [ADA]: "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
  [BOB]: "MFRGGZDFMZTWQ2LKNNWG23TPOBYXE43U",
  [LONE]: "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
};

const gbp = (amount: number) => ({ amount, currency: "GBP" });

let sandbox: RunningSandbox;

beforeAll(async () => {
  const person = (email: string) => user({ email, totpSecret: SECRETS[email] ?? null });
  const carl = user({ email: CARL, role: 7, adminNoTraining: false });
  sandbox = await startSandbox({
    seed: seed(
      organization(1, { users: [person(ADA), person(BOB), person(EVE), carl], tokens: [token(1, { userEmail: ADA })] }),
      organization(2, { users: [person(LONE)], tokens: [token(2, { userEmail: LONE })] }),
    ),
  });
});
afterAll(async () => {
  await sandbox?.stop();
  await removePlaces();
});

const env = () => ({ SECUREFLAG_API_URL: sandbox.ready.url });

/** Signs in, with a one-time code where the person has them, and returns how to run commands as them. */
async function as(email: string) {
  const args = ["login", "--email", email, "--password-stdin", "--insecure-storage"];
  if (email in SECRETS) args.push("--totp", await freshCode(SECRETS[email] ?? ""));
  const { home, exitCode } = await runCli(args, { env: env(), input: PASSWORD });
  expect(exitCode).toBe(0);
  return (line: string) => runCli([...line.split(" "), "--json"], { home });
}

test("one administrator tightens the policy, and two loosen it", async () => {
  const [ada, bob, eve] = [await as(ADA), await as(BOB), await as(EVE)];
  const set = resultOf(await ada("organizations policy set --approval-above 500 --budget 250/month"));
  const budget = { amount: gbp(250_00), period: "month", spent: gbp(0), left: gbp(250_00) };
  expect(set).toEqual({ approvalAbove: gbp(500_00), budget, pending: [], dryRun: false });

  // The budget holds for everybody, before anything is confirmed.
  expect(errorOf(await bob("buy 6 --yes"))).toMatchObject({ code: "budget_exceeded", exitCode: 5 });
  expect((await bob("buy 5 --yes")).exitCode).toBe(0);
  expect(resultOf(await ada("status"))).toMatchObject({ budget: { spent: gbp(244_10), left: gbp(5_90) } });

  const dry = resultOf(await ada("organizations policy set --budget none --dry-run"));
  expect(dry).toMatchObject({ dryRun: true, budget: { amount: gbp(250_00) }, pending: [{ id: null }] });
  const asked = await ada("organizations policy set --budget none");
  const [pending] = (resultOf(asked) as { pending: { id: string }[] }).pending;
  expect(resultOf(asked)).toMatchObject({ budget: { amount: gbp(250_00) }, pending: [{ policy: { budget: null } }] });
  expect(errorOf(await ada("organizations policy approve"))).toMatchObject({ code: "forbidden", exitCode: 5 });
  expect(errorOf(await eve("organizations policy approve"))).toMatchObject({ code: "mfa_not_enrolled", exitCode: 5 });
  const byToken = { ...env(), SECUREFLAG_API_TOKEN: tokenOf(1), SECUREFLAG_ORGANIZATION: "1" };
  const refused = await runCli(["organizations", "policy", "set", "--budget", "none", "--json"], { env: byToken });
  expect(errorOf(refused)).toMatchObject({ code: "forbidden", exitCode: 5 });
  expect(resultOf(await bob("organizations policy approve"))).toMatchObject({
    approved: { id: pending?.id },
    budget: null,
    approvalAbove: gbp(500_00),
    pending: [],
  });
}, 60_000);

test("while a policy is set, changes of administrators wait as well", async () => {
  const [ada, bob] = [await as(ADA), await as(BOB)];
  const promoted = resultOf(await ada(`users update ${CARL} --role administrator`));
  expect(promoted).toMatchObject({ role: 0, changed: false, pending: { kind: "user_update", takesEffectAt: null } });
  const removed = resultOf(await ada(`users remove ${EVE} --yes`));
  expect(removed).toMatchObject({ removed: false, pending: { kind: "user_remove" } });
  const details = "--email new@northwind.example --first-name New --last-name One --role administrator --no-training";
  const added = resultOf(await ada(`users add ${details}`));
  expect(added).toMatchObject({ user: null, pending: { kind: "user_add" } });
  const ambiguous = errorOf(await bob("organizations policy approve"));
  expect(ambiguous).toMatchObject({ code: "invalid_usage", exitCode: 2 });
  const { id } = (removed as { pending: { id: string } }).pending;
  expect(ambiguous.message).toContain(`${id}: remove the administrator ${EVE}`);
  expect(resultOf(await bob(`organizations policy approve ${id}`))).toMatchObject({ approved: { id } });
  const list = resultOf(await bob("users list --all")) as { email: string; role: number }[];
  expect(list.map(({ email }) => email)).not.toContain(EVE);
  expect(list).toContainEqual(expect.objectContaining({ email: CARL, role: 7 }));
}, 60_000);

test("alone, an administrator loosens it a day later", async () => {
  const lone = await as(LONE);
  const needsTwo = errorOf(await lone("organizations policy set --approval-above 500"));
  expect(needsTwo).toMatchObject({ code: "needs_two_administrators", exitCode: 7 });
  expect((await lone("organizations policy set --budget 100/year")).exitCode).toBe(0);
  const asked = resultOf(await lone("organizations policy set --budget 200/year"));
  expect(asked).toMatchObject({ budget: { amount: gbp(100_00) }, pending: [{ takesEffectAt: expect.any(String) }] });
  expect((await lone("sandbox clock advance --by 1")).exitCode).toBe(0);
  const read = async () => {
    const { budget, pending } = resultOf(await lone("organizations policy")) as {
      budget: { amount: unknown };
      pending: unknown[];
    };
    return pending.length === 0 ? budget.amount : undefined;
  };
  expect(await waitFor(read, 15_000, "the change to take effect")).toEqual(gbp(200_00));
}, 60_000);
