import { EventEmitter } from "node:events";
import type { BackendDeps } from "../deps.ts";
import { BackendError, describeError, startError } from "../errors.ts";
import { GatewayUnavailable, type PaymentGateway } from "../payments/gateway.ts";
import type { StripeCall } from "../payments/stripe/client.ts";
import { testGateway } from "../payments/testGateway.ts";
import type { WorkerDeps } from "../purchases/worker.ts";
import { startDatabaseClock } from "./clock.ts";
import { readNotedSeller } from "./sellerSetting.ts";
import type { ServiceSettings } from "./settings.ts";
import { withSchema } from "./store.ts";

/** What a provider takes from a service. */
interface ProviderDeps extends TestGatewayDeps {
  /** Milliseconds that never go back. */
  monotonic(): number;
  /** Called after each request to Stripe. */
  readonly observeCall?: (call: StripeCall) => void;
  /** The seller's name on the payment page while the account's is not known; absent without pages. */
  readonly fallbackSeller?: string;
}

type TestGatewayDeps = Parameters<typeof testGateway>[0];

/** Opens the payment provider of a service. Stripe's client is loaded only where it is needed. */
export async function openGateway(payments: ServiceSettings["payments"], deps: ProviderDeps): Promise<PaymentGateway> {
  if (payments.provider === "sandbox") return testGateway(deps);
  const { openStripeGateway } = await import("../payments/stripe/open.ts");
  const { observeCall, fallbackSeller } = deps;
  const seller = payments.seller ?? (fallbackSeller === undefined ? "" : null);
  const observed = observeCall && { observe: observeCall };
  return openStripeGateway({ ...payments, ...deps, ...observed, seller, fallback: fallbackSeller ?? "" });
}

/** What a command takes from its machine. */
export interface CommandDeps extends Pick<BackendDeps, "now" | "random" | "reach"> {
  /** Milliseconds that never go back. */
  monotonic(): number;
  log(line: string): void;
}

/**
 * Runs the work of a command on the store of a service and with its payment provider, by the database's clock.
 *
 * @throws BackendError `unavailable` without an answer from the provider, `schema_mismatch`, `database_unreachable`, or
 *   what `work` throws
 */
export function withProvider<Result>(
  settings: Pick<ServiceSettings, "database" | "payments">,
  machine: CommandDeps,
  work: (deps: WorkerDeps) => Promise<Result>,
): Promise<Result> {
  return withSchema(
    settings.database,
    machine.log,
    async (database) => {
      const clock = await startDatabaseClock(database, machine);
      const log = (line: string, error?: unknown) =>
        machine.log(error === undefined ? line : `${line}: ${describeError(error)}`);
      const seller = await readNotedSeller(database);
      const deps = { ...machine, database, seller, clock, now: clock.now, changes: new EventEmitter(), log };
      try {
        return await work({ ...deps, gateway: await openGateway(settings.payments, deps) });
      } catch (error) {
        throw error instanceof GatewayUnavailable ? providerSilent(error) : error;
      } finally {
        clock.stop();
      }
    },
    CONNECTIONS,
  );
}

/** A purchase that is advanced renews its lease at the same time. */
const CONNECTIONS = 4;

/** Returns the error for a provider that did not answer, or that rejects the key. */
export function providerSilent(cause: GatewayUnavailable): BackendError {
  const { statusCode } = (cause.cause ?? {}) as { statusCode?: number };
  if (statusCode !== 401 && statusCode !== 403) {
    return new BackendError("unavailable", "The payment provider did not answer", {}, {}, null, { cause });
  }
  const problem =
    statusCode === 401 ? "Stripe rejects SECUREFLAG_STRIPE_KEY" : "SECUREFLAG_STRIPE_KEY lacks a permission";
  return startError("settings_invalid", problem, "Run `secureflag-licenses serve check` to see what is wrong.", {
    cause,
  });
}
