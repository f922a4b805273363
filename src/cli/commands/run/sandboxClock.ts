import type { Client, ClockAnswer, ClockRequest } from "../../../client/client.ts";
import { isMissing } from "../../../client/missing.ts";
import type { Context } from "../../context.ts";
import { CliError, codeOf } from "../../errors.ts";
import type { AdvanceOptions } from "../sandbox.ts";
import { connect, createTargetClient } from "../shared/connect.ts";
import type { GlobalOptions } from "../shared/globals.ts";
import { doneBefore, printResult } from "../shared/output.ts";
import { withSpinner } from "../shared/spinner.ts";
import { resolveTarget, type Target } from "../shared/target.ts";

/** Prints the sandbox's clock and what its provider charged. Needs no sign-in. */
export async function runShow(options: GlobalOptions, context: Context): Promise<void> {
  const { client } = await sandboxAt(options, context);
  const reading = asSandbox(client.sandboxState(), client);
  const state = await withSpinner(context, options, "Reading the clock", reading);
  await printResult(context, options, "sandbox clock show", state, async (view) => {
    const { renderClock } = await import("../../render/sandbox.ts");
    return renderClock(state, view);
  });
}

/**
 * Moves the sandbox's clock forward and prints where it is.
 *
 * @throws CliError `not_a_sandbox`, `organization_required`; ClientError `clock_moves_forward_only`, `not_found` for an
 *   unknown organization, `outcome_unknown`
 */
export async function runAdvance(options: AdvanceOptions, context: Context): Promise<void> {
  const { client, target } = await sandboxAt(options, context);
  const request =
    options.to === "renewal" ? { toRenewalOf: await renewingOrganization(options, context, target) } : options.to;
  const answer = await withSpinner(context, options, "Moving the clock", move(request, client));
  const printing = printResult(context, options, "sandbox clock advance", answer, async (view) => {
    const { renderMoved } = await import("../../render/sandbox.ts");
    return renderMoved(answer, view);
  });
  const hint = "Look at `secureflag-licenses sandbox clock show` before you move it again.";
  await doneBefore(printing, "The clock was moved", hint);
}

async function move(request: ClockRequest, client: Client): Promise<ClockAnswer> {
  try {
    return await client.advanceClock(request);
  } catch (error) {
    // A sandbox does not find an organization, any other backend no clock: only a sandbox shows one.
    if (isMissing(error)) await asSandbox(client.sandboxState(), client);
    throw error;
  }
}

/** A sandbox's clock is never moved by mistake elsewhere: what is not this machine is not even asked (details.md, 19). */
async function sandboxAt(options: GlobalOptions, context: Context): Promise<{ client: Client; target: Target }> {
  const target = await resolveTarget(context, options);
  const client = await createTargetClient(context, options, target.apiUrl, null);
  if (!client.isLoopback) {
    throw new CliError("not_a_sandbox", `${client.origin} is not a sandbox on this machine; nothing was sent`, {
      hint: "Set SECUREFLAG_API_URL to the URL that `secureflag-licenses sandbox` printed.",
    });
  }
  return { client, target };
}

async function asSandbox<Answer>(asking: Promise<Answer>, { origin }: Client): Promise<Answer> {
  try {
    return await asking;
  } catch (error) {
    if (!isMissing(error)) throw error;
    throw new CliError("not_a_sandbox", `${origin} is a backend, but not a sandbox`, {
      hint: "Set SECUREFLAG_API_URL to the URL that `secureflag-licenses sandbox` printed.",
      cause: error,
    });
  }
}

async function renewingOrganization(options: GlobalOptions, context: Context, target: Target): Promise<number> {
  if (target.organizationId !== null) return target.organizationId;
  try {
    return await (await connect(context, options, "billing")).organizationId();
  } catch (cause) {
    if (codeOf(cause) !== "not_signed_in") throw cause;
    throw new CliError("organization_required", "Whose renewal is meant is not known", {
      hint: "Name the organization with --org <id> or SECUREFLAG_ORGANIZATION.",
      cause,
    });
  }
}
