import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Purchase } from "../../src/contract/billing.ts";
import { runCli, startCli } from "../support/cli.ts";
import { type Fault, FaultProxy } from "../support/faultProxy.ts";
import { SECOND, SECRETS, setThreshold } from "../support/fourEyes.ts";
import { temporaryDirectory } from "../support/places.ts";
import { environmentFor, type RunningSandbox, startSandbox } from "../support/sandbox.ts";
import { organization, seed, user } from "../support/seed.ts";
import { administrator, decideOnAll, expectApproved, type Office, THRESHOLD } from "./administrators.ts";
import { checkInvariants, type Tally } from "./ledger.ts";
import { person, type Street, tidyUp } from "./persons.ts";
import { Random } from "./random.ts";

const CARDS = [
  "card_ok",
  "card_ok",
  "card_processing",
  "card_timeout",
  "card_declined",
  "card_requires_approval",
  "card_requires_approval",
  null,
];
/** The organizations with a threshold, by number: two that pay at once, and one that asks the payer. */
const CONTROLLED = [1, 4, 7];
const CLIENTS = 4;
const PERSONS = 3;
const FAULTS: readonly Fault[] = [
  { kind: "drop", when: "before" },
  { kind: "drop", when: "after" },
  { kind: "reset", when: "after" },
  { kind: "cut" },
  { kind: "html", when: "after" },
  { kind: "delay", when: "after", ms: 400 },
  { kind: "status", when: "after", status: 503 },
  { kind: "status", when: "before", status: 429, retryAfter: "1" },
];
/** Exit codes after which to run again. 9: the subscription changed and nothing was bought; 10: unknown; 137: killed. */
const RUN_AGAIN = [9, 10, 137];
/** The exit code while a person has not approved yet. */
const WAITS = 8;
const KILLED = 137;

/** An order to buy exactly once, whatever happens to the programs that do it. */
interface Job {
  readonly organizationId: number;
  readonly licenses: number;
  readonly note: string;
  readonly home: string;
  /** Whether other commands use that home: then `purchases resume` of one may print the result of another's order. */
  readonly isHomeShared: boolean;
  exitCode: number | null;
  /** Whether a command ended because a person has to act first. */
  waits: boolean;
}

/** The shared state of a storm: the backend that is killed and restarted, the faulty network, and the deadline. */
interface Weather {
  readonly random: Random;
  readonly tally: Tally;
  readonly proxy: FaultProxy;
  readonly until: number;
  /** A home that several clients share, like the jobs of one machine. */
  readonly sharedHome: string;
  sandbox: RunningSandbox;
}

/**
 * Lets many clients buy while they and the backend are killed at random and the network loses answers. Then runs
 * everything to its end, and checks it.
 *
 * @param seconds how long to kill and lose
 * @param number the seed of the random choices
 */
export async function storm(seconds: number, number: number, tally: Tally): Promise<void> {
  const data = join(await temporaryDirectory(), "data");
  const users = [user({}), user({ email: SECOND, totpSecret: SECRETS[SECOND] ?? null })];
  const organizations = CARDS.map((paymentMethod, index) => organization(index + 1, { paymentMethod, users }));
  await (await startSandbox({ data, seed: seed(...organizations) })).stop();
  setThreshold(data, CONTROLLED, THRESHOLD);
  const sandbox = await startSandbox({ data, now: null });
  const proxy = await FaultProxy.start(sandbox.ready.url);
  const until = performance.now() + seconds * 1000;
  const sharedHome = await temporaryDirectory();
  const weather: Weather = { random: new Random(number), tally, proxy, until, sharedHome, sandbox };
  const street = streetOf(
    weather,
    organizations.map(({ id }) => id),
  );
  const office: Office = { random: weather.random, tally, controlled: CONTROLLED, sandbox: () => weather.sandbox };
  try {
    const clients = Array.from({ length: CLIENTS }, () => client(weather));
    const persons = Array.from({ length: PERSONS }, () => person(street, until));
    const administrators = [administrator(office, until)];
    await Promise.all([killBackends(weather, data), breakNetwork(weather), ...clients, ...persons, ...administrators]);
    proxy.heal();
    const jobs = (await Promise.all(clients)).flat();
    for (const job of jobs) await finish(weather, job);
    await decideOnAll(office);
    await tidyUp(street);
    // Paying a declined purchase again may have to be approved as well.
    await decideOnAll(office);
    await settleAll(weather.sandbox);
    await finishWaiting(
      weather,
      jobs.filter(({ exitCode }) => exitCode === null),
    );
    for (const { id } of organizations) {
      const purchases = await check(weather.sandbox, id, jobs, street);
      expectApproved(office, id, purchases);
    }
  } finally {
    await proxy.close();
    await weather.sandbox.stop();
  }
}

function streetOf(weather: Weather, organizations: readonly number[]): Street {
  const { random, tally, proxy } = weather;
  return {
    random,
    tally,
    organizations,
    revived: new Set(),
    proxyUrl: () => proxy.url,
    sandbox: () => weather.sandbox,
  };
}

async function client(weather: Weather): Promise<Job[]> {
  const jobs: Job[] = [];
  const name = Math.floor(weather.random.next() * 2 ** 32).toString(36);
  while (performance.now() < weather.until) {
    const isHomeShared = weather.random.next() < 0.6;
    const job: Job = {
      organizationId: weather.random.between(1, CARDS.length),
      licenses: weather.random.between(1, 4),
      note: `job ${name}-${jobs.length}`,
      home: isHomeShared ? weather.sharedHome : await temporaryDirectory(),
      isHomeShared,
      exitCode: null,
      waits: false,
    };
    jobs.push(job);
    while (job.exitCode === null && performance.now() < weather.until)
      await attempt(weather, job, weather.random.next() < 0.4);
  }
  return jobs;
}

