import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { BackendDeps } from "../../src/backend/deps.ts";
import { LEASE_MS } from "../../src/backend/purchases/leases.ts";
import { isAsked, payNow } from "../../src/backend/purchases/pay.ts";
import { advancePurchase, cancelWaiting } from "../../src/backend/purchases/processor.ts";
import { findPurchase, type PurchaseRecord } from "../../src/backend/purchases/store.ts";
import { sweep } from "../../src/backend/sweep.ts";
import {
  call,
  NOON,
  organization,
  SimulatedCrash,
  startBackend,
  submit,
  type TestBackend,
  tokenOf,
} from "./support/backend.ts";
import { expectInvariants } from "./support/invariants.ts";
import { DIALECTS } from "./support/stores.ts";

/** What clients know about an Idempotency-Key. */
interface KnownKey {
  purchaseId: string | null;
  status: string | null;
  isVoid: boolean;
  /** The quote it was first sent with. */
  quoteId: string;
}

/** What all clients have seen of one organization. */
interface Model {
  readonly quotes: string[];
  readonly keys: Map<string, KnownKey>;
}

interface Real {
  readonly backend: TestBackend;
  readonly id: number;
}

type Step = fc.AsyncCommand<Model, Real>;

const POINTS = ["B0", "B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B9"];

const CARDS = [
  "card_ok",
  "card_declined",
  "card_insufficient_funds",
  "card_requires_approval",
  "card_processing",
  "card_timeout",
];

/** Records an answer about a key, and checks it against all earlier answers. */
function learn(model: Model, key: string, quoteId: string, purchase: { id: string; status: string } | null): void {
  const known = model.keys.get(key) ?? { purchaseId: null, status: null, isVoid: false, quoteId };
  if (purchase) {
    expect(known.isVoid).toBe(false);
    if (known.purchaseId !== null) expect(purchase.id).toBe(known.purchaseId);
    // A failed purchase can be paid again; a successful one stays.
    if (known.status === "succeeded") expect(purchase.status).toBe("succeeded");
    known.purchaseId = purchase.id;
    known.status = purchase.status;
  }
  model.keys.set(key, known);
}

class QuoteLicenses implements Step {
  constructor(readonly licenses: number) {}
  check = () => true;
  async run(model: Model, { backend, id }: Real) {
    const { status, body } = await call(backend, "POST", `/organizations/${id}/quotes`, {
      token: tokenOf(id),
      body: { licenses: this.licenses },
    });
    expect(status).toBe(201);
    model.quotes.push(body.id);
  }
  toString = () => `quote ${this.licenses}`;
}

class Submit implements Step {
  constructor(
    readonly quote: number,
    readonly key: string,
    readonly crash: string | null,
  ) {}
  check = (model: Readonly<Model>) => model.quotes.length > 0;
  async run(model: Model, { backend, id }: Real) {
    const quoteId = model.quotes[this.quote % model.quotes.length] as string;
    backend.crashAt(this.crash);
    const { status, body } = await submit(backend, id, { quoteId }, this.key);
    backend.crashAt(null);
    if (status >= 200 && status < 300) learn(model, this.key, quoteId, body);
    else if (status === 402) learn(model, this.key, quoteId, body.purchase);
    else if (status === 500) expect(this.crash).not.toBeNull();
    else
      expect([
        "quote_used",
        "subscription_changed",
        "idempotency_key_reused",
        "idempotency_key_void",
        "idempotency_key_in_use",
      ]).toContain(body.code);
    if (body.code === "idempotency_key_void") expect(model.keys.get(this.key)?.purchaseId ?? null).toBeNull();
  }
  toString = () => `submit quote#${this.quote} as ${this.key}${this.crash ? ` dying at ${this.crash}` : ""}`;
}

class Together implements Step {
  constructor(readonly steps: Submit[]) {}
  check = (model: Readonly<Model>) => model.quotes.length > 0;
  async run(model: Model, real: Real) {
    await Promise.all(this.steps.map((step) => step.run(model, real)));
  }
  toString = () => `together(${this.steps.join(", ")})`;
}

