import type { FastifyInstance, FastifyRequest } from "fastify";
import type { VNode } from "preact";
import * as z from "zod";
import type { OrganizationSubscription } from "../database/schema.ts";
import type { BackendDeps } from "../deps.ts";
import { BackendError } from "../errors.ts";
import { PAYMENT_PAGE } from "../events/events.ts";
import { validated } from "../http/register.ts";
import { isMethodPage } from "../paymentMethod/address.ts";
import { openMethodEntry, storeEnteredMethod } from "../paymentMethod/entry.ts";
import { chargedFor, saveMethod } from "../paymentMethod/store.ts";
import { GatewayUnavailable, type PaymentChoice } from "../payments/gateway.ts";
import type { CardEntryState } from "../purchases/cardEntry.ts";
import { formToken, isFormToken, paymentPageUrl } from "../purchases/pageAddress.ts";
import { readSubscription } from "../subscriptions/store.ts";
import { snapshotAt } from "../subscriptions/view.ts";
import { type Fact, Facts, Hidden, type Page, Problem } from "./page.tsx";
import { CardField, ElsewhereLink, type PaymentProblem } from "./payment.tsx";
import { registerPage } from "./route.tsx";

const formSchema = z.strictObject({
  form: z.string().max(200),
  card: z.string().max(200).optional(),
  action: z.enum(["save", "enter_card"]),
});

/** A visit to the page of an organization. */
interface Visit {
  readonly organizationId: number;
  /** The path of the page. */
  readonly address: string;
  readonly url: string;
  readonly host: string;
}

/**
 * Registers the page on which a person changes the stored payment method of an organization (src/backend/README.md, Pages).
 * Anyone who has its address may, until the address expires. Submitting a form repeatedly or in parallel has the same
 * outcome as once.
 */
export function registerMethodPage(app: FastifyInstance, deps: BackendDeps): void {
  registerPage(app, deps, "/payment-method/:organizationId/:expiresAt/:signature", {
    async show(request) {
      const visit = visitOf(deps, request);
      return pageOf(deps, visit, await followEntry(deps, visit));
    },
    async submit(request) {
      const visit = visitOf(deps, request);
      const form = validated(formSchema, request.body ?? null);
      if (!isFormToken(deps, visit.address, form.form, deps.now())) {
        const sentence = "This form has expired, and nothing was changed. Submit it again.";
        return pageOf(deps, visit, await followEntry(deps, visit), { status: 403, sentence });
      }
      return form.action === "save" ? save(deps, visit, form.card) : enterCard(deps, visit);
    },
  });
}

/** @throws BackendError `not_found`, with one message for whatever is wrong with the address */
function visitOf(deps: BackendDeps, request: FastifyRequest): Visit {
  const params = request.params as { organizationId: string; expiresAt: string; signature: string };
  if (!isMethodPage(deps, params)) {
    throw new BackendError("not_found", "No page found at this address; check that the address is complete");
  }
  if (deps.now() >= Number(params.expiresAt)) {
    const command = "`secureflag-licenses organizations payment-method`";
    throw new BackendError("not_found", `This address has expired; run ${command} for another one`);
  }
  const { organizationId, expiresAt, signature } = params;
  const address = `/payment-method/${organizationId}/${expiresAt}/${signature}`;
  const url = deps.pageOrigin(request.host) + address;
  return { organizationId: Number(organizationId), address, url, host: request.host };
}

/** What a person did on the provider's page; `null` if the provider did not answer. */
async function followEntry(deps: BackendDeps, { organizationId }: Visit): Promise<CardEntryState | "none" | null> {
  try {
    return (await storeEnteredMethod(deps, organizationId)) ?? "none";
  } catch (error) {
    if (!(error instanceof GatewayUnavailable)) throw error;
    deps.log(`card of organization ${organizationId}`, error);
    return null;
  }
}

async function save(deps: BackendDeps, visit: Visit, card: string | undefined): Promise<Page> {
  const choice = deps.gateway.choices().find(({ id }) => id === card);
  if (!choice) {
    return pageOf(deps, visit, "none", { status: 400, sentence: "Choose a card. Nothing was changed." });
  }
  const change = { actor: PAYMENT_PAGE, at: deps.clock.now() };
  await saveMethod(deps.database, visit.organizationId, choice, change);
  return pageOf(deps, visit, { status: "complete", method: choice });
}

