import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { quoteFileOf, writeQuoteFile } from "../../../src/cli/buying/engine/quoteFile.ts";
import type { PurchaseAnswer } from "../../../src/contract/billing.ts";
import { type Answer, hangUp, html, refusedUrl } from "../../client/backend.ts";
import {
  awaitingPurchase,
  entry,
  failedPurchase,
  openPurchase,
  payablePurchase,
  purchase,
  quote,
  report,
  subscription,
  user,
  verified,
} from "../support/builders.ts";
import { fakeJournal } from "../support/fakeJournal.ts";
import { KEY } from "../support/playBuy.ts";
import { ADD, accepted, ME, NO_TOKEN, noRoom, OFFER, ok, person, piped, READ, says } from "./answers.ts";
import type { ErrorCase } from "./stage.ts";

const IDLE = user({ status: "ACTIVE", joinedDateTime: "2026-01-01T00:00:00.000Z" });

const SOLD = accepted(purchase());

const NEW_KEY = says("idempotency_key_unknown", "No purchase has arrived under this Idempotency-Key");

const VOID = says("idempotency_key_void", "This Idempotency-Key was made void: nothing is or will be bought under it");

const CHANGED = says("subscription_changed", "The subscription changed after this quote was made");

const FULL = says(
  "no_license_available",
  "This takes 1 license, and 0 of the 25 purchased are available: 1 more must be bought",
  { needed: 1, missing: 1 },
);

/** The answer to a purchase that was accepted, and declined. */
const declined = (made: PurchaseAnswer) =>
  says("payment_declined", "The card was declined.", { purchase: { ...made, idempotencyKey: KEY } });

const NO_METHOD = failedPurchase({ failure: { code: "no_payment_method", message: "There is no payment method." } });

const RENEWAL = payablePurchase({
  kind: "renewal",
  quoteId: null,
  idempotencyKey: null,
  purchasedBy: null,
  licenses: 25,
});

/** What `purchases resume` asks after the journal: of three states, and the counts. */
const NOTHING_ELSE: readonly Answer[] = [ME, ...Array<Answer>(3).fill(ok({ items: [], next: null })), READ];

const OTHER = subscription({ version: 2 });

const fullUp = subscription({ licenses: { purchased: 25, used: 25, available: 0 } });

const COSTS_ONE: Answer = { status: 201, json: quote(1, {}, fullUp) };

/** A quote file for this very backend, or another place. */
const quoteFile =
  (place: "here" | "elsewhere", change: (text: string) => string = (text) => text): NonNullable<ErrorCase["prepare"]> =>
  ({ directory, apiUrl }) => {
    const offer = { subscription: subscription(), quote: verified(quote(5)) };
    const text = writeQuoteFile(quoteFileOf(offer, place === "here" ? apiUrl : "https://billing.northwind.example"));
    writeFileSync(join(directory, "quote.json"), change(text));
  };

const FROM_FILE = "buy --yes --from {dir}/quote.json";

