import type { Context } from "../../context.ts";
import { connect } from "../shared/connect.ts";
import type { GlobalOptions } from "../shared/globals.ts";
import { identityOf } from "../shared/identity.ts";
import { printResult } from "../shared/output.ts";
import { withSpinner } from "../shared/spinner.ts";

/** Prints who is signed in, where, and with what token. */
export async function run(options: GlobalOptions, context: Context): Promise<void> {
  const { client, target, signIn } = await connect(context, options);
  const me = await withSpinner(context, options, "Asking who you are", client.me());
  const identity = identityOf(me, target, signIn.source);
  await printResult(context, options, identity, async (view) => {
    const { renderIdentity } = await import("../../render/identity.ts");
    return renderIdentity(identity, view);
  });
}
