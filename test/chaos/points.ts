import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { runCli, startCli } from "../support/cli.ts";
import { temporaryDirectory } from "../support/places.ts";
import { environmentFor, startSandbox } from "../support/sandbox.ts";
import { ADMIN, organization, PASSWORD, seed } from "../support/seed.ts";
import { checkInvariants, type Tally } from "./ledger.ts";

/** The crash points of a purchase without a person (src/backend/README.md, Crash points); `pagePoints.ts` has the others. */
const CLI_POINTS = ["C0", "C1", "C2", "C3", "C6"];
const BACKEND_POINTS = ["B0", "B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B9", "B10"];

/** Delays, in milliseconds, around the time in which a start creates and seeds its tables. */
const START_MOMENTS = [90, 110, 130, 150, 170, 190, 210, 230];

const BUY = ["buy", "5", "--yes", "--json", "--timeout", "5"];
const KILLED = 137;

/** Kills a process with `kill -9` at every crash point, recovers, and checks the result. */
export async function killAtEveryPoint(tally: Tally): Promise<void> {
  for (const point of CLI_POINTS) await killCli(point, tally);
  for (const point of BACKEND_POINTS) await killBackend(point, tally);
  await killRefresh(tally);
  for (const milliseconds of START_MOMENTS) await killStart(milliseconds, tally);
}

/** A sandbox killed while it created its data starts again and works. */
async function killStart(milliseconds: number, tally: Tally): Promise<void> {
  const data = join(await temporaryDirectory(), "data");
  const starting = await startCli(["sandbox", "--port", "0", "--data", data, "--json"]);
  await sleep(milliseconds);
  starting.kill("SIGKILL");
  await starting.ended;
  tally.kills += 1;
  const sandbox = await startSandbox({ data, now: null });
  tally.expect(sandbox.ready.organizationId === 4201, `killed after ${milliseconds} ms: ${sandbox.stderr}`);
  await sandbox.stop();
}

/** C4: the backend rotated the refresh token, but the client never saved the new one. The old one works once more. */
async function killRefresh(tally: Tally): Promise<void> {
  const sandbox = await startSandbox({ seed: seed(organization(1)) });
  const env = { SECUREFLAG_API_URL: sandbox.ready.url };
  try {
    const login = ["login", "--email", ADMIN, "--password-stdin", "--insecure-storage"];
    const { home, exitCode } = await runCli(login, { env, input: PASSWORD });
    tally.expect(exitCode === 0, `C4: sign-in ended ${exitCode}`);
    const path = join(home, "config", "credentials.json");
    const stored = JSON.parse(await readFile(path, "utf8"));
    stored.profiles.default.accessExpiresAt = 1;
    await writeFile(path, JSON.stringify(stored));
    const killed = await runCli(["status"], { home, env: { SECUREFLAG_CRASH_AT: "C4" } });
    tally.kills += 1;
    tally.expect(killed.exitCode === KILLED, `C4: was not reached (exit ${killed.exitCode}) ${killed.stderr}`);
    for (const args of [["status"], BUY]) {
      const again = await runCli(args, { home });
      tally.expect(again.exitCode === 0, `C4: ${args[0]} afterwards ended ${again.exitCode} ${again.stderr}`);
    }
    await checkInvariants(sandbox, 1, 25, tally);
  } finally {
    await sandbox.stop();
  }
}

async function killCli(point: string, tally: Tally): Promise<void> {
  const sandbox = await startSandbox({ seed: seed(organization(1)) });
  try {
    const killed = await sandbox.cli(1, BUY, { env: { SECUREFLAG_CRASH_AT: point } });
    tally.kills += 1;
    tally.expect(killed.exitCode === KILLED, `${point}: was not reached (exit ${killed.exitCode}) ${killed.stderr}`);
    const again = await sandbox.cli(1, BUY, { home: killed.home });
    tally.expect(again.exitCode === 0, `${point}: running again ended ${again.exitCode} ${again.stderr}`);
    const purchases = await checkInvariants(sandbox, 1, 25, tally);
    tally.expect(purchases.length === 1, `${point}: ${purchases.length} purchases where one was meant`);
  } finally {
    await sandbox.stop();
  }
}

async function killBackend(point: string, tally: Tally): Promise<void> {
  const data = join(await temporaryDirectory(), "data");
  const armed = await startSandbox({ data, seed: seed(organization(1)), env: { SECUREFLAG_CRASH_AT: point } });
  const port = Number(new URL(armed.ready.url).port);
  const buying = armed.cli(1, BUY, { timeout: 150_000 });
  await armed.died();
  tally.kills += 1;
  const sandbox = await startSandbox({ data, port, now: null });
  try {
    const first = await buying;
    const env = environmentFor(sandbox.ready.url, 1);
    const last = first.exitCode === 10 ? await runCli(BUY, { home: first.home, env }) : first;
    tally.expect(last.exitCode === 0, `${point}: the purchase ended ${last.exitCode} ${last.stderr}`);
    const purchases = await checkInvariants(sandbox, 1, 25, tally);
    tally.expect(purchases.length === 1, `${point}: ${purchases.length} purchases where one was meant`);
  } finally {
    await sandbox.stop();
  }
}
