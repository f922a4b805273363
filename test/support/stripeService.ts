import { afterAll, beforeAll, expect } from "vitest";
import type { Purchase } from "../../src/contract/billing.ts";
import { BASE_PATH } from "../../src/contract/constants.ts";
import type { Capture } from "../stripe/controls.ts";
import type { RunningStandIn } from "../stripe/start.ts";
import { useStandIn } from "../stripe/useStandIn.ts";
import { errorOf, type RunOptions, type RunResult, resultOf, runCli } from "./cli.ts";
import { freePort } from "./ports.ts";
import { environmentFor } from "./sandbox.ts";
import { createDatabase, type RunningService, serviceEnvironment, startService, type TestDatabase } from "./service.ts";
import { waitFor } from "./wait.ts";

/** Two instances of the service, paid through a stand-in for Stripe, on a database of their own. */
export interface StripeService {
  readonly standIn: RunningStandIn;
  readonly database: TestDatabase;
  /** The origin of the first instance, where the pages are. */
  readonly origin: string;
  /** Runs a command of the operator, with `--json`. */
  operate(...words: string[]): Promise<RunResult>;
  /**
   * Runs the CLI with an organization's token: against one instance after the other without a home, and against the first with
   * one, whose journal belongs to an address.
   */
  cli(organizationId: number, words: readonly string[], options?: RunOptions): Promise<RunResult>;
  /** Buys a license, and returns the purchase and its page, which a person has to pay on. */
  buyWaiting(organizationId: number, options?: RunOptions): Promise<{ id: string; url: string }>;
  /** Waits until a purchase has a state. */
  until(purchaseId: string, state: string): Promise<void>;
  /** The money that Stripe took for an organization, newest first. */
  captures(organizationId: number): Promise<Capture[]>;
}

const START_MS = 120_000;

/** Starts the service before the tests of a file, and stops it after them. */
export function useStripeService(): StripeService {
  const standIn = useStandIn();
  const instances: RunningService[] = [];
  let database: TestDatabase;
  let env: Record<string, string>;
  let origin = "";
  let turn = 0;

  beforeAll(async () => {
    database = await createDatabase();
    const ports = [await freePort(), await freePort()];
    origin = `http://127.0.0.1:${ports[0]}`;
    const { key, webhookSecret, url } = standIn.ready;
    env = {
      ...serviceEnvironment(database),
      SECUREFLAG_PUBLIC_URL: origin,
      SECUREFLAG_STRIPE_KEY: key,
      SECUREFLAG_STRIPE_WEBHOOK_SECRETS: webhookSecret,
      SECUREFLAG_STRIPE_API_URL: url,
    };
    expect(await service.operate("serve", "migrate")).toMatchObject({ exitCode: 0 });
    for (const port of ports) {
      const flags = ["--payments", "stripe", "--port", String(port)];
      instances.push(await startService(database, flags, { env, timeout: 900_000 }));
    }
    const urls = ports.map((port) => `http://127.0.0.1:${port}/webhooks/stripe`);
    await standIn.control.setWebhooks({ urls });
  }, START_MS);

  afterAll(async () => {
    for (const { process } of instances) process.kill("SIGTERM");
    const ends = await Promise.all(instances.map(({ process }) => process.ended));
    await database.drop();
    expect(ends.map(({ exitCode }) => exitCode)).toEqual([0, 0]);
  });

  const service: StripeService = {
    standIn,
    get database() {
      return database;
    },
    get origin() {
      return origin;
    },
    operate: (...words) => runCli(withMode(words), { env }),
    cli(organizationId, words, options = {}) {
      turn += 1;
      const url =
        instances[options.home === undefined ? turn % instances.length : 0]?.ready.url ?? `${origin}${BASE_PATH}`;
      return runCli(words, { ...options, env: { ...environmentFor(url, organizationId), ...options.env } });
    },
    async buyWaiting(organizationId, options) {
      const run = await service.cli(organizationId, ["buy", "1", "--yes", "--json"], options);
      expect([run.exitCode, errorOf(run).code]).toEqual([8, "approval_required"]);
      const { purchase } = resultOf<{ purchase: Purchase }>(run);
      return { id: purchase.id, url: purchase.nextAction?.url ?? "" };
    },
    async until(purchaseId, state) {
      let last = "";
      const has = async () => {
        const [row] = await database.query("select state from purchases where id = $1", [purchaseId]);
        last = String(row?.state);
        return last === state;
      };
      await waitFor(has, 90_000, () => `${purchaseId} to be ${state}, not ${last}`);
    },
    async captures(organizationId) {
      const all = await standIn.control.captures();
      return all.filter(({ metadata }) => metadata.organizationId === String(organizationId));
    },
  };
  return service;
}

/** The commands that ask no provider do not take `--test-mode`. */
const ASK_NOBODY = ["migrate", "create-administrator", "list-review"];

function withMode(words: readonly string[]): string[] {
  const asksNobody = words.some((word) => ASK_NOBODY.includes(word));
  return [...words, "--json", ...(asksNobody ? [] : ["--test-mode"])];
}
