import { constants } from "node:fs";
import { open } from "node:fs/promises";
import type { Purchase } from "../../../contract/billing.ts";
import type { Context } from "../../context.ts";
import { renderJobSummary } from "../../render/jobSummary.ts";
import { type OutputOptions, warn } from "./output.ts";
import { trustedPage } from "./trustedPage.ts";

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
  const isTrusted = ({ nextAction }: Purchase) => nextAction !== null && trustedPage(nextAction.url, origin) !== null;
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
    await appendToFile(path, text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    warn(context, options, `${file} could not be written: ${reason}`);
  }
}

/** Appends to a regular file. Any other kind, such as a named pipe without a reader, could block the result forever. */
async function appendToFile(path: string, text: string): Promise<void> {
  const { O_WRONLY, O_APPEND, O_CREAT } = constants;
  // Windows has no O_NONBLOCK.
  const file = await open(path, O_WRONLY | O_APPEND | O_CREAT | (constants.O_NONBLOCK ?? 0), 0o600);
  try {
    if (!(await file.stat()).isFile()) throw new TypeError("not a regular file");
    // One write, so that what commands that run at the same time add does not mix.
    await file.appendFile(text);
  } finally {
    await file.close();
  }
}
