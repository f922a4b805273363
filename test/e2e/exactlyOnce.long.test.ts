import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { CI_SYSTEMS } from "../support/ciSystems.ts";
import { errorOf, type RunOptions, type RunResult, resultOf, runCli, startCli } from "../support/cli.ts";
import { FaultProxy } from "../support/faultProxy.ts";
import { temporaryDirectory } from "../support/places.ts";
import { environmentFor } from "../support/sandbox.ts";
import { organization, seed, tokenOf } from "../support/seed.ts";
import { useSandbox } from "../support/useSandbox.ts";
import { waitFor } from "../support/wait.ts";

const PROCESSING = 201;
const TIMEOUT = 202;
const INTERRUPTED = 203;
/** What is killed, by payment method and crash point. */
const KILLED = ["card_processing", "card_timeout"].flatMap((method, row) =>
  ["C1", "C2", "C3"].map((point, column) => ({ id: 301 + row * 3 + column, method, point })),
);
const ORDINARY = Array.from({ length: 50 }, (_, index) => index + 1);

let proxy: FaultProxy;
let free = [...ORDINARY];

function untouched(): number {
  const [id, ...rest] = free;
  free = rest;
  if (id === undefined) throw new RangeError("every organization of the seed is used: add some");
  return id;
}

const sandbox = useSandbox({
  seed: seed(
    ...ORDINARY.map((id) => organization(id)),
    organization(PROCESSING, { paymentMethod: "card_processing" }),
    organization(TIMEOUT, { paymentMethod: "card_timeout" }),
    organization(INTERRUPTED, { paymentMethod: "card_processing" }),
    ...KILLED.map(({ id, method }) => organization(id, { paymentMethod: method })),
  ),
});

beforeAll(async () => {
  proxy = await FaultProxy.start(sandbox.ready.url);
});

afterEach(() => proxy.heal());

afterAll(async () => {
  await proxy?.close();
});

interface Bought {
  purchase: { id: string; idempotencyKey: string; status: string } | null;
  replayed: boolean;
}

async function chargesOf(id: number): Promise<number[]> {
  const own = new Set((await sandbox.purchases(id)).map((purchase) => purchase.id));
  return (await sandbox.captures()).filter(({ purchaseId }) => own.has(purchaseId)).map(({ amount }) => amount);
}

function buy(id: number, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return sandbox.cli(id, ["buy", ...args, "--yes", "--json"], options);
}

async function journalOf(home: string): Promise<string[]> {
  const names = await readdir(join(home, "config", "journal")).catch(() => []);
  return names.filter((name) => name.endsWith(".json"));
}

/** A `buy 5` whose answers are lost, as they would be when a line is cut right after it was sent. */
async function loseAnswer(id: number, when: "before" | "after"): Promise<string> {
  const path = new RegExp(`/organizations/${id}/purchases`);
  proxy.inject({ method: "POST", path, fault: { kind: "drop", when } });
  proxy.inject({ method: "GET", path, fault: { kind: "drop", when: "before" } });
  const env = { ...environmentFor(proxy.url, id), SECUREFLAG_CRASH_AT: "C2" };
  const run = await runCli(["buy", "5", "--yes", "--json"], { env });
  expect(run).toMatchObject({ exitCode: 137, stdout: "" });
  if (when === "after") await waitFor(async () => (await sandbox.purchases(id)).length > 0, 5_000, "the purchase");
  proxy.heal();
  expect((await journalOf(run.home)).length).toBe(1);
  return run.home;
}

/** The CLI against the proxy, because the journal knows the backend by its origin. */
function throughProxy(id: number, args: readonly string[], home: string): Promise<RunResult> {
  return runCli([...args, "--json"], { home, env: environmentFor(proxy.url, id) });
}

