import { EventEmitter } from "node:events";
import type { BackendDeps } from "../deps.ts";
import { BackendError, describeError } from "../errors.ts";
import { GatewayUnavailable } from "../payments/gateway.ts";
import { testGateway } from "../payments/testGateway.ts";
import { startDatabaseClock } from "./clock.ts";
import { readHold, releaseBuying } from "./holding.ts";
import { type Reconciliation, reconcile } from "./reconcile.ts";
import type { ServiceSettings } from "./settings.ts";
import { withSchema } from "./store.ts";

/** What the command takes from its machine. */
interface CommandDeps extends Pick<BackendDeps, "now" | "random" | "reach"> {
  /** Milliseconds that never go back. */
  monotonic(): number;
  log(line: string): void;
}

/** A reconciliation, and what became of the hold on buying. */
export interface ReconciledService extends Reconciliation {
  /** `none` without a hold; `kept` if differences are left, or payments before `from` may be missing. */
  readonly hold: "none" | "released" | "kept";
  /** From when on the hold needs the payments reconciled, milliseconds; `null` if that is not known. */
  readonly heldSince: number | null;
}

/**
 * Reconciles the payments of a service since an instant (see `reconcile`), and releases buying if no difference is left and
 * nothing older can be missing.
 *
 * @throws BackendError `unavailable` without an answer from the provider, `schema_mismatch`, `database_unreachable`
 */
export function reconcileService(
  settings: Pick<ServiceSettings, "database" | "payments">,
  from: number,
  machine: CommandDeps,
): Promise<ReconciledService> {
  return withSchema(
    settings.database,
    machine.log,
    async (database) => {
      const clock = await startDatabaseClock(database, machine);
      const log = (line: string, error?: unknown) =>
        machine.log(error === undefined ? line : `${line}: ${describeError(error)}`);
      const deps = { ...machine, database, clock, now: clock.now, changes: new EventEmitter(), log };
      try {
        const before = await readHold(database);
        const result = await reconcile({ ...deps, gateway: testGateway(deps) }, { from });
        const isComplete = before !== null && (before.since === null || from <= before.since);
        const isReleased = isComplete && result.findings.length === 0 && (await releaseBuying(database));
        const hold = before === null ? "none" : isReleased ? "released" : "kept";
        return { ...result, hold, heldSince: before?.since ?? null };
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
