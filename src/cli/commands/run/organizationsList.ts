import type { Context } from "../../context.ts";
import { connect } from "../shared/connect.ts";
import type { GlobalOptions } from "../shared/globals.ts";
import { printResult } from "../shared/output.ts";
import { withSpinner } from "../shared/spinner.ts";

/** Prints the organizations that the signed-in user belongs to. */
export async function run(options: GlobalOptions, context: Context): Promise<void> {
  const { client } = await connect(context, options);
  const { organizations } = await withSpinner(context, options, "Reading organizations", client.me());
  await printResult(context, options, "organizations list", organizations, async (view) => {
    const { renderOrganizations } = await import("../../render/identity.ts");
    return renderOrganizations(organizations, view);
  });
}
