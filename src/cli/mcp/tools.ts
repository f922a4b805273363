import type { CallToolResult } from "@modelcontextprotocol/sdk/types.js";
import * as z from "zod";
import { IDLE_DAYS } from "../../billing/idle.ts";
import { dateSchema, idSchema } from "../../contract/basics.ts";
import { purchaseSchema } from "../../contract/billing.ts";
import { REPORT_KEYS } from "../../contract/constants.ts";
import { monthSchema } from "../../contract/report.ts";
import { runQuote } from "../buying/quote.ts";
import type { Context } from "../context.ts";
import { usageError } from "../errors.ts";
import type { GlobalOptions } from "../kit/command.ts";
import { type Output, type OutputName, outputs } from "../outputs.ts";
import { runList } from "../purchases/list.ts";
import { runShow } from "../purchases/show.ts";
import { runReport } from "../reports/report.ts";
import { runStatus } from "../subscription/status.ts";
import { MAX_IDLE_DAYS, runIdle } from "../users/idle.ts";
import { answer } from "./answer.ts";

/** What a call of a tool takes: the options that were fixed when the server started, and a context of its own. */
export interface Call {
  readonly options: GlobalOptions;
  readonly context: Context;
  /** Runs once the answer has been read by the agent's client. */
  afterAnswer(work: () => void): void;
}

/** A tool of the server. */
export interface Tool {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly input: z.ZodObject;
  /** The shape of the structured content. */
  readonly output: z.ZodType;
  /** Whether it spends money. */
  readonly buys: boolean;
  /** @param input what the schema of the input gave */
  run(input: unknown, call: Call): Promise<CallToolResult>;
}

/** Creates a tool whose `run` takes what its input schema gives. */
export function tool<Shape extends z.ZodRawShape>({
  input,
  run,
  ...rest
}: Omit<Tool, "input" | "run"> & {
  readonly input: Shape;
  run(input: z.output<z.ZodObject<Shape>>, call: Call): Promise<CallToolResult>;
}): Tool {
  const schema = z.strictObject(input);
  return {
    ...rest,
    input: schema,
    run: async (given, call) => {
      const parsed = schema.safeParse(given);
      if (parsed.success) return await run(parsed.data as z.output<z.ZodObject<Shape>>, call);
      const problems = parsed.error.issues.map(({ path, message }) => [...path, message].join(": "));
      throw usageError(`Invalid arguments: ${problems.join("; ")}`, "See the input schema of the tool.");
    },
  };
}

const MAX_LISTED = 100;

const limit = z.int().min(1).max(MAX_LISTED).default(20).describe("Maximum number to list");

/** The tools that change nothing. */
export const READING_TOOLS: readonly Tool[] = [
  tool({
    name: "get_subscription",
    title: "Subscription",
    description: "Shows plan, licenses (purchased, used, available), renewal date and price, and what is unpaid.",
    input: {},
    output: outputs.status,
    buys: false,
    run: async (_input, call) => {
      const guards = { failIfAvailableBelow: null, failIfPastDue: false, watch: null };
      return answer(await printed<"status">(call, (own, context) => runStatus({ ...own, ...guards }, context)));
    },
  }),
  tool({
    name: "quote_licenses",
    title: "Quote",
    description:
      "Prices a number of additional licenses, prorated to the renewal date. Buys nothing. The price was recomputed " +
      "here and agrees with the backend's. `total` includes tax. Quotes expire.",
    input: { licenses: z.int().min(1).describe("How many licenses to add to those purchased") },
    output: outputs.quote.options[0],
    buys: false,
    run: async ({ licenses }, call) => {
      const priced = { licenses, when: false, explain: false, save: null };
      return answer(await printed<"quote">(call, (own, context) => runQuote({ ...own, priced }, context)));
    },
  }),
  tool({
    name: "list_purchases",
    title: "Purchases",
    description: "Lists purchases and renewals, newest first.",
    input: {
      limit,
      status: purchaseSchema.shape.status.optional(),
      kind: purchaseSchema.shape.kind.optional(),
      from: dateSchema.optional().describe("Started on or after this date, YYYY-MM-DD"),
      to: dateSchema.optional().describe("Started on or before this date, YYYY-MM-DD"),
    },
    output: z.object({ purchases: outputs["purchases list"] }),
    buys: false,
    run: async ({ limit, status = null, kind = null, from = null, to = null }, call) => {
      const options = { limit, all: false, status, kind, from, to, csv: false };
      return answer({
        purchases: await printed<"purchases list">(call, (own, context) => runList({ ...own, ...options }, context)),
      });
    },
  }),
  tool({
    name: "get_purchase",
    title: "Purchase",
    description: "Shows one purchase: its status, amounts, who bought it, and what it waits for.",
    input: { purchaseId: idSchema.describe("ID (`pur_…`) or receipt number") },
    output: outputs["purchases show"],
    buys: false,
    run: async ({ purchaseId }, call) =>
      answer(await printed<"purchases show">(call, (own, context) => runShow({ ...own, purchaseId }, context))),
  }),
  tool({
    name: "get_report",
    title: "Report",
    description:
      "Reports spending and licenses by month, how long licenses last, and what unused ones cost at the renewal.",
    input: {
      from: monthSchema.optional().describe("First month, YYYY-MM (default: 12 months in all)"),
      to: monthSchema.optional().describe("Last month (default: the current one)"),
      by: z.enum(REPORT_KEYS).optional().describe("Also net spend by buyer, API token or PO number"),
    },
    output: outputs.report,
    buys: false,
    run: async ({ from = null, to = null, by = null }, call) => {
      const options = { from, to, by, csv: false, html: null, failIfRunwayBelow: null };
      return answer(await printed<"report">(call, (own, context) => runReport({ ...own, ...options }, context)));
    },
  }),
  tool({
    name: "list_idle_users",
    title: "Idle users",
    description:
      "Lists users who hold a license and have not signed in for a while, and their number in `total`. They are " +
      "personal data; the token needs the scope users:read.",
    input: {
      days: z.int().min(1).max(MAX_IDLE_DAYS).default(IDLE_DAYS).describe("Days since the last sign-in"),
      limit,
    },
    output: z.object({ total: z.int(), users: outputs["users idle"] }),
    buys: false,
    run: async ({ days, limit }, call) => {
      const users = await printed<"users idle">(call, (own, context) =>
        runIdle({ ...own, days, csv: false, failIfAny: false }, context),
      );
      return answer({ total: users.length, users: users.slice(0, limit) });
    },
  }),
];

/** Runs a command as with `--json`, and gives what it would print. */
async function printed<Name extends OutputName>(
  { options, context }: Call,
  run: (own: GlobalOptions, context: Context) => Promise<void>,
): Promise<Output<Name>> {
  let document = "";
  const print: Context["io"]["print"] = async (output) => {
    document += output;
    return true;
  };
  await run(options, { ...context, io: { ...context.io, print } });
  return JSON.parse(document);
}
