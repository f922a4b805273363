import { readdir, stat, writeFile } from "node:fs/promises";
import { get } from "node:http";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { errorOf, resultOf, runCli, startCli } from "../support/cli.ts";
import { removePlaces, temporaryDirectory } from "../support/places.ts";
import { seedFile, startSandbox } from "../support/sandbox.ts";
import { ADMIN, organization, PASSWORD, seed, token, user } from "../support/seed.ts";
import { waitFor } from "../support/wait.ts";

afterAll(removePlaces);

const BUILT_IN = 4201;
const builtInToken = { SECUREFLAG_API_TOKEN: "sfl_sandbox_ci", SECUREFLAG_ORGANIZATION: String(BUILT_IN) };

describe("starting", () => {
  test("prints one JSON document when ready; the built-in organization is that of the README", async () => {
    const sandbox = await startSandbox();
    try {
      expect(sandbox.ready).toEqual({
        url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/rest\/management\/v2$/),
        organizationId: BUILT_IN,
        admin: { email: ADMIN, password: PASSWORD },
        token: "sfl_sandbox_ci",
        dataDir: null,
        pid: expect.any(Number),
      });
      const run = await sandbox.cli(BUILT_IN, ["status", "--json"], { env: builtInToken });
      expect(resultOf(run)).toMatchObject({
        organization: { id: BUILT_IN, name: "Northwind Labs", timeZone: "Europe/London" },
        licenses: { purchased: 25, used: 22, available: 3 },
      });
      expect((await sandbox.request("GET", "//openapi.json")).body).toMatchObject({ openapi: "3.1.0" });
      expect((await sandbox.request("GET", "//healthz")).body).toEqual({ status: "ok" });
      expect((await sandbox.request("GET", "//readyz")).status).toBe(200);
      expect(await sandbox.captures()).toEqual([]);
      expect(sandbox.stderr).toBe("");
    } finally {
      expect(await sandbox.stop()).toBe(0);
    }
  });

  test("prints URL, accounts and the lines to copy without --json", async () => {
    const running = await startCli(["sandbox", "--port", "0", "--ephemeral"]);
    const lines = /export SECUREFLAG_API_URL=\S+ SECUREFLAG_API_TOKEN=\S+\n/;
    await waitFor(() => lines.test(running.printed()), 15_000, "the lines to copy");
    running.kill("SIGINT");
    const answer = await running.ended;
    expect([0, 130]).toContain(answer.exitCode);
    expect(answer.stdout).toMatch(/127\.0\.0\.1:\d+/);
    expect(answer.stdout).toContain("SECUREFLAG_API_TOKEN=sfl_sandbox_ci");
    expect(answer.stdout).toContain(ADMIN);
  });

  test("a port in use, and contradictory or invalid flags: exits with 2", async () => {
    const server = createServer();
    const port = await new Promise<number>((resolve) => {
      server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port));
    });
    const data = await temporaryDirectory();
    try {
      for (const flags of [
        ["--port", String(port), "--ephemeral"],
        ["--port", "70000", "--ephemeral"],
        ["--port", "-1", "--ephemeral"],
        ["--port", "0", "--ephemeral", "--now", "yesterday"],
        ["--port", "0", "--ephemeral", "--data", data],
        ["--port", "0", "--ephemeral", "--seed", join(data, "none.json")],
      ]) {
        const run = await runCli(["sandbox", "--json", ...flags], { timeout: 15_000 });
        expect({ flags, exitCode: run.exitCode, stdout: run.stdout }).toEqual({ flags, exitCode: 2, stdout: "" });
      }
    } finally {
      server.close();
    }
  });

  test("--now may be in the past, and the clock continues from there", async () => {
    const sandbox = await startSandbox({
      now: "2024-02-29T12:00:00Z",
      seed: seed(organization(1, { subscription: { anchorDate: "2024-01-31", interval: "month" } })),
    });
    try {
      expect(resultOf(await sandbox.cli(1, ["status", "--json"]))).toMatchObject({
        term: { start: "2024-02-29", renewalDate: "2024-03-31", days: 31, daysRemaining: 31 },
        asOf: expect.stringMatching(/^2024-02-29T12:0/),
      });
    } finally {
      await sandbox.stop();
    }
  });
});

