import { EventEmitter } from "node:events";
import type { BackendDeps } from "../deps.ts";
import { BackendError, describeError } from "../errors.ts";
import { GatewayUnavailable, type PaymentGateway } from "../payments/gateway.ts";
import { testGateway } from "../payments/testGateway.ts";
import type { WorkerDeps } from "../purchases/worker.ts";
import { startDatabaseClock } from "./clock.ts";
import type { ServiceSettings } from "./settings.ts";
import { withSchema } from "./store.ts";

/** Opens the payment provider of a service. */
export async function openGateway(
  _payments: ServiceSettings["payments"],
  deps: Parameters<typeof testGateway>[0],
): Promise<PaymentGateway> {
  return testGateway(deps);
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
      const deps = { ...machine, database, clock, now: clock.now, changes: new EventEmitter(), log };
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

/** The error of a provider that did not answer. */
export function providerSilent(cause: GatewayUnavailable): BackendError {
  return new BackendError("unavailable", "The payment provider did not answer", {}, {}, null, { cause });
}