describe("--idempotency-key", () => {
  test.each([
    ["an ordinary key", "order-7"],
    ["the longest key", "k".repeat(255)],
    ["a key that looks like a path", "a/b%2Fc?d#e&f=../..;%"],
  ])("%s: the second run shows the purchase of the first", async (_, key) => {
    const id = untouched();
    const first = resultOf<Bought>(await buy(id, ["5", "--idempotency-key", key]));
    expect(first).toMatchObject({ replayed: false, purchase: { status: "succeeded", idempotencyKey: key } });
    const second = await buy(id, ["5", "--idempotency-key", key]);
    expect(second.exitCode).toBe(0);
    expect(resultOf<Bought>(second)).toMatchObject({ replayed: true, purchase: { id: first.purchase?.id } });
    expect(await chargesOf(id)).toEqual([24410]);
  });

  test("for another purchase: exits with 2", async () => {
    const id = untouched();
    const key = ["--idempotency-key", "order-8"];
    expect((await buy(id, ["5", ...key])).exitCode).toBe(0);
    for (const args of [["6"], ["5", "--note", "other"], ["5", "--po", "PO-1"]]) {
      expect(errorOf(await buy(id, [...args, ...key]))).toMatchObject({ exitCode: 2, code: "idempotency_key_reused" });
    }
    expect(await chargesOf(id)).toEqual([24410]);
  });

  test("that is void: exits with 9 and asks for another one", async () => {
    const id = untouched();
    const path = `/organizations/${id}/purchases/by-key/gone/void`;
    expect((await sandbox.request("POST", path, { token: tokenOf(id) })).status).toBe(204);
    const run = await buy(id, ["5", "--idempotency-key", "gone"]);
    expect(errorOf(run)).toMatchObject({ exitCode: 9, code: "idempotency_key_void" });
    expect(await sandbox.purchases(id)).toEqual([]);
  });

  test("is checked before every guard: its purchase is shown although the count has changed", async () => {
    const id = untouched();
    const args = ["5", "--idempotency-key", "guarded", "--if-purchased", "25", "--max-total", "300"];
    expect((await buy(id, args)).exitCode).toBe(0);
    expect(resultOf<Bought>(await buy(id, args))).toMatchObject({ replayed: true });
  });
});

describe("in CI", () => {
  const github = CI_SYSTEMS.github.env;

  test.each(Object.entries(CI_SYSTEMS))(
    "%s: a job retried on another machine buys nothing more",
    async (_, { env, attempt }) => {
      const id = untouched();
      const first = resultOf<Bought>(await buy(id, ["5"], { env }));
      const second = resultOf<Bought>(await buy(id, ["5"], { env: { ...env, ...attempt } }));
      expect(first).toMatchObject({ replayed: false, purchase: { idempotencyKey: expect.stringMatching(/^ci_/) } });
      expect(second).toMatchObject({ replayed: true, purchase: { id: first.purchase?.id } });
      expect(await chargesOf(id)).toEqual([24410]);
    },
  );

  test("another run, another note and another number of licenses are other purchases", async () => {
    const id = untouched();
    const runs = [
      await buy(id, ["1"], { env: github }),
      await buy(id, ["1"], { env: { ...github, GITHUB_RUN_ID: "78" } }),
      await buy(id, ["1", "--note", "matrix b"], { env: github }),
      await buy(id, ["2"], { env: github }),
    ];
    expect(runs.map((run) => resultOf<Bought>(run).replayed)).toEqual([false, false, false, false]);
    expect(await sandbox.purchased(id)).toBe(30);
  });

  test("concurrent identical runs buy once, and both say so", async () => {
    const id = untouched();
    const runs = await Promise.all([1, 2, 3, 4].map(() => buy(id, ["5"], { env: github })));
    expect(runs.map(({ exitCode }) => exitCode)).toEqual([0, 0, 0, 0]);
    expect(new Set(runs.map((run) => resultOf<Bought>(run).purchase?.id)).size).toBe(1);
    expect(await chargesOf(id)).toEqual([24410]);
    expect(await sandbox.purchased(id)).toBe(30);
  });
});