/** Opens the provider's page that asks for a card. The answer links to it. */
async function enterCard(deps: BackendDeps, visit: Visit): Promise<Page> {
  if (deps.gateway.customers === null) throw new BackendError("invalid_request", "Choose a card");
  const before = await followEntry(deps, visit);
  if (before === null || (before !== "none" && before.status === "complete")) return pageOf(deps, visit, before);
  try {
    const entry = await openMethodEntry(deps, visit.organizationId, visit.url);
    return { ...(await pageOf(deps, visit, entry)), status: 303, location: visit.address };
  } catch (error) {
    const sentence = "The payment provider did not answer, and nothing was changed. Try again.";
    if (error instanceof GatewayUnavailable) deps.log(`card of organization ${visit.organizationId}`, error);
    else if (!(error instanceof BackendError) || error.code !== "unavailable") throw error;
    return pageOf(deps, visit, "none", { status: 503, sentence });
  }
}

const UNKNOWN: PaymentProblem = {
  status: 503,
  sentence: "The payment provider did not answer. Load this page again.",
};

/**
 * Returns the page as it is now.
 *
 * @param entry the provider's page that asks for a card; `complete` once its card is stored
 */
async function pageOf(
  deps: BackendDeps,
  visit: Visit,
  entry: CardEntryState | "none" | null,
  problem: PaymentProblem | undefined = entry === null ? UNKNOWN : undefined,
): Promise<Page> {
  const row = await readSubscription(deps.database, visit.organizationId);
  const state = entry === null || entry === "none" ? null : entry;
  const isStored = state?.status === "complete";
  const choices = deps.gateway.choices().filter(({ id }) => id !== row.payment_method);
  return {
    status: problem?.status ?? 200,
    title: isStored ? "The payment method was changed" : "Change the payment method",
    body: (
      <>
        {problem && <Problem>{problem.sentence}</Problem>}
        {isStored && <p>It is charged for later {chargedFor(row)}. You can close this page.</p>}
        {state?.status === "open" && (
          <ElsewhereLink
            sentence="Enter your card on our payment provider's page. You return to this page afterwards."
            url={state.url}
            text="Enter the card"
          />
        )}
        <Facts rows={factsOf(deps, row)} />
        {!isStored && <MethodForm deps={deps} visit={visit} choices={choices} what={chargedFor(row)} />}
        <Unpaid deps={deps} row={row} host={visit.host} />
      </>
    ),
  };
}

function factsOf({ gateway }: BackendDeps, row: OrganizationSubscription): Fact[] {
  const { payment_method: method, payment_method_label: label, payment_method_expires: expires } = row;
  return [
    { label: "Seller", value: gateway.account.seller },
    { label: "Organization", value: `${row.name} (${row.organization_id})` },
    { label: "Stored payment method", value: method === null ? "None" : gateway.describe(method, label).label },
    ...(expires === null ? [] : [{ label: "Valid to", value: expires.split("-").reverse().join("/") }]),
  ];
}

/** Asks for a card: one of the provider's own, or on a page of the provider. */
function MethodForm(props: {
  deps: BackendDeps;
  visit: Visit;
  choices: readonly PaymentChoice[];
  what: string;
}): VNode {
  const { deps, visit, choices, what } = props;
  const asksCards = deps.gateway.customers !== null;
  const [action, text] = asksCards ? ["enter_card", "Enter another card"] : ["save", "Store this card"];
  const hint = `It is charged for later ${what}. Nothing is charged now.`;
  return (
    <form method="post" action={visit.address}>
      <Hidden fields={{ form: formToken(deps, visit.address, deps.now()) }} />
      {asksCards ? <p class="hint">{hint}</p> : <CardField label="Card" choices={choices} stored={null} hint={hint} />}
      <div class="actions">
        <button type="submit" name="action" value={action}>
          {text}
        </button>
      </div>
    </form>
  );
}

/** Links to where an unpaid renewal is paid: another card does not pay it. */
function Unpaid({ deps, row, host }: { deps: BackendDeps; row: OrganizationSubscription; host: string }): VNode | null {
  const { state } = snapshotAt(row, deps.clock.now());
  if (row.unpaid_renewal === null || (state !== "past_due" && state !== "suspended")) return null;
  return (
    <p>
      The last renewal is unpaid, and storing a card does not pay it.{" "}
      <a href={paymentPageUrl(deps, row.unpaid_renewal, host)}>Pay the renewal</a>
    </p>
  );
}