describe("its data", () => {
  test("survives SIGTERM and kill -9; a second sandbox on it is rejected, and so are another seed and an earlier --now", async () => {
    const data = join(await temporaryDirectory(), "data");
    const content = seed(organization(1));
    const first = await startSandbox({ data, seed: content });
    expect(first.ready.dataDir).toBe(data);
    const bought = resultOf<{ purchase: unknown }>(await first.cli(1, ["buy", "5", "--yes", "--json"]));
    const captures = await first.captures();
    expect(captures).toEqual([
      { paymentId: expect.any(String), purchaseId: expect.any(String), amount: 24410, currency: "GBP", refunded: 0 },
    ]);

    const second = await runCli(["sandbox", "--port", "0", "--json", "--data", data], { timeout: 15_000 });
    expect(second).toMatchObject({ exitCode: 2, stdout: "" });
    expect(errorOf(second).message).toMatch(/another|in use|already/i);
    expect(await first.stop()).toBe(0);

    const again = await startSandbox({ data, seed: content, now: "2026-11-21T00:00:00Z" });
    expect(await waitFor(() => again.stderr, 5_000, "a note on stderr")).toMatch(/--now|clock/);
    expect(resultOf(await again.cli(1, ["purchases", "list", "--json"]))).toEqual([bought.purchase]);
    expect(await again.captures()).toEqual(captures);
    expect(resultOf(await again.cli(1, ["status", "--json"]))).toMatchObject({
      licenses: { purchased: 30, used: 22, available: 8 },
      asOf: expect.stringMatching(/^2026-11-22/),
    });
    expect((await again.cli(1, ["buy", "1", "--yes"])).exitCode).toBe(0);
    await again.stop("SIGKILL");

    const third = await startSandbox({ data, now: null });
    expect(await third.purchased(1)).toBe(31);
    expect((await third.captures()).length).toBe(2);
    await third.stop();

    const path = await seedFile(seed(organization(2)));
    const other = await runCli(["sandbox", "--port", "0", "--json", "--data", data, "--seed", path], {
      timeout: 15_000,
    });
    expect(errorOf(other)).toMatchObject({ exitCode: 2 });
  });

  test("is emptied by reset --yes when stopped, but never while running or in another directory", async () => {
    const data = join(await temporaryDirectory(), "data");
    const sandbox = await startSandbox({ data });
    const reset = (directory: string, ...flags: string[]) =>
      runCli(["sandbox", "reset", "--data", directory, "--json", ...flags], { timeout: 15_000 });
    expect((await reset(data, "--yes")).exitCode).toBe(2);
    expect((await sandbox.cli(BUILT_IN, ["buy", "5", "--yes"], { env: builtInToken })).exitCode).toBe(0);
    await sandbox.stop();
    expect((await reset(data)).exitCode).toBe(2);
    expect((await reset(data, "--yes")).exitCode).toBe(0);
    const fresh = await startSandbox({ data });
    expect(await fresh.captures()).toEqual([]);
    await fresh.stop();

    const precious = await temporaryDirectory();
    await writeFile(join(precious, "thesis.txt"), "years of work");
    expect((await reset(precious, "--yes")).exitCode).toBe(2);
    expect(await readdir(precious)).toEqual(["thesis.txt"]);
  });

  test("is in the platform's data directory by default, 0700", async () => {
    const home = await temporaryDirectory();
    const running = await startCli(["sandbox", "--port", "0", "--json"], { home });
    await waitFor(() => running.printed().includes("\n"), 15_000, "the ready line");
    running.kill("SIGTERM");
    const { stdout, exitCode } = await running.ended;
    expect(exitCode).toBe(0);
    expect((JSON.parse(stdout) as { dataDir: string }).dataDir.startsWith(home)).toBe(true);
    const entries = await readdir(home, { recursive: true, withFileTypes: true });
    const inside = entries.filter(({ parentPath, name }) => join(parentPath, name).includes("sandbox"));
    expect(inside.length).toBeGreaterThan(0);
    for (const { parentPath, name } of inside) {
      const path = join(parentPath, name);
      expect({ path, open: (await stat(path)).mode & 0o077 }).toEqual({ path, open: 0 });
    }
  });
});

