import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RunResult, resultOf, runCli } from "../support/cli.ts";
import { removePlaces, temporaryDirectory } from "../support/places.ts";
import { type RunningSandbox, startSandbox } from "../support/sandbox.ts";
import { ADMIN, organization, seed, token, user } from "../support/seed.ts";
import { KEYS, runInTerminal } from "../support/terminal.ts";
import { freshCode } from "../support/totp.ts";

/** Marked secrets: finding one of them anywhere is a leak. */
const CANARY_PASSWORD = "canary-Passw0rd-7f3a91";
const WRONG_PASSWORD = "canary-Wr0ng-5b20cc";
const CANARY_TOKEN = "sfl_canary_token_c41d9e";
const DEAD_TOKEN = "sfl_canary_dead_88ab02";
/** No other test's, because those that run meanwhile give their codes as arguments. */
const TOTP_SECRET = "MNQW4YLSPFBWC3TBOJ4UGYLOMFZHSQ3B";

const FIRST_LOOKS = 5;

const found: string[] = [];
const codes: string[] = [];
const issued: string[] = [];

let sandbox: RunningSandbox;
let data: string;
let watch: NodeJS.Timeout;
/** How often each process was looked at. */
let looks = new Map<string, number>();

beforeAll(async () => {
  data = join(await temporaryDirectory(), "data");
  sandbox = await startSandbox({
    data,
    now: null,
    seed: seed(
      organization(1, {
        users: [user({ password: CANARY_PASSWORD, totpSecret: TOTP_SECRET })],
        tokens: [token(1, { token: CANARY_TOKEN })],
      }),
    ),
  });
  watch = setInterval(() => void lookAtProcesses(), 20);
});

afterAll(async () => {
  clearInterval(watch);
  await sandbox?.stop();
  await removePlaces();
});

const secrets = () => [CANARY_PASSWORD, WRONG_PASSWORD, CANARY_TOKEN, DEAD_TOKEN, ...codes, ...issued];

/** A code is six digits, which stand in other numbers by chance. */
function holds(text: string, secret: string): boolean {
  return /^\d{6}$/.test(secret) ? new RegExp(`(?<![\\w.-])${secret}(?![\\w.-])`).test(text) : text.includes(secret);
}

function look(where: string, text: string, among = secrets()): void {
  for (const secret of among) if (holds(text, secret)) found.push(`${secret} in ${where}`);
}

/**
 * The arguments of every process of this machine, as any of its users may read them. They stay as they are once a
 * process runs its own program, so that the first looks at it are enough.
 */
async function lookAtProcesses(): Promise<void> {
  const running = (await readdir("/proc").catch(() => [])).filter((name) => /^\d+$/.test(name));
  looks = new Map(running.map((pid) => [pid, (looks.get(pid) ?? 0) + 1]));
  for (const [pid, times] of looks) {
    if (times > FIRST_LOOKS) continue;
    const line = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (line.includes("secureflag-licenses")) look(`the arguments of process ${pid}`, line);
  }
}

async function lookAtFiles(directory: string, but: RegExp): Promise<number> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && !but.test(entry.name));
  for (const { parentPath, name } of files) look(name, await readFile(join(parentPath, name), "latin1"));
  return files.length;
}

/** Runs a command, with `--verbose` unless it prints JSON, and looks at all that it said. */
async function run(args: readonly string[], options: Parameters<typeof runCli>[1]): Promise<RunResult> {
  const result = await runCli(args.includes("--json") ? args : [...args, "--verbose"], options);
  look(`stdout of ${args.join(" ")}`, result.stdout);
  look(`stderr of ${args.join(" ")}`, result.stderr);
  return result;
}

const COMMANDS = [
  ["whoami"],
  ["status"],
  ["organizations", "list"],
  ["quote", "2"],
  ["buy", "1", "--yes"],
  ["purchases", "list"],
  ["purchases", "resume"],
  ["purchases", "show", "pur_unknown"],
  ["purchases", "receipt", "pur_unknown"],
  ["purchases", "pay", "pur_unknown", "--yes"],
  ["purchases", "cancel", "pur_unknown", "--yes"],
  ["tokens", "list"],
  ["tokens", "revoke", "tok_unknown", "--yes"],
  ["profiles", "list"],
  ["profiles", "use", "nobody"],
  ["profiles", "remove", "nobody", "--yes"],
  ["sandbox", "clock", "show"],
];

