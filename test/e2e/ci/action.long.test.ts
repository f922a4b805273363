import { cp, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { FaultProxy } from "../../support/faultProxy.ts";
import { readLog, readStepOutputs } from "../../support/githubLog.ts";
import { type Repository, runSteps, type StepEnd } from "../../support/githubRunner.ts";
import { type Issuer, startIssuer } from "../../support/issuer.ts";
import { NO_REGISTRY } from "../../support/packed.ts";
import { actOnPage } from "../../support/paymentPage.ts";
import { BIN, clearedEnvironment, DIST, ROOT, removePlaces, temporaryDirectory } from "../../support/places.ts";
import { type RunningSandbox, startSandbox } from "../../support/sandbox.ts";
import { organization, seed, token, tokenOf } from "../../support/seed.ts";
import { waitFor } from "../../support/wait.ts";

const ACTION = ".github/actions/top-up";
const DECLINED = 101;
const APPROVAL = 102;
const LIMITED = 103;
const HOSTILE = 104;
const WAITING = 105;
const CANCELED = 106;
const CANCELED_COMMAND = 107;
const HOSTILE_TEXT = [
  "x",
  "::set-output name=bought::99",
  " \u00a0::add-mask::y",
  "##[set-output name=purchased]99",
  "::stop-commands::z",
  "bought=99",
  "### Fake <img src=x onerror=alert(1)> [a](http://evil.example) | `b` $(touch injected) `touch injected`",
].join("\n");
const ORDINARY = Array.from({ length: 20 }, (_, index) => index + 1);

let sandbox: RunningSandbox;
let proxy: FaultProxy;
let workspace: string;
let free = [...ORDINARY];

/** An organization that no other test buys for. */
function untouched(): number {
  const [id, ...rest] = free;
  free = rest;
  if (id === undefined) throw new RangeError("every organization of the seed is used: add some");
  return id;
}

beforeAll(async () => {
  const plan = { plan: HOSTILE_TEXT };
  sandbox = await startSandbox({
    seed: seed(
      ...ORDINARY.map((id) => organization(id)),
      organization(DECLINED, { paymentMethod: "card_declined" }),
      organization(APPROVAL, { paymentMethod: "card_requires_approval" }),
      ...[WAITING, CANCELED, CANCELED_COMMAND].map((id) =>
        organization(id, { paymentMethod: "card_requires_approval" }),
      ),
      organization(LIMITED, { tokens: [token(LIMITED, { spendLimit: { amount: 10000, licenses: 10 } })] }),
      organization(HOSTILE, {
        name: HOSTILE_TEXT,
        tokens: [token(HOSTILE, { name: HOSTILE_TEXT })],
        subscription: plan,
      }),
    ),
  });
  proxy = await FaultProxy.start(sandbox.ready.url);
  workspace = await temporaryDirectory();
  await cp(join(DIST, "action"), join(workspace, ACTION), { recursive: true });
});

afterEach(() => proxy.heal());

afterAll(async () => {
  await proxy?.close();
  await sandbox?.stop();
  await removePlaces();
});

/**
 * Runs the action as a step of a job on a machine of its own.
 *
 * @param inputs those that are `undefined` are left out
 */
async function topUp(
  id: number,
  inputs: Readonly<Record<string, string | undefined>>,
  {
    url = sandbox.ready.url,
    env = {},
    identity,
  }: Pick<Repository, "identity" | "env"> & { readonly url?: string } = {},
): Promise<StepEnd> {
  const limit = "max-total" in inputs || "max-licenses" in inputs ? {} : { "max-licenses": "50" };
  const all = { "api-token": tokenOf(id), "api-url": url, ...limit, ...inputs };
  const given = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
  const steps = stringify([{ uses: `./${ACTION}`, with: given }]);
  const [end] = await runSteps(steps, { workspace, env: { ...NO_REGISTRY, ...env }, ...(identity && { identity }) });
  if (end === undefined) throw new RangeError("no step has run");
  return end;
}

async function chargesOf(id: number): Promise<number[]> {
  const own = new Set((await sandbox.purchases(id)).map((purchase) => purchase.id));
  return (await sandbox.captures()).filter(({ purchaseId }) => own.has(purchaseId)).map(({ amount }) => amount);
}

/** The sentences that the run's page shows as errors. */
const errorsOf = ({ commands }: StepEnd) => commands.filter(({ name }) => name === "error").map(({ data }) => data);

/** The outputs of a step that stopped before it bought anything. */
const stopped = (exitCode: number) => ({ status: "stopped", "exit-code": String(exitCode) });

describe("the top-up action", () => {
  test("buys what is missing, sets every output and explains it in the summary; run again, it buys nothing", async () => {
    const id = untouched();
    const enough = await topUp(id, { available: "8", "when-below": "3" });
    expect(enough).toMatchObject({ exitCode: 0, outputs: { bought: "0", purchased: "25", available: "3" } });
    const first = await topUp(id, { available: "8", "when-below": "4" });
    const [purchase] = await sandbox.purchases(id);
    expect(first).toMatchObject({ exitCode: 0, commands: [{ name: "add-mask", data: tokenOf(id) }] });
    expect(first.outputs).toEqual({
      status: "succeeded",
      bought: "5",
      purchased: "30",
      available: "8",
      total: "244.10 GBP",
      "purchase-id": purchase?.id,
      "approval-url": "",
      "exit-code": "0",
    });
    for (const part of ["bought 5 licenses: 25 → 30", "8 licenses available", "£244.10", purchase?.id]) {
      expect(first.summary).toContain(part);
    }
    const second = await topUp(id, { available: "8" });
    expect(second).toMatchObject({
      exitCode: 0,
      outputs: {
        status: "nothing_missing",
        bought: "0",
        purchased: "30",
        available: "8",
        total: "",
        "purchase-id": "",
      },
      summary: expect.stringContaining("nothing to buy"),
    });
    expect(await chargesOf(id)).toEqual([24410]);
  });

  describe("by a trust", () => {
    const claims = { sub: "repo:northwind/infra", repository_id: "74" };
    let issuer: Issuer;

    beforeAll(async () => {
      issuer = await startIssuer();
    });
    afterAll(() => issuer.close());

    test("buys without a stored token, and does not use one of the job", async () => {
      const id = untouched();
      const body = { name: "nightly", issuer: issuer.url, claims, scopes: ["billing:read", "billing:purchase"] };
      const path = `/organizations/${id}/trusts`;
      expect(await sandbox.request("POST", path, { token: await sandbox.signIn(), body })).toMatchObject({
        status: 201,
      });
      const inputs = { "api-token": undefined, trust: "nightly", organization: String(id), available: "8" };
      const identity = issuer.github(claims);
      const bought = await topUp(id, inputs, { identity, env: { SECUREFLAG_API_TOKEN: "of-another-organization" } });
      expect(bought).toMatchObject({ exitCode: 0, outputs: { bought: "5", available: "8" } });
      expect(await chargesOf(id)).toEqual([24410]);
      const forbidden = await topUp(id, inputs);
      expect(errorsOf(forbidden)).toEqual([expect.stringContaining("permissions: id-token: write")]);
      expect(forbidden.exitCode).toBe(4);
    });

    test("takes no token beside it", async () => {
      const end = await topUp(1, { trust: "nightly", available: "8" });
      expect([end.exitCode, errorsOf(end)]).toEqual([
        2,
        [expect.stringContaining("Set trust or api-token, not both.")],
      ]);
    });
  });

  test("passes on purchase order, note and the number it was planned for", async () => {
    const id = untouched();
    const inputs = { purchased: "30", organization: String(id), po: "PO-7", note: "buy --quiet", "if-purchased": "25" };
    const end = await topUp(id, { ...inputs, wait: "1" });
    expect(end).toMatchObject({ exitCode: 0, outputs: { bought: "5", purchased: "30" } });
    expect(await sandbox.purchases(id)).toMatchObject([{ purchaseOrder: "PO-7", note: "buy --quiet" }]);
    const again = await topUp(id, { ...inputs, purchased: "31" });
    expect(again).toMatchObject({ exitCode: 7, outputs: stopped(7) });
  });

  test("waits for a person as long as it is told to", async () => {
    const running = topUp(WAITING, { available: "8", wait: "60" });
    const path = `/organizations/${WAITING}/purchases?limit=1`;
    const url = await waitFor(async () => {
      const { body } = await sandbox.request("GET", path, { token: tokenOf(WAITING) });
      return (body as { items: { nextAction: { url: string } | null }[] }).items[0]?.nextAction?.url;
    });
    await actOnPage(url, "pay");
    expect(await running).toMatchObject({
      exitCode: 0,
      outputs: { status: "succeeded", bought: "5", "approval-url": "" },
    });
  });

  test.each([
    ["the program inside", CANCELED, "unset"],
    ["an installed one", CANCELED_COMMAND, `${process.execPath} ${BIN}`],
  ])("ends with %s when the job is canceled, and sets its outputs", async (_, id, command) => {
    const home = await temporaryDirectory();
    const env = {
      ...clearedEnvironment(home),
      GITHUB_ACTIONS: "true",
      GITHUB_OUTPUT: join(home, "output"),
      INPUT_AVAILABLE: "8",
      INPUT_MAX_TOTAL: "500",
      INPUT_WAIT: "60",
      INPUT_COMMAND: command,
      INPUT_API_URL: sandbox.ready.url,
      INPUT_API_TOKEN: tokenOf(id),
    };
    const running = execa(process.execPath, [join(workspace, ACTION, "index.js")], {
      env,
      extendEnv: false,
      reject: false,
      all: true,
    });
    let log = "";
    running.all.on("data", (chunk) => (log += chunk));
    await waitFor(
      () => log.includes("/pay/"),
      20_000,
      () => log,
    );
    running.kill("SIGINT");
    expect((await running).exitCode).toBe(130);
    expect(readStepOutputs(await readFile(env.GITHUB_OUTPUT, "utf8"))).toEqual({
      status: "unknown",
      "exit-code": "130",
    });
  });

  test("runs an installed program instead, which finds no inputs", async () => {
    const id = untouched();
    const end = await topUp(id, { available: "4", command: `${process.execPath} ${BIN}` });
    expect(end).toMatchObject({ exitCode: 0, outputs: { status: "succeeded", bought: "1", "exit-code": "0" } });
    const print = await topUp(id, { available: "4", command: "env" });
    expect(print.log).not.toMatch(/^INPUT_/m);
    const refused = await topUp(id, { available: "9", "max-total": "1", command: `${process.execPath} ${BIN}` });
    expect(refused).toMatchObject({ exitCode: 7, outputs: stopped(7) });
    const none = await topUp(id, { available: "4", command: "/nowhere/program" });
    expect(none).toMatchObject({ exitCode: 2, outputs: stopped(2) });
    expect(errorsOf(none)).toEqual([expect.stringMatching(/^command cannot be run: .*ENOENT/)]);
  });

  test("runs in a step where the runner has no node24, as its last comment says", async () => {
    const id = untouched();
    const text = await readFile(join(workspace, ACTION, "action.yml"), "utf8");
    const [step = ""] = /(?:^# {4}[^\n]*\n)+$/m.exec(text) ?? [];
    const repository = {
      workspace,
      vars: { SECUREFLAG_API_URL: sandbox.ready.url },
      secrets: { SECUREFLAG_API_TOKEN: tokenOf(id) },
    };
    const yaml = step.replaceAll(/^#/gm, "");
    const [end] = await runSteps(yaml, repository);
    expect(end).toMatchObject({ exitCode: 0, outputs: { status: "succeeded", bought: "2", "exit-code": "0" } });
    const [refused] = await runSteps(yaml, { ...repository, vars: {} });
    expect(refused).toMatchObject({ exitCode: 2, outputs: stopped(2) });
    expect(refused && errorsOf(refused)).toEqual([expect.stringMatching(/^api-url is empty\./)]);
  });

  test("names every empty input at once", async () => {
    const end = await topUp(1, { available: "8", "max-total": "", "max-licenses": "", organization: "" });
    expect(errorsOf(end)).toEqual([expect.stringMatching(/^max-licenses, max-total and organization are empty\. /)]);
  });

  test("runs what was built in a checkout of the program", async () => {
    const env = { PATH: process.env.PATH ?? "", INPUT_AVAILABLE: "8", INPUT_MAX_LICENSES: "", INPUT_MAX_TOTAL: "" };
    const index = join(ROOT, ACTION, "index.js");
    const ended = await execa(process.execPath, [index], { env, extendEnv: false, reject: false });
    expect(ended).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining("max-licenses and max-total are empty."),
    });
  });

  test("asks no registry and starts no program", async () => {
    const record = join(await temporaryDirectory(), "record");
    const watched = {
      NODE_OPTIONS: `--require ${join(ROOT, "test/support/recordNetwork.cjs")}`,
      RECORD_NETWORK: record,
    };
    expect(await topUp(untouched(), { available: "4" }, { env: watched })).toMatchObject({ exitCode: 0 });
    const seen = new Set((await readFile(record, "utf8")).trim().split("\n"));
    expect(seen).toEqual(new Set([`connect ${new URL(sandbox.ready.url).host}`]));
  });

  test("with none for both limits, has no limit and warns in an annotation", async () => {
    const id = untouched();
    const end = await topUp(id, { available: "4", "max-total": "none", "max-licenses": "none" });
    expect(end).toMatchObject({ exitCode: 0, outputs: { bought: "1" } });
    const warnings = end.commands.filter(({ name }) => name === "warning");
    expect(warnings).toMatchObject([{ data: expect.stringContaining("No limit is set.") }]);
  });

  test("with none for one limit, keeps the other", async () => {
    const end = await topUp(untouched(), { available: "8", "max-total": "none", "max-licenses": "4" });
    expect(end).toMatchObject({ exitCode: 7, outputs: stopped(7) });
  });

  test("uses token and backend from the job if their inputs are omitted", async () => {
    const id = untouched();
    const env = { SECUREFLAG_API_TOKEN: tokenOf(id), SECUREFLAG_API_URL: sandbox.ready.url };
    const given = { available: "4", "max-total": "500" };
    const uses = [{ uses: `./${ACTION}`, with: given }];
    const [end] = await runSteps(stringify(uses), { workspace, env });
    expect(end).toMatchObject({ exitCode: 0, outputs: { bought: "1" } });
  });

  test("with dry-run, shows what would happen and buys nothing", async () => {
    const id = untouched();
    const end = await topUp(id, { available: "8", "dry-run": "true" });
    expect(end).toMatchObject({
      exitCode: 0,
      outputs: { status: "planned", bought: "0", purchased: "25", available: "3", total: "", "purchase-id": "" },
      summary: expect.stringContaining("dry run: would buy 5 licenses"),
    });
    expect(await sandbox.purchases(id)).toEqual([]);
  });

  test.each([
    ["max-licenses", { "max-licenses": "4" }, 7, "--max-licenses allows 4"],
    ["max-total", { "max-total": "244.09" }, 7, "--max-total allows £244.09"],
  ])("is stopped by %s", async (_, guard, exitCode, words) => {
    const id = untouched();
    const end = await topUp(id, { available: "8", ...guard });
    expect(end).toMatchObject({ exitCode, outputs: stopped(exitCode) });
    expect(errorsOf(end)).toEqual([expect.stringContaining(words)]);
    for (const part of ["### License top-up stopped", words, `Exit code: ${exitCode}`]) {
      expect(end.summary).toContain(part);
    }
    expect(await sandbox.purchases(id)).toEqual([]);
  });

  test("is stopped by the token's own limit", async () => {
    const end = await topUp(LIMITED, { available: "8" });
    expect(end).toMatchObject({ exitCode: 5, outputs: stopped(5) });
    expect(end.summary).toContain("Exit code: 5");
    expect(errorsOf(end)).toEqual([expect.stringContaining("£100.00")]);
    expect(await sandbox.purchases(LIMITED)).toEqual([]);
  });

  test("exits with 6 if the card is declined, and names the purchase", async () => {
    const end = await topUp(DECLINED, { available: "8" });
    const [purchase] = await sandbox.purchases(DECLINED);
    expect(end).toMatchObject({
      exitCode: 6,
      outputs: { status: "failed", bought: "0", purchased: "25", "purchase-id": purchase?.id, "exit-code": "6" },
    });
    expect(errorsOf(end)).toEqual([expect.stringContaining("The bank declined the card.")]);
    expect(end.summary).toContain("A license purchase failed");
    expect(await chargesOf(DECLINED)).toEqual([]);
  });

  test("exits with 8 if approval is required, with the page in the summary; nothing more is bought until then", async () => {
    const end = await topUp(APPROVAL, { available: "8" });
    const [purchase] = await sandbox.purchases(APPROVAL);
    expect(end).toMatchObject({ exitCode: 8, outputs: { status: "requires_approval", bought: "0", "exit-code": "8" } });
    expect(end.outputs["purchase-id"]).toBe(purchase?.id);
    const [, url = ""] = /\[Approve the payment\]\(<(.*)>\)/.exec(end.summary) ?? [];
    expect(url).toMatch(new RegExp(`^${sandbox.origin}/pay/${purchase?.id}/`));
    expect(end.outputs["approval-url"]).toBe(url);
    expect(errorsOf(end)).toEqual([expect.stringContaining(url)]);
    expect(await topUp(APPROVAL, { available: "8" })).toMatchObject({
      exitCode: 0,
      outputs: { bought: "0", "purchase-id": "" },
      summary: expect.stringMatching(/nothing to buy[\s\S]*, including 5 licenses of purchases in progress/),
    });
    expect(await sandbox.purchases(APPROVAL)).toHaveLength(1);
  });

  test("keeps the token out of everything but the mask", async () => {
    const id = untouched();
    for (const inputs of [{ available: "4" }, { available: "8", "max-licenses": "0" }, { available: "x" }]) {
      const { commands, log, outputs, summary } = await topUp(id, inputs);
      const [mask, ...others] = commands;
      expect(mask).toEqual({ name: "add-mask", properties: "", data: tokenOf(id) });
      expect(JSON.stringify([others, log, outputs, summary])).not.toContain(tokenOf(id));
    }
  });
});

describe("invalid inputs: exit 2, nothing is sent", () => {
  test.each<[string, Record<string, string | undefined>]>([
    ["no target", {}],
    ["no limit", { available: "500", "max-licenses": undefined }],
    ["none for one limit, and no other", { available: "5", "max-licenses": "none" }],
    ["a trigger without available", { purchased: "30", "when-below": "3" }],
    ["two targets", { available: "5", purchased: "30" }],
    ["an invalid amount", { available: "5", "max-total": "£5" }],
    ["a dry run that is neither true nor false", { available: "5", "dry-run": "yes" }],
    ["a flag in place of a number", { available: "--json" }],
    ["a flag beside a number", { available: "5 --dry-run" }],
    ["an invalid organization", { available: "5", organization: "x" }],
  ])("%s", async (_, inputs) => {
    const before = proxy.requests.length;
    const end = await topUp(1, inputs, { url: proxy.url });
    expect(end).toMatchObject({ exitCode: 2, outputs: stopped(2) });
    expect(errorsOf(end)).toHaveLength(1);
    expect(proxy.requests.length).toBe(before);
  });
});

describe("an empty input, as from a misspelled variable: exit 2, nothing is sent", () => {
  test.each<[string, Record<string, string>]>([
    ["available", { purchased: "30" }],
    ["when-below", { available: "8" }],
    ["max-licenses", { available: "8", "max-total": "none" }],
    ["max-total", { available: "8", "max-licenses": "none" }],
    ["max-total", { available: "8", "max-licenses": "10" }],
    ["dry-run", { available: "8" }],
    ["trust", { available: "8" }],
    ["api-token", { available: "8" }],
    ["api-url", { available: "8" }],
    ["organization", { available: "8" }],
    ["if-purchased", { available: "8" }],
    ["po", { available: "8" }],
    ["note", { available: "8" }],
    ["wait", { available: "8" }],
    ["plan", { available: "8" }],
    ["github-token", { available: "8" }],
    ["command", { available: "8" }],
  ])("%s with %j", async (name, others) => {
    const before = proxy.requests.length;
    const end = await topUp(1, { ...others, [name]: "" }, { url: proxy.url });
    expect(end).toMatchObject({ exitCode: 2, outputs: stopped(2), log: "" });
    expect(errorsOf(end)).toEqual([expect.stringMatching(new RegExp(`^${name} is empty\\.`))]);
    expect(proxy.requests.length).toBe(before);
  });
});

describe("an early failure also appears in the summary", () => {
  test.each<[string, Record<string, string | undefined>, number, string]>([
    ["no token", { "api-token": undefined }, 4, "SECUREFLAG_API_TOKEN"],
    ["a revoked token", { "api-token": "sfl_dead" }, 4, "Sign in again"],
    ["no https", { "api-url": "http://billing.example" }, 2, "https"],
  ])("%s", async (_, inputs, exitCode, words) => {
    const end = await topUp(1, { available: "5", ...inputs });
    expect(end).toMatchObject({ exitCode, outputs: stopped(exitCode) });
    expect(errorsOf(end)).toEqual([expect.stringContaining(words)]);
    for (const part of ["### License top-up stopped", words, `Exit code: ${exitCode}`]) {
      expect(end.summary).toContain(part);
    }
  });
});

describe("hostile text", () => {
  const PAYLOADS = [
    "5; touch injected",
    "$(touch injected)",
    "`touch injected`",
    '5" && touch injected && "',
    "5'; touch injected; '",
    "5\ntouch injected",
    "5\n::set-output name=bought::99",
    "5%0A::set-output name=bought::99",
    "*",
  ];

  const expectNothing = async (end: StepEnd) => {
    expect(end).toMatchObject({ exitCode: 2, outputs: stopped(2) });
    expect(end.commands.map(({ name }) => name)).toEqual(["add-mask", "error"]);
    expect(await readdir(workspace)).toEqual([".github"]);
  };

  test.each(PAYLOADS)("in the inputs of the action: %j", async (payload) => {
    await expectNothing(await topUp(1, { available: payload, "max-total": payload, organization: payload }));
  });

  test("in the inputs, all at once", async () => {
    await expectNothing(await topUp(1, { available: PAYLOADS.join("\n") }));
  });

  test("in the names of the organization, the plan and the token", async () => {
    const end = await topUp(HOSTILE, { available: "8" });
    expect(end).toMatchObject({ exitCode: 0, outputs: { bought: "5", purchased: "30" } });
    expect(end.commands.map(({ name }) => name)).toEqual(["add-mask"]);
    expect(readLog(end.log.replaceAll("\u200b", "")).commands).not.toEqual([]);
    expect(end.summary).not.toMatch(/Fake|touch|<img/);
  });

  test("in the note of a purchase", async () => {
    const id = untouched();
    const note = `x ::set-output name=bought::${"9".repeat(40)} ::add-mask::${"y".repeat(40)}`;
    const env = { SECUREFLAG_API_TOKEN: tokenOf(id), SECUREFLAG_API_URL: sandbox.ready.url, NOTE: note };
    const program = `${process.execPath} ${BIN}`;
    const readId = `${process.execPath} -p 'JSON.parse(require("fs").readFileSync(0)).purchase.id'`;
    const run = `${program} purchases show "$(${program} buy 1 --yes --note "$NOTE" --json | ${readId})"`;
    const [end] = await runSteps(stringify([{ run, env }]), { workspace });
    expect(end).toMatchObject({ exitCode: 0, outputs: {}, commands: [{ name: "add-mask" }] });
    expect(end?.log.replaceAll("\u200b", "")).toContain(note);
  });

  test("in the purchase returned by the backend", async () => {
    const id = untouched();
    const spoilt = `${HOSTILE_TEXT}\nghadelimiter_00\nEOF\navailable<<E\n99\nE\n`;
    const edit = (body: string) => JSON.stringify({ ...JSON.parse(body), id: spoilt });
    proxy.inject({ method: "POST", path: /\/purchases$/, fault: { kind: "rewrite", edit } });
    const end = await topUp(id, { available: "8" }, { url: proxy.url });
    expect(end.outputs).toEqual({
      status: "succeeded",
      bought: "5",
      purchased: "30",
      available: "8",
      total: "244.10 GBP",
      "purchase-id": spoilt,
      "approval-url": "",
      "exit-code": "0",
    });
    expect(end.commands.map(({ name }) => name)).toEqual(["add-mask"]);
    expect(end.summary).toMatch(/^- Purchase: (`+).*Fake.*\1$/m);
    expect(end.summary).not.toMatch(/^(### Fake|::|bought)/m);
  });

  test("would be detected", () => {
    const { commands } = readLog(HOSTILE_TEXT);
    expect(commands.map(({ name }) => name)).toEqual(["set-output", "add-mask", "set-output", "stop-commands"]);
  });
});
