import { type Command, Option } from "commander";
import type { NewOrganization } from "../../backend/service/organizations.ts";
import type { Context } from "../context.ts";
import { usageError } from "../errors.ts";
import { addCommand, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { awaitPrinting, printResult } from "../kit/output.ts";
import { clean } from "../kit/text.ts";
import { amountText, calendarDate, someText, wholeNumber } from "../kit/values.ts";
import { addDatabaseFlags, addPaymentFlags, givenSettings } from "./settings.ts";
import { onStore, type StoreOptions, usualSettings } from "./store.ts";

/** Options of `serve admin create-organization`. */
export interface CreateOrganizationOptions extends StoreOptions {
  readonly organization: NewOrganization;
}

/** Options of `serve admin set-payment-method`. */
export interface PaymentMethodOptions extends StoreOptions {
  readonly paymentMethod: string;
}

/** Registers `serve admin create-organization`. */
export function registerCreateOrganization(
  admin: Command,
  context: Context,
  run: Run<CreateOrganizationOptions> = runCreateOrganization,
): void {
  const rest = "--currency GBP --anchor-date 2026-03-01 --tax-rate 20 --licenses 25";
  const command = addCommand(admin, {
    name: "create-organization",
    description: "Create an organization and its subscription",
    examples: [
      `serve admin create-organization --id 7 --name Northwind --time-zone Europe/London --plan SMB --unit-price 150 ${rest}`,
      `serve admin create-organization --id 8 --name Contoso --time-zone UTC --plan SMB --interval month --unit-price 15 ${rest}`,
    ],
  });
  const required = (flags: string, description: string, parser: (text: string) => unknown = someText) =>
    command.addOption(new Option(flags, description).argParser(parser).makeOptionMandatory());
  required("--id <n>", "ID of the organization", wholeNumber(1, 2 ** 31 - 1));
  required("--name <name>", "name of the organization");
  required("--time-zone <zone>", "billing time zone, such as Europe/London");
  required("--plan <name>", "name of the plan");
  required("--unit-price <amount>", "price per license and interval, before tax", amountText);
  required("--currency <code>", "currency, such as GBP");
  required("--anchor-date <date>", "first day of the first term", calendarDate);
  required("--tax-rate <percent>", "tax rate in percent, such as 20");
  required("--licenses <n>", "licenses purchased so far", wholeNumber(0, 1_000_000));
  addPaymentFlags(addDatabaseFlags(command))
    .addOption(new Option("--interval <interval>", "length of a term (default: year)").choices(["month", "year"]))
    .option("--interval-count <n>", "intervals in a term (default: 1)", wholeNumber(1, 120))
    .option("--auto-renew", "renew the subscription at the end of each term (default)")
    .option("--no-auto-renew", "end the subscription after the current term")
    .option("--stripe-customer <id>", "Stripe customer (default: created on first purchase)", someText)
    .action(
      (
        flags: Partial<NewOrganization> &
          Omit<NewOrganization, "interval" | "intervalCount"> & { readonly stripeCustomer?: string },
        called: Command,
      ) => {
        const { interval = "year", intervalCount = 1, autoRenew = true } = flags;
        const { id, name, timeZone, plan, unitPrice, currency, anchorDate, taxRate, licenses } = flags;
        const stripeCustomerId = flags.stripeCustomer ?? null;
        const subscription = {
          plan,
          unitPrice,
          currency,
          interval,
          intervalCount,
          anchorDate,
          taxRate,
          licenses,
          autoRenew,
          stripeCustomerId,
        };
        const settings = givenSettings(called, context);
        const options = { ...readGlobals(called), settings, organization: { id, name, timeZone, ...subscription } };
        return interruptible(context, () => run(options, context));
      },
    );
}

/**
 * Creates an organization without users and without a payment method.
 *
 * @throws BackendError `settings_invalid`, `seed_invalid`, `organization_exists`, `schema_mismatch`, `database_unreachable`;
 *   `unavailable` without an answer from the provider
 */
async function runCreateOrganization(options: CreateOrganizationOptions, context: Context): Promise<void> {
  const [{ createOrganization }, { operatorProvider }] = await Promise.all([
    import("../../backend/service/organizations.ts"),
    import("../../backend/service/operatorProvider.ts"),
  ]);
  const provider = await operatorProvider(await usualSettings(options, context), context.clock);
  const created = await onStore(options, context, (database) =>
    createOrganization(database, options.organization, { provider, random: context.random.bytes }),
  );
  const next = `secureflag-licenses serve admin create-administrator <email> --org ${created.id}`;
  const printing = printResult<"serve admin create-organization">(
    context,
    options,
    created,
    () => `Created ${clean(created.name)} (${created.id})\nAdd an administrator with \`${next}\`.`,
  );
  await awaitPrinting(printing, "The organization was created", `Run \`${next}\`.`);
}

/** Registers `serve admin set-payment-method`. */
export function registerSetPaymentMethod(
  admin: Command,
  context: Context,
  run: Run<PaymentMethodOptions> = runSetPaymentMethod,
): void {
  const command = addCommand(admin, {
    name: "set-payment-method",
    description: "Set the payment method of an organization",
    examples: [
      "serve admin set-payment-method pm_1Nx8mQ2e --org 4201",
      "serve admin set-payment-method card_ok --org 4201 --test-mode",
    ],
  });
  addPaymentFlags(addDatabaseFlags(command))
    .argument("<method>", "card at Stripe, which is attached to the organization's customer, or a test card", someText)
    .action((paymentMethod: string, _flags: unknown, called: Command) => {
      const options = { ...readGlobals(called), settings: givenSettings(called, context), paymentMethod };
      return interruptible(context, () => run(options, context));
    });
}

/**
 * Sets the payment method of the organization that `--org` names.
 *
 * @throws CliError `invalid_usage` without `--org`, and for a test card without `--test-mode`, or at Stripe; BackendError
 *   `not_found`, `settings_invalid`, `schema_mismatch`, `database_unreachable`, `unavailable`
 */
async function runSetPaymentMethod(options: PaymentMethodOptions, context: Context): Promise<void> {
  const organizationId = namedOrganization(options);
  // Stripe's older cards have an ID such as card_1Nx8mQ2e.
  const isTestCard = /^card_[a-z_]+$/.test(options.paymentMethod);
  if (isTestCard && options.settings.flags["test-mode"] !== true) {
    throw usageError("Test cards are allowed in test mode only", "Pass --test-mode to use test cards; no money moves.");
  }
  const settings = await usualSettings(options, context);
  if (isTestCard && settings.flags.payments !== "sandbox") {
    throw usageError(
      "Test cards cannot be used with Stripe",
      "Pass a Stripe payment method (pm_…), or --payments sandbox --test-mode.",
    );
  }
  const [{ setPaymentMethod }, { operatorProvider }] = await Promise.all([
    import("../../backend/service/paymentMethods.ts"),
    import("../../backend/service/operatorProvider.ts"),
  ]);
  const provider = await operatorProvider(settings, context.clock);
  const { paymentMethod: chosen } = options;
  const paymentMethod = await onStore(options, context, (database) =>
    setPaymentMethod(database, organizationId, { paymentMethod: chosen, provider, random: context.random.bytes }),
  );
  await printResult<"serve admin set-payment-method">(
    context,
    options,
    { organizationId, paymentMethod },
    () => `Organization ${organizationId} now pays with ${clean(paymentMethod.label)}.`,
  );
}

/**
 * Returns the organization that `--org` names. A profile or variable does not count: the service has no default.
 *
 * @throws CliError `invalid_usage`
 */
export function namedOrganization({ organizationId }: Pick<StoreOptions, "organizationId">): number {
  if (organizationId !== null) return organizationId;
  throw usageError("Missing flag: --org", "Pass --org <id> with the ID of the organization.");
}
