import { afterAll, describe, expect, test } from "vitest";
import { me, openPurchase, quote, subscription, user } from "../cli/support/builders.ts";
import { type Answer, respond, startBackend } from "../client/backend.ts";
import { errorOf, resultOf, runCli } from "../support/cli.ts";
import { removePlaces } from "../support/places.ts";

afterAll(removePlaces);

const ok = (json: unknown): Answer => ({ status: 200, json });
const signedIn = (apiUrl: string, token = "t") => ({
  SECUREFLAG_API_URL: apiUrl,
  SECUREFLAG_API_TOKEN: token,
  SECUREFLAG_ORGANIZATION: "4201",
});

describe("an endless list", () => {
  const circle = ok({ items: [openPurchase("processing")], next: "1" });
  const END = ok({ items: [], next: null });

  test.each<[string, Answer[], number, string]>([
    ["purchases list --all", [circle, circle], 1, "unexpected_answer"],
    ["users list --all", Array<Answer>(4).fill(ok([user()])), 1, "unexpected_answer"],
    ["purchases resume", [ok(me()), circle, circle, END, END, ok(subscription())], 10, "outcome_unknown"],
  ])("%s fails", async (line, script, exitCode, code) => {
    await using backend = await startBackend(...script);
    const ended = await runCli([...line.split(" "), "--json"], { env: signedIn(backend.apiUrl) });
    expect(ended.exitCode).toBe(exitCode);
    expect(errorOf(ended)).toMatchObject({ code, message: expect.stringContaining("never ends") });
    expect(backend.seen).toHaveLength(script.length);
  });
});

test.each([
  ["a NUL", "https://checkout.stripe.com/\0"],
  ["200 KB", `https://checkout.stripe.com/${"x".repeat(200_000)}`],
  ["another scheme", "blob:https://checkout.stripe.com/1"],
  ["an invalid URL", "\u001b]8;;x"],
])("a payment page with %s does not fail an accepted purchase", async (_, url) => {
  const open = openPurchase("requires_approval");
  const nextAction = open.nextAction && { ...open.nextAction, url };
  const accept: Answer = (response, request) =>
    respond(response, 202, { ...open, nextAction, idempotencyKey: request.headers["idempotency-key"] });
  for (const more of [[], ["--json"]]) {
    await using backend = await startBackend(ok(subscription()), { status: 201, json: quote(5) }, accept);
    const ended = await runCli(["buy", "5", "--yes", ...more], { env: signedIn(backend.apiUrl) });
    expect(ended.exitCode).toBe(8);
    if (more.length > 0) expect(resultOf(ended)).toMatchObject({ purchase: { nextAction: { url } } });
    else expect((ended.stdout + ended.stderr).length).toBeLessThan(20_000);
    expect(ended.stderr).not.toMatch(/^\s+at /m);
  }
});

test("a token over 8 KB is not sent", async () => {
  await using backend = await startBackend();
  const token = "t".repeat(8193);
  const ended = await runCli(["status", "--json"], { env: signedIn(backend.apiUrl, token) });
  expect(errorOf(ended)).toMatchObject({ code: "unauthenticated", exitCode: 4 });
  const args = ["login", "--with-token", "--insecure-storage", "--json"];
  const refused = await runCli(args, { env: { SECUREFLAG_API_URL: backend.apiUrl }, input: token });
  expect(errorOf(refused)).toMatchObject({ code: "unauthenticated", exitCode: 4 });
  expect(backend.seen).toEqual([]);
});

test("a token of 8 KB is sent", async () => {
  await using backend = await startBackend(ok(subscription()));
  const ended = await runCli(["status", "--json"], { env: signedIn(backend.apiUrl, "t".repeat(8192)) });
  expect(ended.exitCode).toBe(0);
});
