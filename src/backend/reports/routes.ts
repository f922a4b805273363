import type { FastifyInstance } from "fastify";
import { startOfDateInZone } from "../../billing/calendar.ts";
import { BillingError } from "../../billing/errors.ts";
import { addMonths, countMonths, firstDayOf, monthOf } from "../../billing/months.ts";
import { RUNWAY_BASIS_DAYS } from "../../billing/report.ts";
import { MAX_REPORT_MONTHS } from "../../contract/constants.ts";
import type { Report } from "../../contract/report.ts";
import { BackendError } from "../errors.ts";
import { type RouteDeps, register } from "../http/register.ts";
import { chargeStepOf } from "../payments/gateway.ts";
import { snapshotAt } from "../subscriptions/view.ts";
import { type Period, type ReportFacts, readReportFacts } from "./store.ts";
import { type ReportMonths, type ReportSubject, reportView } from "./view.ts";

const DAY_MS = 24 * 3_600_000;

/** Registers the report (src/contract/README.md, Report). */
export function registerReports(app: FastifyInstance, deps: RouteDeps): void {
  register(app, deps, "getReport", async ({ organization, query }) => {
    const now = deps.clock.now();
    const snapshot = snapshotAt(organization.subscription, now);
    const { time_zone: timeZone, currency } = organization.subscription;
    const months = monthsOf(query, monthOf(snapshot.today));
    const periods = [...periodsOf(months, timeZone), { start: now - RUNWAY_BASIS_DAYS * DAY_MS + 1, until: NEVER }];
    const { by = null } = query;
    const facts = await readReportFacts(deps.database, organization.id, periods, by);
    const chargeStep = chargeStepOf(deps.gateway, currency);
    const subject = { snapshot, months, periods, isGrouped: by !== null, chargeStep, now };
    return { status: 200, body: viewOrRefusal(subject, facts) };
  });
}

/** @throws BackendError `invalid_request` if a sum is too large for an amount */
function viewOrRefusal(subject: ReportSubject, facts: ReportFacts): Report {
  try {
    return reportView(subject, facts);
  } catch (error) {
    if (!(error instanceof BillingError) || error.code !== "amount_out_of_range") throw error;
    throw invalid("from", "the sum of these months is too large; report on fewer months");
  }
}

const NEVER = Number.MAX_SAFE_INTEGER;

const DEFAULT_MONTHS = 12;

/**
 * The months that were asked for; without a first one the 12 months up to the last one, which is the current one if left
 * out.
 *
 * @throws BackendError `invalid_request`
 */
function monthsOf(asked: { from?: string | undefined; to?: string | undefined }, current: string): ReportMonths {
  const to = asked.to ?? current;
  const from = asked.from ?? addMonths(to, 1 - DEFAULT_MONTHS);
  if (to > current) throw invalid("to", `${to} has not begun: the current month is ${current}`);
  const count = countMonths(from, to);
  if (count < 1) throw invalid("from", `${from} is after ${to}`);
  if (count > MAX_REPORT_MONTHS)
    throw invalid("from", `${from} to ${to} is ${count} months, and a report has at most ${MAX_REPORT_MONTHS}`);
  return { from, to };
}

function invalid(path: string, message: string): BackendError {
  return new BackendError("invalid_request", `The request is not valid: ${path}: ${message}`, {
    errors: [{ path, message }],
  });
}

/** The months in the time zone, and the time after them. */
function periodsOf({ from, to }: ReportMonths, timeZone: string): Period[] {
  const starts = Array.from({ length: countMonths(from, to) + 1 }, (_, index) =>
    startOfDateInZone(firstDayOf(addMonths(from, index)), timeZone),
  );
  return starts.map((start, index) => ({ start, until: starts[index + 1] ?? NEVER }));
}
