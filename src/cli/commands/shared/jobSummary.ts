import { appendFile } from "node:fs/promises";
import type { Purchase } from "../../../contract/billing.ts";
import type { Context } from "../../context.ts";
import { renderJobSummary } from "../../render/jobSummary.ts";
import { note, type OutputOptions } from "./output.ts";
import { isTrustedPage } from "./trustedPage.ts";

/** The files of a step of GitHub Actions, by the variables that name them. */
type JobFile = "GITHUB_STEP_SUMMARY" | "GITHUB_OUTPUT";

/**
 * Adds purchases that wait for a person or failed to the job summary of GitHub Actions, where there is one. Failing to
 * is told and is no failure of the command.
 *
 * @param origin the backend's own, whose pages may be linked to
 */
export async function summarize(
  context: Context,
  options: OutputOptions,
  origin: string,
  purchases: readonly Purchase[],
): Promise<void> {
  const isTrusted = ({ nextAction }: Purchase) => nextAction !== null && isTrustedPage(nextAction.url, origin);
  const sections = purchases.map((purchase) => renderJobSummary(purchase, isTrusted(purchase)));
  const text = sections.filter((section) => section !== null).join("\n");
  if (text !== "") await addToJobSummary(context, options, text);
}

/** Adds a section to the job summary of GitHub Actions, where there is one. */
export function addToJobSummary(context: Context, options: OutputOptions, section: string): Promise<void> {
  return appendForJob(context, options, "GITHUB_STEP_SUMMARY", `${section}\n`);
}

/** Adds to one of the files that a step of GitHub Actions has, if it has; failing to is told and is no failure. */
export async function appendForJob(
  context: Context,
  options: OutputOptions,
  file: JobFile,
  text: string,
): Promise<void> {
  const path = context.env[file];
  if (!path) return;
  try {
    // One write, so that what commands that run at the same time add does not mix.
    await appendFile(path, text, { flag: "a", mode: 0o600 });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    note(context, options, `${file} could not be written: ${reason}`);
  }
}