/** How quoting, buying and following a purchase ends (exit codes 2, 3 and 6 to 10). */
export const PURCHASE_CASES: readonly ErrorCase[] = [
  {
    code: "license_limit",
    line: "quote 1000000",
    answers: [READ, says("license_limit", "One purchase has at most 100000 licenses, not 1000000")],
  },
  {
    code: "idempotency_key_missing",
    when: "a gateway that strips headers",
    line: "buy 5 --yes -q",
    answers: [...OFFER, says("idempotency_key_missing", "A purchase needs the header Idempotency-Key")],
  },
  {
    code: "idempotency_key_reused",
    line: "buy 5 --yes --idempotency-key k",
    answers: [ok(purchase({ licenses: 3, idempotencyKey: "k" }))],
  },
  {
    code: "idempotency_key_reused",
    line: "top-up --purchased 40 --yes --idempotency-key k -q",
    answers: [
      ok(purchase({ idempotencyKey: "k" })),
      ok(subscription({ licenses: { purchased: 30, used: 22, available: 8 } })),
    ],
  },
  {
    code: "quote_file_invalid",
    when: "edited by hand",
    line: FROM_FILE,
    prepare: quoteFile("here", (text) => text.replace('"licenses": 5', '"licenses": 6')),
  },
  { code: "declined_by_person", line: "buy 5", answers: [...OFFER, ME], world: person(false) },
  { code: "declined_by_person", line: "licenses reduce 23", answers: [READ, ME], world: person(false) },
  {
    code: "declined_by_person",
    line: "purchases cancel pur_1",
    answers: [ok(openPurchase("requires_approval")), ME],
    world: person(false),
  },
  {
    code: "declined_by_person",
    line: "purchases pay pur_1",
    answers: [ok(payablePurchase()), ok(subscription()), ME],
    world: person(false),
  },
  {
    code: "declined_by_person",
    line: "users remove ada@northwind.example",
    answers: [ok([user()]), ok([]), ME],
    world: person(false),
  },
  { code: "declined_by_person", line: ADD, answers: [FULL, ok(fullUp), COSTS_ONE, ME], world: person(false) },

  {
    code: "payment_declined",
    when: "payable with another card",
    line: "buy 5 --yes -q",
    answers: [...OFFER, declined(payablePurchase())],
  },
  { code: "payment_declined", when: "final", line: "buy 5 --yes -q", answers: [...OFFER, declined(failedPurchase())] },
  {
    code: "payment_declined",
    when: "no payment method",
    line: "buy 5 --yes -q",
    answers: [...OFFER, declined(NO_METHOD)],
  },
  {
    code: "payment_declined",
    when: "canceled on the payment page",
    line: "purchases resume",
    answers: [
      ok(failedPurchase({ idempotencyKey: "key_old", failure: { code: "payment_canceled", message: "Canceled." } })),
      ...NOTHING_ELSE,
    ],
    world: () => ({ journal: fakeJournal([entry()]) }),
  },
  {
    code: "payment_declined",
    when: "a renewal",
    line: "purchases pay pur_1 --yes",
    answers: [ok(RENEWAL), says("payment_declined", "The card was declined.", { purchase: RENEWAL })],
  },

  {
    code: "price_check_failed",
    line: "buy 5 --yes",
    answers: [READ, { status: 201, json: quote(5, { total: { amount: 24_411, currency: "GBP" } }) }],
  },
  { code: "max_total_exceeded", line: "buy 5 --yes --max-total 200", answers: OFFER },
  { code: "max_licenses_exceeded", line: "top-up --purchased 40 --yes --max-licenses 10 -q", answers: [READ] },
  { code: "if_purchased_not_met", line: "buy 5 --yes --if-purchased 20", answers: OFFER },
  { code: "if_purchased_not_met", line: "licenses reduce 23 --yes --if-purchased 20", answers: [READ] },
  {
    code: "quote_file_outdated",
    when: "for another backend",
    line: FROM_FILE,
    prepare: quoteFile("elsewhere"),
    answers: [NEW_KEY],
  },
  {
    code: "quote_file_outdated",
    when: "others have bought",
    line: FROM_FILE,
    prepare: quoteFile("here"),
    answers: [
      NEW_KEY,
      ok(subscription({ licenses: { purchased: 26, used: 22, available: 4 } })),
      { status: 201, json: quote(5, {}, subscription({ licenses: { purchased: 26, used: 22, available: 4 } })) },
      NEW_KEY,
    ],
  },
  { code: "idle_users", line: "users idle --fail-if-any", answers: [ok([IDLE]), ok([]), READ] },
  { code: "too_few_available", line: "status --fail-if-available-below 5", answers: [READ] },
  { code: "runway_too_short", line: "report --fail-if-runway-below 365", answers: [ok(report()), READ] },
  {
    code: "past_due",
    line: "status --fail-if-past-due",
    answers: [
      ok(
        subscription({
          state: "past_due",
          unpaid: {
            purchaseId: "pur_9",
            total: { amount: 450_000, currency: "GBP" },
            deadline: "2027-03-15",
            missed: null,
          },
        }),
      ),
    ],
  },
  {
    code: "below_minimum_charge",
    line: "quote 1",
    answers: [
      READ,
      says("below_minimum_charge", "£0.10 is below the smallest charge of £0.30, which 3 licenses reach today"),
    ],
  },
  {
    code: "below_minimum_charge",
    when: "no number of licenses reaches it",
    line: "quote 1",
    answers: [
      READ,
      says(
        "below_minimum_charge",
        "£0.10 is below the smallest charge of £0.30, and no number of licenses reaches it today; from the renewal date on the full price is charged",
      ),
    ],
  },
  {
    code: "subscription_not_purchasable",
    line: "quote 5",
    answers: [
      READ,
      says(
        "subscription_not_purchasable",
        "No licenses can be bought: renewal pur_1 (£4,500.00 with tax) is unpaid, and on 2027-03-15 the subscription is suspended",
        { purchaseId: "pur_1" },
      ),
    ],
  },
  {
    code: "subscription_not_purchasable",
    when: "it has ended",
    line: "quote 5",
    answers: [
      READ,
      says("subscription_not_purchasable", "No licenses can be bought: the subscription ended on 2026-03-01"),
    ],
  },
  {
    code: "subscription_not_purchasable",
    when: "it does not renew",
    line: "licenses reduce 23 --yes",
    answers: [
      ok(subscription({ renewal: { autoRenew: false, licenses: null, subtotal: null, tax: null, total: null } })),
    ],
  },

  {
    code: "approval_required",
    line: "buy 5 --yes -q",
    answers: [...OFFER, accepted(openPurchase("requires_approval"))],
  },
  {
    code: "approval_required",
    when: "no payment method",
    line: "buy 5 --yes -q",
    answers: [
      ...OFFER,
      accepted({
        ...openPurchase("requires_approval"),
        nextAction: { ...openPurchase("requires_approval").nextAction, type: "add_payment_method" },
      }),
    ],
  },

  { code: "quote_expired", line: "buy 5 --yes -q", answers: expiring() },
  {
    code: "quote_used",
    line: "buy 5 --yes -q",
    answers: [...OFFER, says("quote_used", "Quote quo_1 was already bought", { purchaseId: "pur_1" }), NEW_KEY],
  },
  { code: "subscription_changed", line: "buy 5 --yes -q", answers: [...OFFER, CHANGED, ...OFFER] },
  {
    code: "subscription_changed",
    line: "quote 5",
    answers: [ok(OTHER), OFFER[1] as Answer, ok(OTHER), OFFER[1] as Answer, ok(OTHER), OFFER[1] as Answer],
  },
  {
    code: "subscription_changed",
    line: "licenses reduce 23 --yes",
    answers: [READ, says("subscription_changed", "The subscription changed after this was decided")],
  },
  { code: "no_license_available", line: ADD, answers: [FULL, ok(fullUp), COSTS_ONE] },
  {
    code: "no_license_available",
    when: "a backend that does not report how many",
    line: ADD,
    answers: [says("no_license_available", "There are not enough available licenses")],
  },
  {
    code: "no_license_available",
    when: "the token may not request a price",
    line: ADD,
    answers: [FULL, says("insufficient_scope", "This needs a token with the scope billing:read")],
  },
  {
    code: "no_license_available",
    when: "others take the new licenses",
    line: `${ADD} --buy-missing -q`,
    answers: takenByOthers(),
  },
  {
    code: "not_payable",
    line: "purchases pay pur_1 --yes",
    answers: [ok(payablePurchase()), says("not_payable", "Purchase pur_1 cannot be paid any more")],
  },
  { code: "not_payable", line: "purchases pay pur_1 --dry-run", answers: [ok(failedPurchase())] },
  {
    code: "not_cancelable",
    line: "purchases cancel pur_1 --yes",
    answers: [says("not_cancelable", "Purchase pur_1 is paid and cannot be canceled")],
  },
  { code: "not_cancelable", line: "purchases cancel pur_1 --dry-run", answers: [ok(purchase())] },
  {
    code: "not_cancelable",
    when: "paid at the same time",
    line: "purchases cancel pur_1 --yes",
    answers: [ok(purchase())],
  },
  {
    code: "not_approvable",
    line: "purchases approve pur_1 --yes",
    answers: [
      ok(awaitingPurchase()),
      says("not_approvable", "Purchase pur_1 does not wait for the approval of an administrator"),
    ],
  },
  {
    code: "not_approvable",
    when: "it needs none",
    line: "purchases approve pur_1 --yes",
    answers: [ok(openPurchase("requires_approval"))],
  },
  {
    code: "not_approvable",
    when: "it has been bought",
    line: "purchases reject pur_1 --reason duplicate --yes",
    answers: [ok(purchase())],
  },
  {
    code: "not_payable",
    when: "an administrator has to approve it",
    line: "purchases pay pur_1 --yes",
    answers: [ok(awaitingPurchase())],
  },
  {
    code: "mfa_not_enrolled",
    line: "purchases approve pur_1 --yes",
    answers: [ok(awaitingPurchase()), says("mfa_not_enrolled", "bob@northwind.example has no authenticator app")],
  },
  { code: "idempotency_key_void", line: "buy 5 --yes --idempotency-key k", answers: [VOID] },

  { code: "unreachable", line: "status", answers: [hangUp] },
  { code: "unreachable", when: "connection refused", line: "status", answers: [], ...nobody() },
  { code: "unreachable", when: "a gateway responds", line: "status", answers: [html(502)] },
  { code: "unreachable", line: "login --web --timeout 1", env: NO_TOKEN, answers: [() => {}] },
  { code: "outcome_unknown", line: "buy 5 --yes -q", answers: [...OFFER, hangUp] },
  {
    code: "outcome_unknown",
    when: "a response about something else",
    line: "buy 5 --yes -q",
    answers: [...OFFER, { status: 201, json: purchase() }, html(500)],
  },
  { code: "outcome_unknown", line: ADD, answers: [hangUp] },
  {
    code: "outcome_unknown",
    line: "users remove ada@northwind.example --yes",
    answers: [ok([user()]), ok([]), hangUp],
  },
  { code: "outcome_unknown", line: "licenses reduce 23 --yes", answers: [READ, hangUp] },
  { code: "outcome_unknown", line: "tokens create --name ci --scopes billing:read", answers: [hangUp] },
  { code: "outcome_unknown", line: "tokens revoke tok_1 --yes", answers: [hangUp] },
  { code: "outcome_unknown", line: "sandbox clock advance --by 30", answers: [hangUp] },
  {
    code: "outcome_unknown",
    line: "purchases pay pur_1 --yes",
    answers: [ok(payablePurchase()), hangUp, ok(payablePurchase())],
  },
  {
    code: "outcome_unknown",
    when: "with an explicit key",
    line: "purchases resume",
    answers: [NEW_KEY, ...NOTHING_ELSE],
    world: () => ({ journal: fakeJournal([entry({ keySource: "explicit" })]) }),
  },
  {
    code: "outcome_unknown",
    when: "an endless list",
    line: "purchases resume",
    answers: [
      ME,
      ok({ items: [], next: "1" }),
      ok({ items: [], next: "1" }),
      ok({ items: [], next: null }),
      ok({ items: [], next: null }),
      READ,
    ],
  },
  {
    code: "charged_other_amount",
    line: "buy 5 --yes -q",
    answers: [...OFFER, accepted(purchase({ total: { amount: 25_000, currency: "GBP" } }))],
  },
  {
    code: "purchase_unsettled",
    line: "buy 5 --yes -q",
    answers: [
      ...OFFER,
      accepted(openPurchase("processing")),
      ok({ ...openPurchase("processing"), idempotencyKey: KEY }),
    ],
  },
  {
    code: "purchase_unsettled",
    when: "under review",
    line: "buy 5 --yes -q",
    answers: [...OFFER, accepted(openPurchase("needs_review"))],
  },
  {
    code: "purchase_unsettled",
    when: "an earlier one for another number of licenses",
    line: "buy 3 --yes -q",
    answers: [ok({ ...openPurchase("processing"), idempotencyKey: "key_old" })],
    world: () => ({ journal: fakeJournal([entry()]) }),
  },
  {
    code: "purchase_unsettled",
    when: "another command that buys",
    line: "buy 5 --yes -q",
    answers: [NEW_KEY],
    world: () => ({ journal: Object.assign(fakeJournal([entry()]), { ownerRunsFor: 1_000 }) }),
  },
  {
    code: "purchase_unsettled",
    line: "purchases cancel pur_1 --yes",
    answers: [ok(openPurchase("processing"))],
  },
  {
    code: "result_not_printed",
    when: "the disk is full",
    line: "buy 5 --yes -q",
    answers: [...OFFER, SOLD],
    world: noRoom,
  },
  // Only a backend that mixes up its answers says these two where no key was asked about.
  { code: "idempotency_key_unknown", line: "purchases show pur_1", answers: [NEW_KEY] },
  {
    code: "idempotency_key_in_use",
    line: "purchases cancel pur_1 --yes",
    answers: [
      says("idempotency_key_in_use", "A purchase under this Idempotency-Key is just being accepted; ask again"),
    ],
  },
  {
    code: "rate_limited",
    line: "login --email admin@northwind.example --password-stdin",
    env: NO_TOKEN,
    world: piped("right"),
    answers: [says("rate_limited", "Too many people sign in at once", {}, { "Retry-After": "5" })],
  },
  {
    code: "unavailable",
    line: "quote 5",
    answers: [READ, says("unavailable", "The renewal of the subscription is being processed; ask again in a moment")],
  },
  {
    code: "internal",
    line: "status",
    answers: [says("internal", "The backend failed; its log has this request's id")],
  },
  {
    code: "interrupted",
    when: "Ctrl-C while buying",
    line: "buy 5 --yes -q",
    answers: ({ interrupt }) => [...OFFER, () => interrupt()],
  },
  {
    code: "interrupted",
    when: "Ctrl-C while paying",
    line: "purchases pay pur_1 --yes",
    answers: ({ interrupt }) => [ok(payablePurchase()), () => interrupt()],
  },
  {
    code: "interrupted",
    when: "Ctrl-C while adding",
    line: ADD,
    answers: ({ interrupt }) => [() => interrupt()],
  },
];

/** Quotes that expire before they are bought, more often than it goes on. */
function expiring(): Answer[] {
  const expired = says("quote_expired", "Quote quo_1 has expired");
  return Array.from({ length: 5 }, () => [...OFFER, expired]).flat();
}

/** Bought, and gone before it was used, until no more is bought. */
function takenByOthers(): Answer[] {
  const sold = accepted(
    purchase({
      licenses: 1,
      total: quote(1, {}, fullUp).total,
      dueNow: quote(1, {}, fullUp).dueNow,
      tax: quote(1, {}, fullUp).tax,
    }),
  );
  return [FULL, ok(fullUp), COSTS_ONE, sold, FULL, ok(fullUp), COSTS_ONE, CHANGED, FULL];
}

/** A port that was free a moment ago. */
function nobody(): Pick<ErrorCase, "prepare"> {
  return {
    prepare: async (stage) => {
      const apiUrl = await refusedUrl();
      Object.assign(stage, { apiUrl, port: new URL(apiUrl).port });
      return async () => {};
    },
  };
}
