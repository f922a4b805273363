import { BASE_PATH } from "../../src/contract/constants.ts";
import { runCli } from "../support/cli.ts";
import { freePort } from "../support/ports.ts";
import { seedFile } from "../support/sandbox.ts";
import type { SeedOrganization } from "../support/seed.ts";
import { type RunningService, serviceEnvironment, startService } from "../support/service.ts";
import { WaitError, waitFor } from "../support/wait.ts";
import type { Cluster } from "./serviceCluster.ts";

/** How an instance is started. */
interface StartOptions {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** The database, if not at the cluster's own address. */
  readonly databaseUrl?: string;
}

/** Instances of the service on one database, by number, each with a port that it keeps when it is started again. */
export interface Fleet {
  readonly cluster: Cluster;
  /** The address of the API of an instance, whether or not it runs at the moment. */
  url(number: number): string;
  /** The process that was started last. */
  instance(number: number): RunningService;
  start(number: number, options?: StartOptions): Promise<RunningService>;
  /** Waits for the end. Returns the exit code, which is 128 + the number of the signal that killed it. */
  ended(number: number): Promise<number>;
  /** Sends a signal and waits for the end. */
  end(number: number, signal: NodeJS.Signals): Promise<number>;
  stop(): Promise<void>;
}

/** The exit code of a process that was killed. */
export const KILLED = 137;

/**
 * Arms a crash point (src/backend/README.md, Crash points).
 *
 * @param time at which time it is reached
 */
export function armed(point: string, action: "kill" | "pause" = "kill", time = 1): Record<string, string> {
  return { SECUREFLAG_CRASH_AT: `${point}:${time}:${action}` };
}

/** Who is paid: flags and environment of every instance, and of the operator's commands. */
export interface Provider {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

const TEST_CARDS: Provider = { args: ["--payments", "sandbox", "--test-mode"], env: {} };

/** More than a run takes. */
const FOREVER_MS = 86_400_000;

/** How often an instance is started while the database is away. */
const MAX_STARTS = 60;

const END_MS = 40_000;

/** Migrates the cluster's database, imports organizations, and prepares instances without starting one. */
export async function createFleet(
  cluster: Cluster,
  organizations: readonly SeedOrganization[],
  provider: Provider = TEST_CARDS,
): Promise<Fleet> {
  const operatorEnv = { ...serviceEnvironment(cluster), ...provider.env };
  await operate(operatorEnv, ["serve", "migrate"]);
  await operate(operatorEnv, ["serve", "admin", "import", await seedFile({ organizations }), ...provider.args]);
  const running = new Map<number, RunningService>();
  const ends = new Map<RunningService, number>();
  const ports = new Map<number, number>();
  const instance = (number: number) => {
    const found = running.get(number);
    if (!found) throw new WaitError(`Instance ${number} was never started`);
    return found;
  };
  const ended = (number: number) => {
    const service = instance(number);
    return waitFor(() => ends.get(service), END_MS, `instance ${number} to end`);
  };
  return {
    cluster,
    url: (number) => `http://127.0.0.1:${ports.get(number)}${BASE_PATH}`,
    instance,
    async start(number, { args = [], env = {}, databaseUrl = cluster.url } = {}) {
      const port = ports.get(number) ?? (await freePort());
      ports.set(number, port);
      const flags = ["--port", String(port), ...provider.args, ...args];
      const settings = { env: { ...provider.env, ...env }, timeout: FOREVER_MS };
      const service = await startWhenPossible(() => startService({ url: databaseUrl }, flags, settings));
      running.set(number, service);
      void service.process.ended.then(({ exitCode }) => ends.set(service, exitCode));
      return service;
    },
    ended,
    end(number, signal) {
      instance(number).process.kill(signal);
      return ended(number);
    },
    async stop() {
      for (const service of running.values()) service.process.kill("SIGKILL");
      await Promise.all([...running.values()].map((service) => service.process.ended));
    },
  };
}

async function startWhenPossible(start: () => Promise<RunningService>): Promise<RunningService> {
  for (let starts = 1; ; starts += 1) {
    try {
      return await start();
    } catch (error) {
      const isAway = error instanceof WaitError && error.message.includes("database_unreachable");
      if (!isAway || starts >= MAX_STARTS) throw error;
    }
  }
}

/** Runs a command of the operator. */
async function operate(env: Readonly<Record<string, string>>, args: readonly string[]): Promise<void> {
  const { exitCode, stderr } = await runCli([...args, "--json"], { env });
  if (exitCode !== 0) throw new WaitError(`${args.join(" ")} ended ${exitCode}: ${stderr}`);
}
