import * as z from "zod";
import { MAX_REPORT_MONTHS } from "../constants.ts";
import { monthSchema, reportKeySchema, reportSchema } from "../report.ts";
import { type Operation, organizationParams } from "./operation.ts";

/** What finance asks for: spending and licenses by month. */
export const reportOperations = {
  getReport: {
    method: "GET",
    path: "/organizations/{organizationId}/report",
    summary: `Spending and licenses by month of the billing time zone, at most ${MAX_REPORT_MONTHS}; the last 12 if not said`,
    access: "billing:read",
    params: organizationParams,
    query: z.object({
      from: monthSchema.optional(),
      to: monthSchema.optional(),
      by: reportKeySchema.optional(),
    }),
    answers: { 200: reportSchema },
  },
} as const satisfies Record<string, Operation>;