describe("after a crash", () => {
  test.each([
    ["C0", null],
    ["C1", 1],
    ["C6", 0],
  ])("%s: nothing was sent; running again buys once", async (point, entries) => {
    const id = untouched();
    const run = await buy(id, ["5"], { env: { SECUREFLAG_CRASH_AT: point } });
    expect(run).toMatchObject({ exitCode: 137, stdout: "" });
    expect(await sandbox.purchases(id)).toEqual([]);
    if (entries === 1) expect((await journalOf(run.home)).length).toBe(1);
    expect((await buy(id, ["5"], { home: run.home })).exitCode).toBe(0);
    expect(await chargesOf(id)).toEqual([24410]);
    expect(await journalOf(run.home)).toEqual([]);
  });

  test("C2, arrived: the same command shows the purchase as replayed, and buys nothing more", async () => {
    const id = untouched();
    const home = await loseAnswer(id, "after");
    const again = await throughProxy(id, ["buy", "5", "--yes"], home);
    expect(again.exitCode).toBe(0);
    expect(resultOf<Bought>(again)).toMatchObject({ replayed: true, purchase: { status: "succeeded" } });
    expect(await chargesOf(id)).toEqual([24410]);
    expect(await journalOf(home)).toEqual([]);
    const fresh = await throughProxy(id, ["buy", "5", "--yes"], home);
    expect(resultOf<Bought>(fresh).replayed).toBe(false);
    expect(await sandbox.purchased(id)).toBe(35);
  });

  test("C2, never arrived: the same command says so and buys", async () => {
    const id = untouched();
    const home = await loseAnswer(id, "before");
    const again = await throughProxy(id, ["buy", "5", "--yes"], home);
    expect(again.exitCode).toBe(0);
    expect(resultOf<Bought>(again)).toMatchObject({ replayed: false });
    expect(await chargesOf(id)).toEqual([24410]);
  });

  test("C2, arrived: another command settles it first, and continues", async () => {
    const id = untouched();
    const home = await loseAnswer(id, "after");
    const other = await runCli(["buy", "3", "--yes"], { home, env: environmentFor(proxy.url, id) });
    expect(other.exitCode).toBe(0);
    expect(other.stderr).toMatch(/5 licenses|earlier/);
    expect(await sandbox.purchased(id)).toBe(33);
    expect((await chargesOf(id)).length).toBe(2);
  });

  test.each([
    ["buy with --json", ["buy", "3", "--yes", "--json"]],
    ["buy with --quiet", ["buy", "3", "--yes", "--quiet"]],
    ["buy with another note", ["buy", "5", "--yes", "--note", "B"]],
    ["top-up", ["top-up", "--available", "9", "--yes", "--json"]],
    ["top-up with nothing missing", ["top-up", "--available", "1", "--yes", "--json"]],
  ])("C2, arrived: %s settles it, and the killed command still finds its purchase", async (_, args) => {
    const id = untouched();
    const home = await loseAnswer(id, "after");
    const env = environmentFor(proxy.url, id);
    expect((await runCli(args, { home, env })).exitCode).toBe(0);
    const before = await sandbox.purchased(id);
    const again = await throughProxy(id, ["buy", "5", "--yes"], home);
    expect(again.exitCode).toBe(0);
    expect(resultOf<Bought>(again)).toMatchObject({ replayed: true, purchase: { status: "succeeded" } });
    expect(await sandbox.purchased(id)).toBe(before);
    expect(await journalOf(home)).toEqual([]);
  });

  test("C2, arrived and settled by another command: its replay says when it was bought", async () => {
    const id = untouched();
    const home = await loseAnswer(id, "after");
    const env = environmentFor(proxy.url, id);
    expect((await runCli(["buy", "3", "--yes", "--json"], { home, env })).exitCode).toBe(0);
    const again = await runCli(["buy", "5", "--yes"], { home, env });
    expect(again.stderr.replaceAll("\n", " ")).toMatch(
      /This command bought 5 licenses on 2026-11-22 \d\d:\d\d UTC, as pur_\w+\. Nothing more was bought\./,
    );
  });

  test("C2, never arrived: another command voids the key first", async () => {
    const id = untouched();
    const home = await loseAnswer(id, "before");
    const key = proxy.requests.findLast(({ method, path }) => method === "POST" && path.endsWith(`${id}/purchases`))
      ?.headers["idempotency-key"];
    expect((await throughProxy(id, ["buy", "3", "--yes"], home)).exitCode).toBe(0);
    const byKey = await sandbox.request("GET", `/organizations/${id}/purchases/by-key/${key}`, { token: tokenOf(id) });
    expect(byKey).toMatchObject({ status: 409, body: { code: "idempotency_key_void" } });
    expect(await sandbox.purchased(id)).toBe(28);
  });

  test("C3: the replay shows the result and clears the journal", async () => {
    const id = untouched();
    const run = await buy(id, ["5"], { env: { SECUREFLAG_CRASH_AT: "C3" } });
    expect(run.exitCode).toBe(137);
    expect((await journalOf(run.home)).length).toBe(1);
    expect(resultOf<Bought>(await buy(id, ["5"], { home: run.home }))).toMatchObject({ replayed: true });
    expect(await chargesOf(id)).toEqual([24410]);
    expect(await journalOf(run.home)).toEqual([]);
  });
});

