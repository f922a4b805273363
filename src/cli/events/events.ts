import type { Command } from "commander";
import type { Context } from "../context.ts";
import { addCommand, type Run } from "../kit/command.ts";
import { type ExportOptions, registerExport, runExport } from "./export.ts";
import { type ListOptions, registerList, runList } from "./list.ts";
import { registerVerify, runVerify, type VerifyOptions } from "./verify.ts";

/** What the commands of the group run. */
export interface EventsRuns {
  readonly list: Run<ListOptions>;
  readonly export: Run<ExportOptions>;
  readonly verify: Run<VerifyOptions>;
}

/** Registers `events list | export | verify`. */
export function register(program: Command, context: Context, runs: EventsRuns = RUNS): void {
  const group = addCommand(program, { name: "events", examples: ["events list", "events verify log.jsonl"] });
  registerList(group, context, runs.list);
  registerExport(group, context, runs.export);
  registerVerify(group, context, runs.verify);
}

const RUNS: EventsRuns = { list: runList, export: runExport, verify: runVerify };
