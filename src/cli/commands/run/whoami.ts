import { isMissing } from "../../../client/missing.ts";
import type { Context } from "../../context.ts";
import { CliError } from "../../errors.ts";
import { tokenWarning } from "../../render/warnings.ts";
import { connect } from "../shared/connect.ts";
import type { GlobalOptions } from "../shared/globals.ts";
import { identityOf } from "../shared/identity.ts";
import { noteInvitations } from "../shared/invitations.ts";
import { printResult, warn } from "../shared/output.ts";
import { withSpinner } from "../shared/spinner.ts";

/** Prints who is signed in, where, and with what token. */
export async function run(options: GlobalOptions, context: Context): Promise<void> {
  const { client, target, signIn } = await connect(context, options, "public");
  const me = await withSpinner(context, options, "Asking who you are", client.me()).catch((error: unknown) => {
    throw isMissing(error) ? untold(error) : error;
  });
  const identity = identityOf(me, target, signIn.source);
  await printResult(context, options, "whoami", identity, async (view) => {
    const { renderIdentity } = await import("../../render/identity.ts");
    const beaten = signIn.source === "environment" ? await storedProfile(context, target.profileName) : null;
    return renderIdentity(identity, view, beaten);
  });
  const warning = tokenWarning(me.token);
  if (warning !== null) warn(context, options, warning);
  noteInvitations(context, options, me);
}

/** The profile, if it has a sign-in that is not used. What cannot be read does not matter to who is signed in. */
async function storedProfile(context: Context, name: string): Promise<string | null> {
  const store = await context.credentials();
  return (await store.read(name).catch(() => null)) && name;
}

function untold(cause: unknown): CliError {
  return new CliError("unexpected_answer", "This backend does not tell who is signed in", {
    hint: "It has no GET /me. Commands that are told the organization, by --org <id>, work all the same.",
    cause,
  });
}