describe("an invalid seed file is rejected with the path", () => {
  const good = () => JSON.parse(JSON.stringify(seed(organization(1)))) as ReturnType<typeof seed>;
  const first = (edit: (one: ReturnType<typeof organization>) => void) => {
    const content = good();
    for (const one of content.organizations) edit(one);
    return content;
  };
  const without = (value: object, name: string) => {
    Reflect.deleteProperty(value, name);
  };

  test.concurrent.for<[string, unknown, RegExp]>([
    ["invalid JSON", "{", /JSON/],
    ["an empty object", {}, /organizations/],
    ["no organization", { organizations: [] }, /organizations/],
    ["an unknown field", { ...good(), extra: 1 }, /extra/],
    [
      "an unknown nested field",
      first((one) => Object.assign(one.subscription, { discount: 5 })),
      /organizations\S*0\S*subscription[\s\S]*discount/,
    ],
    ["a missing field", first((one) => without(one, "timeZone")), /organizations\S*0\S*timeZone/],
    ["a missing field of a user", first((one) => without(one.users[0] ?? {}, "password")), /users\S*0\S*password/],
    [
      "a price as a string",
      first((one) => Object.assign(one.subscription.unitPrice, { amount: "150" })),
      /unitPrice\S*amount/,
    ],
    [
      "a price as a float",
      first((one) => Object.assign(one.subscription.unitPrice, { amount: 150.5 })),
      /unitPrice\S*amount/,
    ],
    [
      "an unknown currency",
      first((one) => Object.assign(one.subscription.unitPrice, { currency: "ZZZ" })),
      /unitPrice\S*currency/,
    ],
    ["a tax rate as a number", first((one) => Object.assign(one.subscription, { taxRate: 20 })), /taxRate/],
    ["an unknown zone", first((one) => Object.assign(one, { timeZone: "Mars/Olympus" })), /timeZone/],
    [
      "a date that does not exist",
      first((one) => Object.assign(one.subscription, { anchorDate: "2026-02-29" })),
      /anchorDate/,
    ],
    [
      "a start date after today",
      first((one) => Object.assign(one.subscription, { anchorDate: "2026-11-24" })),
      /anchorDate/,
    ],
    ["an interval of a week", first((one) => Object.assign(one.subscription, { interval: "week" })), /interval/],
    [
      "a count of 121 intervals",
      first((one) => Object.assign(one.subscription, { intervalCount: 121 })),
      /intervalCount/,
    ],
    ["negative licenses", first((one) => Object.assign(one.subscription, { licenses: -1 })), /licenses/],
    ["more used than purchased", first((one) => Object.assign(one, { usedLicenses: 26 })), /usedLicenses/],
    ["an unknown payment method", first((one) => Object.assign(one, { paymentMethod: "cash" })), /paymentMethod/],
    [
      "an unknown scope",
      first((one) => Object.assign(one.tokens[0] ?? {}, { scopes: ["everything"] })),
      /tokens\S*0\S*scopes/,
    ],
    [
      "a token of an unknown user",
      first((one) => Object.assign(one.tokens[0] ?? {}, { userEmail: "no@one.example" })),
      /tokens\S*0\S*userEmail/,
    ],
    [
      "two organizations with the same ID",
      seed(organization(1), organization(1, { tokens: [] })),
      /organizations\S*1\S*id/,
    ],
    ["a duplicate token", seed(organization(1), organization(2, { tokens: [token(1, {})] })), /tokens/],
    ["a duplicate user", first((one) => one.users.push(user({}))), /users\S*1\S*email/],
  ])("%s", async ([, content, path], { expect }) => {
    const run = await runCli(
      [
        "sandbox",
        "--port",
        "0",
        "--ephemeral",
        "--json",
        "--now",
        "2026-11-22T12:00:00Z",
        "--seed",
        await seedFile(content),
      ],
      { timeout: 20_000 },
    );
    expect(run).toMatchObject({ exitCode: 2, stdout: "" });
    expect(`${errorOf(run).message} ${errorOf(run).hint}`).toMatch(path);
  });

  test("is shown to people too, without control characters", async () => {
    const path = await seedFile(first((one) => Object.assign(one, { "\u001b[31mred": 1 })));
    const run = await runCli(["sandbox", "--port", "0", "--ephemeral", "--seed", path], { timeout: 15_000 });
    expect(run).toMatchObject({ exitCode: 2, stdout: "" });
    expect(run.stderr).toContain("red");
    expect(run.stderr).not.toContain("\u001b");
  });
});