describe("purchases resume", () => {
  test("with nothing open: exits with 0 and empty lists", async () => {
    const id = untouched();
    const run = await sandbox.cli(id, ["purchases", "resume", "--json"]);
    expect(run.exitCode).toBe(0);
    expect(resultOf(run)).toEqual({
      resumed: [],
      notReceived: [],
      licenses: { purchased: 25, used: 22, available: 3 },
    });
  });

  test("shows what arrived", async () => {
    const id = untouched();
    const home = await loseAnswer(id, "after");
    const run = await throughProxy(id, ["purchases", "resume"], home);
    expect(run.exitCode).toBe(0);
    expect(resultOf(run)).toMatchObject({
      resumed: [{ status: "succeeded", licenses: 5 }],
      notReceived: [],
      licenses: { purchased: 30 },
    });
    expect(await journalOf(home)).toEqual([]);
  });

  test("names what never arrived, voids its key, and starts nothing", async () => {
    const id = untouched();
    const home = await loseAnswer(id, "before");
    const run = await throughProxy(id, ["purchases", "resume"], home);
    expect(run.exitCode).toBe(0);
    const { notReceived } = resultOf<{ notReceived: { idempotencyKey: string; licenses: number }[] }>(run);
    expect(notReceived).toEqual([{ idempotencyKey: expect.any(String), licenses: 5 }]);
    expect(await sandbox.purchases(id)).toEqual([]);
    const path = `/organizations/${id}/purchases/by-key/${notReceived[0]?.idempotencyKey}`;
    expect(await sandbox.request("GET", path, { token: tokenOf(id) })).toMatchObject({
      status: 409,
      body: { code: "idempotency_key_void" },
    });
  });
});

describe("slow payments", () => {
  test("are followed to their end if they settle later", async () => {
    const run = await buy(PROCESSING, ["5"]);
    expect(run.exitCode).toBe(0);
    expect(resultOf<Bought>(run)).toMatchObject({ purchase: { status: "succeeded" }, licenses: { purchased: 30 } });
    expect(await chargesOf(PROCESSING)).toEqual([24410]);
  });

  test("are resolved if the provider's response is lost, and charged once", async () => {
    const run = await buy(TIMEOUT, ["5"]);
    expect(run.exitCode).toBe(0);
    expect(await chargesOf(TIMEOUT)).toEqual([24410]);
    expect(await sandbox.purchased(TIMEOUT)).toBe(30);
  });

  test("continue after Ctrl-C, which exits with 130, and resume shows the outcome", async () => {
    const env = environmentFor(sandbox.ready.url, INTERRUPTED);
    const running = await startCli(["buy", "5", "--yes"], { env, timeout: 15_000 });
    await waitFor(async () => (await sandbox.purchases(INTERRUPTED)).length > 0, 10_000, "the purchase");
    running.kill("SIGINT");
    const { exitCode, stderr, home } = await running.ended;
    expect(exitCode).toBe(130);
    expect(stderr).toMatch(/purchases (show|resume)/);
    const resumed = await runCli(["purchases", "resume", "--json"], { home, env });
    expect(resumed.exitCode).toBe(0);
    expect(resultOf(resumed)).toMatchObject({ resumed: [{ status: "succeeded" }], licenses: { purchased: 30 } });
    expect(await chargesOf(INTERRUPTED)).toEqual([24410]);
  });
});

