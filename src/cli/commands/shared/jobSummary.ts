import { appendFile } from "node:fs/promises";
import type { Purchase } from "../../../contract/billing.ts";
import type { Context } from "../../context.ts";
import { renderJobSummary } from "../../render/jobSummary.ts";
import { note, type OutputOptions } from "./output.ts";
import { isTrustedPage } from "./trustedPage.ts";

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
  const path = context.env.GITHUB_STEP_SUMMARY;
  if (!path) return;
  const isTrusted = ({ nextAction }: Purchase) => nextAction !== null && isTrustedPage(nextAction.url, origin);
  const sections = purchases.map((purchase) => renderJobSummary(purchase, isTrusted(purchase)));
  const text = sections.filter((section) => section !== null).join("\n");
  if (text === "") return;
  try {
    // One write, so that sections of commands that run at the same time do not mix.
    await appendFile(path, `${text}\n`, { flag: "a", mode: 0o600 });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    note(context, options, `The job summary could not be written: ${reason}`);
  }
}
