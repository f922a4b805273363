import { GatewayUnavailable } from "../../../src/backend/payments/gateway.ts";
import { organizationExists } from "../../../src/backend/service/import.ts";
import { databaseBusy } from "../../../src/backend/service/migrate.ts";
import { providerSilent } from "../../../src/backend/service/provider.ts";
import { notInReview, notResolvable } from "../../../src/backend/service/resolve.ts";
import { schemaMismatch } from "../../../src/backend/service/store.ts";
import { reconciliationDiffers } from "../../../src/cli/service/reconcile.ts";
import type { ErrorCase } from "./stage.ts";

/** What a database answers that is not there: a command first listens for signals. */
const failing = (error: Error): Pick<ErrorCase, "parts"> => ({
  parts: () => ({
    onSignal: () => {
      throw error;
    },
  }),
});

const RECONCILE = "serve reconcile --from 2026-11-22 --payments sandbox --test-mode";

const PURCHASE = "pur_5f2c41d09b7a3e6688c0d1f2";

/** Errors of the billing service and its commands. */
export const SERVICE_CASES: readonly ErrorCase[] = [
  { code: "settings_invalid", line: "serve migrate" },
  { code: "settings_invalid", when: "several at once", line: "serve --database postgresql://127.0.0.1/billing" },
  {
    code: "settings_invalid",
    when: "a password in the arguments",
    line: "serve migrate --database postgresql://billing:secret@127.0.0.1/billing",
  },
  { code: "seed_invalid", when: "of the service", line: "serve admin import {dir}/seed.json" },
  { code: "invalid_usage", when: "no organization", line: "serve admin set-payment-method pm_1Nx8mQ2e" },
  {
    code: "invalid_usage",
    when: "a test card without test mode",
    line: "serve admin set-payment-method card_ok --org 7",
  },
  { code: "database_unreachable", line: "serve migrate --database postgresql://billing@127.0.0.1:1/billing" },
  {
    code: "database_busy",
    line: "serve migrate --database postgresql://billing@127.0.0.1/billing",
    ...failing(databaseBusy(null)),
  },
  {
    code: "schema_mismatch",
    when: "a database that was not migrated",
    line: "serve admin list-review",
    ...failing(schemaMismatch({ pending: ["0001_billing", "0002_identity"], unknown: [] })),
  },
  {
    code: "schema_mismatch",
    when: "a database of a newer version",
    line: "serve admin list-review",
    ...failing(schemaMismatch({ pending: [], unknown: ["0120_invoices"] })),
  },
  {
    code: "organization_exists",
    line: "serve admin import {dir}/seed.json",
    ...failing(organizationExists([7])),
  },
  {
    code: "not_in_review",
    line: `serve admin resolve ${PURCHASE} paid`,
    ...failing(notInReview(PURCHASE)),
  },
  {
    code: "not_resolvable",
    line: `serve admin resolve ${PURCHASE} declined`,
    ...failing(notResolvable("Payment pi_1 took £12.00 that was not refunded", "Refund it, and try again.")),
  },
  {
    code: "reconciliation_differs",
    line: RECONCILE,
    ...failing(reconciliationDiffers(3)),
  },
  {
    code: "unavailable",
    when: "the payment provider",
    line: RECONCILE,
    ...failing(providerSilent(new GatewayUnavailable("no answer"))),
  },
];