describe("marked secrets pass through every command and stay hidden", () => {
  test("with password and code typed in a terminal, then every command with that sign-in", {
    timeout: 180_000,
  }, async () => {
    const code = await freshCode(TOTP_SECRET);
    codes.push(code);
    const args = ["login", "--email", ADMIN, "--insecure-storage", "--verbose"];
    const terminal = await runInTerminal(args, { env: { SECUREFLAG_API_URL: sandbox.ready.url } });
    await terminal.waitForText("Password");
    terminal.type(`${CANARY_PASSWORD}${KEYS.enter}`);
    await terminal.waitForText(/code/i);
    terminal.type(`${code}${KEYS.enter}`);
    expect(await terminal.exitCode()).toBe(0);
    look("the terminal of login", terminal.raw());

    const { home } = terminal;
    const stored = JSON.parse(await readFile(join(home, "config", "credentials.json"), "utf8"));
    issued.push(stored.profiles.default.accessToken, stored.profiles.default.refreshToken);
    for (const command of COMMANDS) await run(command, { home });
    const created = await run(["tokens", "create", "--name", "ci", "--scopes", "billing:read", "--json"], { home });
    const secret = resultOf<{ token: string }>(created).token;
    expect(secret).toMatch(/^sfl_/);
    issued.push(secret);
    await run(["tokens", "list"], { home });
    await run(["buy", "1", "--yes"], { home, env: { SECUREFLAG_API_URL: "http://127.0.0.1:9", CI: "true" } });
    await lookAtFiles(home, /^credentials\.json$/);
    await run(["logout"], { home });
    expect(found).toEqual([]);
  });

  test("with a token from the environment, a revoked one, and a token on stdin", { timeout: 180_000 }, async () => {
    const env = { SECUREFLAG_API_URL: sandbox.ready.url };
    for (const command of COMMANDS) {
      await run([...command, "--json"], { env: { ...env, SECUREFLAG_API_TOKEN: CANARY_TOKEN } });
      await run(command, { env: { ...env, SECUREFLAG_API_TOKEN: DEAD_TOKEN } });
    }
    const home = await temporaryDirectory();
    await run(["login", "--with-token", "--insecure-storage"], { home, env, input: `${CANARY_TOKEN}\n` });
    await run(["login", "--with-token", "--insecure-storage"], { home, env, input: `${DEAD_TOKEN}\n` });
    await lookAtFiles(home, /^credentials\.json$/);
    expect(found).toEqual([]);
  });

  test("with a password on stdin that is wrong, right without a code, and never sent", async () => {
    const login = ["login", "--email", ADMIN, "--password-stdin", "--insecure-storage"];
    const env = { SECUREFLAG_API_URL: sandbox.ready.url };
    const wrong = await run(login, { env, input: `${WRONG_PASSWORD}\n` });
    const withoutCode = await run(login, { env, input: `${CANARY_PASSWORD}\n` });
    const nowhere = { SECUREFLAG_API_URL: "http://127.0.0.1:9/rest/management/v2" };
    const unsent = await run([...login, "--timeout", "1"], { env: nowhere, input: `${CANARY_PASSWORD}\n` });
    expect([wrong.exitCode, withoutCode.exitCode, unsent.exitCode]).toEqual([4, 4, 10]);
    expect(found).toEqual([]);
  });

  test("in the backend, which stores and logs none readable", async () => {
    look("the log of the backend", sandbox.stderr);
    expect(await lookAtFiles(data, /^$/)).toBeGreaterThan(0);
    expect(found).toEqual([]);
  });

  test("would be detected by this check", () => {
    look("a place that leaks", `password=${CANARY_PASSWORD} code ${codes[0]} `);
    expect(found.splice(0)).toHaveLength(2);
  });
});