class LookUp implements Step {
  constructor(
    readonly key: string,
    readonly makeVoid: boolean,
  ) {}
  check = () => true;
  async run(model: Model, { backend, id }: Real) {
    const path = `/organizations/${id}/purchases/by-key/${this.key}`;
    const { status, body } = this.makeVoid
      ? await call(backend, "POST", `${path}/void`, { token: tokenOf(id) })
      : await call(backend, "GET", path, { token: tokenOf(id) });
    const known = model.keys.get(this.key);
    if (status === 200) learn(model, this.key, "", body);
    else expect(known?.purchaseId ?? null).toBeNull();
    if (status === 204) model.keys.set(this.key, { purchaseId: null, status: null, isVoid: true, quoteId: "" });
    if (status === 404) expect(known?.isVoid ?? false).toBe(false);
  }
  toString = () => `${this.makeVoid ? "void" : "look up"} ${this.key}`;
}

class Sweep implements Step {
  constructor(
    readonly workers: number,
    readonly crash: string | null,
    readonly laterMs = 301_000,
  ) {}
  check = () => true;
  async run(_model: Model, { backend }: Real) {
    backend.clocks.machine += LEASE_MS;
    backend.clocks.billing += this.laterMs;
    backend.crashAt(this.crash);
    const rounds = await Promise.allSettled(Array.from({ length: this.workers }, () => sweep(backend.deps)));
    backend.crashAt(null);
    for (const round of rounds) {
      if (round.status === "rejected" && !(round.reason instanceof SimulatedCrash)) throw round.reason;
    }
  }
  toString = () => `sweep by ${this.workers}${this.crash ? ` dying at ${this.crash}` : ""}`;
}

/** A person pays or cancels the purchase of a key on its page, and the worker may crash. */
class ActOnPage implements Step {
  constructor(
    readonly key: string,
    readonly card: string | null,
    readonly crash: string | null,
  ) {}
  check = (model: Readonly<Model>) => (model.keys.get(this.key)?.purchaseId ?? null) !== null;
  async run(model: Model, { backend: { deps, clocks, crashAt } }: Real) {
    const purchaseId = model.keys.get(this.key)?.purchaseId ?? "";
    clocks.machine += LEASE_MS;
    crashAt(this.crash);
    try {
      const purchase = await findPurchase(deps.database, purchaseId);
      if (purchase && this.card === null) await cancelWaiting(deps, purchase, { actor: "page" });
      else if (purchase && this.card !== null) await this.pay(deps, purchase, this.card);
    } catch (error) {
      if (!(error instanceof SimulatedCrash)) throw error;
    } finally {
      crashAt(null);
    }
  }
  async pay(deps: BackendDeps, purchase: PurchaseRecord, card: string) {
    if (!isAsked(purchase, deps.clock.now())) return;
    await payNow(deps, purchase, { paymentMethod: card, byPerson: true, label: null, returnUrl: null, actor: "page" });
    await advancePurchase(deps, purchase);
  }
  toString = () => `${this.card ?? "cancel"} on the page of ${this.key}${this.crash ? ` dying at ${this.crash}` : ""}`;
}

/** `POST …/payment` for the purchase of a key, by several clients at once. */
class PayAgain implements Step {
  constructor(
    readonly key: string,
    readonly clients: number,
    readonly crash: string | null,
  ) {}
  check = (model: Readonly<Model>) => (model.keys.get(this.key)?.purchaseId ?? null) !== null;
  async run(model: Model, { backend, id }: Real) {
    const purchaseId = model.keys.get(this.key)?.purchaseId ?? "";
    const path = `/organizations/${id}/purchases/${purchaseId}/payment`;
    backend.crashAt(this.crash);
    const answers = await Promise.all(
      Array.from({ length: this.clients }, () => call(backend, "POST", path, { token: tokenOf(id) })),
    );
    backend.crashAt(null);
    for (const { status, body } of answers) {
      if (status === 500) expect(this.crash).not.toBeNull();
      else if (status === 409) expect(body.code).toBe("not_payable");
      else expect([200, 202, 402]).toContain(status);
    }
  }
  toString = () => `${this.clients} pay ${this.key} again${this.crash ? ` dying at ${this.crash}` : ""}`;
}

