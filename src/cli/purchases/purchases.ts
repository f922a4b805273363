import type { Command } from "commander";
import type { WaitOptions } from "../buying/options.ts";
import type { Context } from "../context.ts";
import { addCommand, type Run } from "../kit/command.ts";
import { type ApproveOptions, registerApprove, runApprove } from "./approve.ts";
import { type CancelOptions, registerCancel, runCancel } from "./cancel.ts";
import { type ExportOptions, registerExport, runExport } from "./export.ts";
import { type ListOptions, registerList, runList } from "./list.ts";
import { type PayOptions, registerPay, runPay } from "./pay.ts";
import { type ReceiptOptions, registerReceipt, runReceipt } from "./receipt.ts";
import { type RejectOptions, registerReject, runReject } from "./reject.ts";
import { registerResume, runResume } from "./resume.ts";
import { type PurchaseOptions, registerShow, runShow } from "./show.ts";

/** What the commands of the group run. */
export interface PurchasesRuns {
  readonly list: Run<ListOptions>;
  readonly show: Run<PurchaseOptions>;
  readonly receipt: Run<ReceiptOptions>;
  readonly export: Run<ExportOptions>;
  readonly resume: Run<WaitOptions>;
  readonly pay: Run<PayOptions>;
  readonly cancel: Run<CancelOptions>;
  readonly approve: Run<ApproveOptions>;
  readonly reject: Run<RejectOptions>;
}

/** Registers `purchases list | show | receipt | export | resume | pay | cancel | approve | reject`. */
export function register(program: Command, context: Context, runs: PurchasesRuns = RUNS): void {
  const group = addCommand(program, {
    name: "purchases",
    examples: ["purchases list", "purchases resume"],
  });
  registerList(group, context, runs.list);
  registerShow(group, context, runs.show);
  registerReceipt(group, context, runs.receipt);
  registerExport(group, context, runs.export);
  registerResume(group, context, runs.resume);
  registerPay(group, context, runs.pay);
  registerCancel(group, context, runs.cancel);
  registerApprove(group, context, runs.approve);
  registerReject(group, context, runs.reject);
}

const RUNS: PurchasesRuns = {
  list: runList,
  show: runShow,
  receipt: runReceipt,
  export: runExport,
  resume: runResume,
  pay: runPay,
  cancel: runCancel,
  approve: runApprove,
  reject: runReject,
};
