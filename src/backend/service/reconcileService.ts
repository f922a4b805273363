import { readHold, releaseBuying } from "./holding.ts";
import { type CommandDeps, withProvider } from "./provider.ts";
import { type Reconciliation, reconcile } from "./reconcile.ts";
import type { ServiceSettings } from "./settings.ts";

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
  return withProvider(settings, machine, async (deps) => {
    const before = await readHold(deps.database);
    const result = await reconcile(deps, { from });
    const isComplete = before !== null && (before.since === null || from <= before.since);
    const isReleased = isComplete && result.findings.length === 0 && (await releaseBuying(deps.database));
    const hold = before === null ? "none" : isReleased ? "released" : "kept";
    return { ...result, hold, heldSince: before?.since ?? null };
  });
}