describe("slow payments, killed", () => {
  test.each(KILLED)("$method at $point: the same command ends with one purchase", async ({ id, point }) => {
    const killed = await buy(id, ["5"], { env: { SECUREFLAG_CRASH_AT: point } });
    expect(killed.exitCode).toBe(137);
    const again = await buy(id, ["5"], { home: killed.home });
    expect(again.exitCode, again.stderr).toBe(0);
    expect(resultOf<Bought>(again)).toMatchObject({ purchase: { status: "succeeded" } });
    expect(await chargesOf(id)).toEqual([24410]);
    expect(await sandbox.purchased(id)).toBe(30);
    expect(await journalOf(killed.home)).toEqual([]);
  });
});

describe("concurrent purchases", () => {
  test("20 parallel buys from 20 machines: each exits with 0 or 9, and the counts add up", async () => {
    const id = untouched();
    const runs = await Promise.all(Array.from({ length: 20 }, () => buy(id, ["1"])));
    for (const { exitCode, stderr } of runs) expect([0, 9], stderr).toContain(exitCode);
    const succeeded = runs.filter(({ exitCode }) => exitCode === 0).length;
    expect(succeeded).toBeGreaterThan(0);
    expect(await sandbox.purchased(id)).toBe(25 + succeeded);
    expect((await chargesOf(id)).length).toBe(succeeded);
  });

  test("64 parallel requests with one key: one purchase, and every other gets it or 409", async () => {
    const id = untouched();
    const token = tokenOf(id);
    for (let round = 0; round < 10; round += 1) {
      const quote = await sandbox.request("POST", `/organizations/${id}/quotes`, { token, body: { licenses: 1 } });
      const { id: quoteId } = quote.body as { id: string };
      const headers = { "idempotency-key": `round-${round}` };
      const answers = await Promise.all(
        Array.from({ length: 64 }, () =>
          sandbox.request("POST", `/organizations/${id}/purchases`, { token, headers, body: { quoteId } }),
        ),
      );
      const won = answers.filter(({ status }) => status < 300).map(({ body }) => (body as { id: string }).id);
      expect(new Set(won).size).toBe(1);
      for (const { status, body } of answers) {
        if (status >= 300)
          expect({ status, body }).toMatchObject({ status: 409, body: { code: "idempotency_key_in_use" } });
      }
    }
    expect(await sandbox.purchased(id)).toBe(35);
    expect((await chargesOf(id)).length).toBe(10);
  });

  test("a quote is bought once: another key gets 409 quote_used with the purchase", async () => {
    const id = untouched();
    const token = tokenOf(id);
    const quote = await sandbox.request("POST", `/organizations/${id}/quotes`, { token, body: { licenses: 1 } });
    const body = { quoteId: (quote.body as { id: string }).id };
    const path = `/organizations/${id}/purchases`;
    const first = await sandbox.request("POST", path, { token, body, headers: { "idempotency-key": "one" } });
    const second = await sandbox.request("POST", path, { token, body, headers: { "idempotency-key": "two" } });
    const replay = await sandbox.request("POST", path, { token, body, headers: { "idempotency-key": "one" } });
    const purchaseId = (first.body as { id: string }).id;
    expect(first.status).toBe(201);
    expect(second).toMatchObject({ status: 409, body: { code: "quote_used", purchaseId } });
    expect(replay).toMatchObject({ status: 200, body: { id: purchaseId } });
    expect(replay.headers.get("idempotency-replayed")).toBe("true");
    const noKey = await sandbox.request("POST", path, { token, body });
    expect(noKey).toMatchObject({ status: 400, body: { code: "idempotency_key_missing" } });
  });
});

test("no secret is stored in any journal", async () => {
  const id = untouched();
  const home = await temporaryDirectory();
  await buy(id, ["5"], { home, env: { SECUREFLAG_CRASH_AT: "C1" } });
  const [file] = await journalOf(home);
  const path = join(home, "config", "journal", file ?? "");
  expect(await readFile(path, "utf8")).not.toContain(tokenOf(id));
  expect((await stat(path)).mode & 0o777).toBe(0o600);
});