describe("sandbox clock", () => {
  test("shows and advances by days, to a date, to an instant; never back; only in a loopback sandbox", async () => {
    const sandbox = await startSandbox({ seed: seed(organization(1)) });
    const url = { SECUREFLAG_API_URL: sandbox.ready.url };
    const clock = (...args: string[]) => runCli(["sandbox", "clock", ...args, "--json"], { env: url });
    try {
      expect(resultOf(await clock("show"))).toMatchObject({ now: expect.stringMatching(/^2026-11-22T12:0/) });
      expect(resultOf(await clock("advance", "--by", "3"))).toMatchObject({
        now: expect.stringMatching(/^2026-11-25T12:0/),
        renewals: [],
      });
      expect(resultOf(await sandbox.cli(1, ["status", "--json"]))).toMatchObject({ term: { daysRemaining: 96 } });
      expect((await clock("advance", "--to", "2026-12-01")).exitCode).toBe(0);
      expect(resultOf(await sandbox.cli(1, ["status", "--json"]))).toMatchObject({ term: { daysRemaining: 90 } });
      expect((await clock("advance", "--to", "2026-12-01T18:30:00Z")).exitCode).toBe(0);
      expect(resultOf(await clock("show"))).toMatchObject({ now: expect.stringMatching(/^2026-12-01T18:3/) });
      const back = await clock("advance", "--to", "2026-11-30");
      expect(errorOf(back)).toMatchObject({ exitCode: 2, code: "clock_moves_forward_only" });
      const nobodys = await clock("advance", "--to-renewal", "--org", "77");
      expect(errorOf(nobodys)).toMatchObject({ exitCode: 2, code: "not_found" });
      for (const args of [
        ["advance"],
        ["advance", "--by", "-1"],
        ["advance", "--by", "x"],
        ["advance", "--to", "soon"],
      ]) {
        expect((await clock(...args)).exitCode).toBe(2);
      }
      const far = await runCli([
        "sandbox",
        "clock",
        "show",
        "--api-url",
        "https://api.secureflag.com/rest/management/v2",
      ]);
      expect(far).toMatchObject({ exitCode: 2, stdout: "" });
    } finally {
      await sandbox.stop();
    }
  });

  test("makes an earlier quote stale; the next one is priced for the new day", async () => {
    const sandbox = await startSandbox({ seed: seed(organization(1)) });
    try {
      const token = "sfl_sandbox_ci_1";
      const quote = await sandbox.request("POST", "/organizations/1/quotes", { token, body: { licenses: 5 } });
      const { id } = quote.body as { id: string };
      await sandbox.request("POST", "//sandbox/clock", { body: { days: 1 } });
      const headers = { "idempotency-key": "late" };
      const late = await sandbox.request("POST", "/organizations/1/purchases", {
        token,
        headers,
        body: { quoteId: id },
      });
      expect(late).toMatchObject({ status: 409, body: { code: "quote_expired" } });
      expect(resultOf(await sandbox.cli(1, ["quote", "5", "--json"]))).toMatchObject({
        purchaseDate: "2026-11-23",
        term: { daysRemaining: 98 },
      });
    } finally {
      await sandbox.stop();
    }
  });

  test("rejects a non-loopback host, against DNS rebinding", async () => {
    const sandbox = await startSandbox();
    try {
      const status = await new Promise<number>((resolve, reject) => {
        const request = get(`${sandbox.origin}/sandbox`, { headers: { host: "evil.example" } }, (response) => {
          response.resume();
          resolve(response.statusCode ?? 0);
        });
        request.on("error", reject);
      });
      expect(status).toBeGreaterThanOrEqual(400);
      expect((await sandbox.request("GET", "//sandbox")).status).toBe(200);
    } finally {
      await sandbox.stop();
    }
  });
});