class ChangeCard implements Step {
  constructor(readonly card: string | null) {}
  check = () => true;
  async run(_model: Model, { backend, id }: Real) {
    await backend.deps.database
      .updateTable("subscriptions")
      .set({ payment_method: this.card })
      .where("organization_id", "=", id)
      .execute();
  }
  toString = () => `pay with ${this.card}`;
}

const key = fc.constantFrom("k1", "k2", "k3", "k4");

const crash = fc.option(fc.constantFrom(...POINTS), { freq: 2 });

const submission = fc.tuple(fc.nat(5), key, crash).map(([quote, name, point]) => new Submit(quote, name, point));

const quiet = fc.tuple(fc.nat(5), key).map(([quote, name]) => new Submit(quote, name, null));

const onPage = fc
  .tuple(key, fc.constantFrom(...CARDS, null), crash)
  .map(([name, card, point]) => new ActOnPage(name, card, point));

const steps = fc.commands(
  [
    fc.integer({ min: 1, max: 9 }).map((licenses) => new QuoteLicenses(licenses)),
    fc.integer({ min: 1, max: 9 }).map((licenses) => new QuoteLicenses(licenses)),
    submission,
    submission,
    fc.array(quiet, { minLength: 2, maxLength: 4 }).map((together) => new Together(together)),
    fc.tuple(key, fc.boolean()).map(([name, makeVoid]) => new LookUp(name, makeVoid)),
    fc.tuple(fc.constantFrom(1, 2), crash).map(([workers, point]) => new Sweep(workers, point)),
    fc.constantFrom(...CARDS, null).map((card) => new ChangeCard(card)),
    fc.constantFrom("card_requires_approval", "card_declined", null).map((card) => new ChangeCard(card)),
    onPage,
    onPage,
    fc.tuple(key, fc.constantFrom(1, 3), crash).map(([name, clients, point]) => new PayAgain(name, clients, point)),
  ],
  { maxCommands: 14 },
);

describe.each(DIALECTS)("any sequence of clients, crashes and sweeps on %s", (dialect) => {
  let backend: TestBackend;
  beforeAll(async () => {
    backend = await startBackend(dialect);
  });
  afterAll(() => backend.close());

  test("keeps the invariants, and every answer about a key agrees with the earlier ones", async () => {
    const numRuns = dialect === "sqlite" ? 500 : 100;
    let sequences = 0;
    await fc.assert(
      fc.asyncProperty(steps, async (commands) => {
        backend.clocks.billing = NOON;
        const made = organization({ usedLicenses: 0 });
        await backend.addOrganization(made);
        const model: Model = { quotes: [], keys: new Map() };
        await fc.asyncModelRun(() => ({ model, real: { backend, id: made.id } }), commands);
        for (let round = 0; round < 3; round += 1)
          await new Sweep(1, null, 25 * 3_600_000).run(model, { backend, id: made.id });
        for (const name of model.keys.keys()) await new LookUp(name, false).run(model, { backend, id: made.id });
        const open = await backend.deps.database
          .selectFrom("purchases")
          .select("state")
          .where("organization_id", "=", made.id)
          .where("state", "not in", ["fulfilled", "declined", "canceled", "expired"])
          .execute();
        expect(open).toEqual([]);
        await expectInvariants(backend, made.id, 25);
        sequences += 1;
      }),
      { numRuns, endOnFailure: false },
    );
    expect(sequences).toBeGreaterThanOrEqual(numRuns);
  }, 300_000);
});
