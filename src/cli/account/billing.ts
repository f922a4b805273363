import type { Command } from "commander";
import { ClientError } from "../../client/errors.ts";
import { isMissing } from "../../client/missing.ts";
import type { BillingDetails, BillingDetailsRequest } from "../../contract/billingDetails.ts";
import { countryName } from "../../contract/vat.ts";
import { connectToOrganization } from "../connection/connect.ts";
import type { Context } from "../context.ts";
import { CliError, usageError } from "../errors.ts";
import { addCommand, type GlobalOptions, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { refuseUnknown } from "../kit/foreground.ts";
import { awaitPrinting, printResult, type View } from "../kit/output.ts";
import { withSpinner } from "../kit/spinner.ts";
import { fields } from "../kit/table.ts";
import { clean } from "../kit/text.ts";

/** Options of `organizations billing set`: only the fields to change. */
export interface SetBillingOptions extends GlobalOptions {
  readonly change: BillingDetailsRequest;
}

interface SetFlags {
  readonly name?: string;
  readonly address?: readonly string[];
  readonly country?: string;
  readonly vatNumber?: string;
  readonly email?: string;
}

/** Registers `organizations billing` and `organizations billing set`. */
export function registerBilling(
  group: Command,
  context: Context,
  runs: { readonly show: Run<GlobalOptions>; readonly set: Run<SetBillingOptions> },
): void {
  const billing = addCommand(group, {
    name: "billing",
    description: "Show or set the name, address and VAT number on receipts",
    examples: ["organizations billing", "organizations billing set --vat-number GB999999973"],
  });
  addCommand(billing, {
    name: "set",
    description: "Set the name, address and VAT number on receipts",
    examples: [
      "organizations billing set --country GB --vat-number GB999999973",
      "organizations billing set --email receipts@northwind.example",
    ],
  })
    .option("--name <name>", "legal name; empty for the organization's name")
    .option("--address <line>", "line of the address; repeat it for more", addLine)
    .option("--country <code>", "country, ISO 3166 (e.g. GB)")
    .option("--vat-number <number>", "VAT number; only its form is checked")
    .option("--email <email>", "email address printed on receipts")
    .addHelpText("after", SET_HELP)
    .action((flags: SetFlags, command: Command) =>
      interruptible(context, () => runs.set({ ...readGlobals(command), change: changeOf(flags) }, context)),
    );
  // Last, because subcommands would inherit that excess arguments are allowed.
  billing.allowExcessArguments().action((_flags: unknown, command: Command) => {
    if (command.args.length > 0) refuseUnknown(command);
    return interruptible(context, () => runs.show(readGlobals(command), context));
  });
}

const SET_HELP = `
An address has several lines:
  --address "1 High Street" --address "London N1 1AA"
Fields that are not passed stay, and an empty value clears
one. Receipts that were issued before stay as they are.
Only a signed-in administrator can set it.`;

function addLine(line: string, before: readonly string[] = []): string[] {
  return [...before, line];
}

/** An empty value clears a field, and an address has no empty lines. */
function changeOf({ name, address, country, vatNumber, email }: SetFlags): BillingDetailsRequest {
  const orNull = (text: string) => text.trim() || null;
  return {
    ...(name !== undefined && { name: orNull(name) }),
    ...(address && { address: address.map((line) => line.trim()).filter((line) => line !== "") }),
    ...(country !== undefined && { country: orNull(country.toUpperCase()) }),
    ...(vatNumber !== undefined && { vatNumber: orNull(vatNumber) }),
    ...(email !== undefined && { email: orNull(email) }),
  };
}

/** Prints how receipts name the organization. */
export async function showBilling(options: GlobalOptions, context: Context): Promise<void> {
  const { client, organizationId } = await connectToOrganization(context, options, "billing");
  const reading = client.billingDetails(organizationId).catch((error: unknown) => {
    throw explained(error);
  });
  const details = await withSpinner(context, options, "Reading the billing details", reading);
  await printResult<"organizations billing">(context, options, { organizationId, ...details }, (view) =>
    renderDetails(details, view),
  );
}

/**
 * Sets how receipts name the organization from now on, and prints it.
 *
 * @throws CliError `forbidden` with an API token, `invalid_usage` without a field
 */
export async function setBilling(options: SetBillingOptions, context: Context): Promise<void> {
  const { change } = options;
  if (Object.keys(change).length === 0) {
    const hint = "Pass --name, --address, --country, --vat-number or --email.";
    throw usageError("Nothing to set", hint);
  }
  const { client, organizationId } = await connectToOrganization(context, options, "billing");
  const setting = client.setBillingDetails(organizationId, change).catch((error: unknown) => {
    throw explained(error);
  });
  const details = await withSpinner(context, options, "Setting the billing details", setting);
  const result = { organizationId, ...details };
  const printing = printResult<"organizations billing set">(context, options, result, (view) =>
    renderDetails(details, view),
  );
  await awaitPrinting(printing, "The billing details were set", "See `secureflag-licenses organizations billing`.");
}

/** Renders billing details. */
function renderDetails({ name, address, country, vatNumber, email }: BillingDetails, view: View): string {
  return fields(
    [
      ["Name", clean(name)],
      ["Address", address.length === 0 ? "none" : address.map((line) => clean(line)).join("\n")],
      ["Country", country === null ? "none" : `${clean(countryName(country))} (${clean(country)})`],
      ["VAT number", vatNumber === null ? "none" : clean(vatNumber)],
      ["Email", email === null ? "none" : clean(email)],
    ],
    view,
  );
}

const SIGN_IN_HINT = "Unset SECUREFLAG_API_TOKEN and sign in as an administrator with `secureflag-licenses login`.";

function explained(error: unknown): unknown {
  if (!(error instanceof ClientError)) return error;
  const { code, message, requestId } = error;
  if (code === "forbidden") return new CliError(code, message, { hint: SIGN_IN_HINT, requestId, cause: error });
  if (!isMissing(error) || code === "not_found") return error;
  const missing = "This backend does not keep billing details";
  const hint = "Ask its operator to update it.";
  return new CliError("billing_not_offered", missing, { hint, requestId, cause: error });
}