/** Runs the job's command once, or follows a purchase that waits for a person. May kill it at a random moment. */
async function attempt({ random, tally, proxy }: Weather, job: Job, kill: boolean): Promise<void> {
  const wait = ["--json", "--timeout", "3", "--wait", String(random.of([0, 1, 3]))];
  const isFollowed = job.waits && !job.isHomeShared && random.next() < 0.5;
  const command = isFollowed ? ["purchases", "resume"] : ["buy", String(job.licenses), "--yes", "--note", job.note];
  const running = await startCli([...command, ...wait], {
    home: job.home,
    env: environmentFor(proxy.url, job.organizationId),
    timeout: 200_000,
  });
  const patience = kill ? random.between(100, 1_500) : Number.POSITIVE_INFINITY;
  const timer = kill ? setTimeout(() => running.kill("SIGKILL"), patience) : undefined;
  const { exitCode: code, stdout, stderr } = await running.ended;
  clearTimeout(timer);
  if (code === KILLED) tally.kills += 1;
  // With the whole result there is no reason to run the command again.
  const end = endOf(job, stdout);
  if (end !== null) job.exitCode = end;
  else if (code === WAITS) job.waits = true;
  else if (!isFollowed && !RUN_AGAIN.includes(code)) tally.expect(false, `${job.note} ended ${code}: ${stderr}`);
}

/** How the job's purchase ended: 0 or 6, as its command would exit; `null` if the output does not have it. */
function endOf(job: Job, stdout: string): number | null {
  if (!stdout.endsWith("}\n")) return null;
  const { purchase, resumed = [purchase] }: { purchase?: Purchase; resumed?: (Purchase | undefined)[] } =
    JSON.parse(stdout);
  const shown = resumed.findLast((candidate) => candidate?.note === job.note);
  if (shown?.status === "succeeded") return 0;
  return shown?.status === "failed" ? 6 : null;
}

async function finish(weather: Weather, job: Job): Promise<void> {
  for (let attempts = 0; isOpen(job) && attempts < 10; attempts += 1) await attempt(weather, job, false);
  weather.tally.expect(!isOpen(job), `${job.note} never came to an end`);
}

function isOpen({ exitCode, waits }: Job): boolean {
  return exitCode === null && !waits;
}

/** Resumes orders that waited, which are now paid, canceled or expired. Resuming prints all orders of a home at once. */
async function finishWaiting({ proxy, tally }: Weather, waiting: readonly Job[]): Promise<void> {
  const left = new Set(waiting);
  for (const { home, organizationId } of waiting) {
    const jobs = [...left].filter((job) => job.home === home && job.organizationId === organizationId);
    if (jobs.length === 0) continue;
    const env = environmentFor(proxy.url, organizationId);
    const { stdout, stderr } = await runCli(["purchases", "resume", "--json"], { home, env });
    for (const job of jobs) {
      left.delete(job);
      job.exitCode = endOf(job, stdout);
      tally.expect(job.exitCode !== null, `${job.note} waited and never came to an end: ${stdout} ${stderr}`);
    }
  }
}

async function killBackends(weather: Weather, data: string): Promise<void> {
  const port = Number(new URL(weather.sandbox.ready.url).port);
  while (performance.now() < weather.until) {
    await sleep(weather.random.between(500, 4_000));
    await weather.sandbox.stop("SIGKILL");
    weather.tally.kills += 1;
    await sleep(weather.random.between(0, 1_000));
    weather.sandbox = await startSandbox({ data, port, now: null });
  }
}

async function breakNetwork({ random, tally, proxy, until }: Weather): Promise<void> {
  while (performance.now() < until) {
    await sleep(random.between(50, 400));
    proxy.heal();
    const fault = random.of(FAULTS);
    // An HTML page as the answer to a read is exit 1; as the answer to a purchase it must not be.
    const target =
      fault.kind === "html"
        ? { method: "POST", path: /purchases$/ }
        : { method: random.of(["GET", "POST"]), path: /./ };
    proxy.inject({ ...target, nth: random.between(1, 3), fault });
    tally.faults += 1;
  }
}

/** Waits until payments in progress have settled, before the clock moves. */
async function settleAll(sandbox: RunningSandbox): Promise<void> {
  await sandbox.request("POST", "//sandbox/clock", { body: { days: 1 } });
  await sandbox.request("POST", "//sandbox/clock", { body: { days: 1 } });
}

async function check(
  sandbox: RunningSandbox,
  organizationId: number,
  jobs: readonly Job[],
  { tally, revived }: Street,
): Promise<Purchase[]> {
  const purchases = await checkInvariants(sandbox, organizationId, 25, tally);
  for (const job of jobs.filter((candidate) => candidate.organizationId === organizationId)) {
    const bought = purchases.filter(({ note, status }) => note === job.note && status === "succeeded");
    // A person can pay a declined purchase, whatever its command did next.
    const byCommand = bought.filter(({ id }) => !revived.has(id));
    const isMeant = job.exitCode === 0 ? bought.length > 0 && byCommand.length <= 1 : byCommand.length === 0;
    tally.expect(isMeant, `${job.note} ended ${job.exitCode} and bought ${bought.length} times`);
    tally.expect(
      bought.every(({ licenses }) => licenses === job.licenses),
      `${job.note} bought another number of licenses`,
    );
  }
  return purchases;
}
