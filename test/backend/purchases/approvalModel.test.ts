import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LEASE_MS } from "../../../src/backend/purchases/leases.ts";
import { sweep } from "../../../src/backend/sweep.ts";
import { approve, type FourEyes, openFourEyes, reject, setThreshold } from "../support/administrators.ts";
import { buy, call, NOON, organization, startBackend, type TestBackend, tokenOf } from "../support/backend.ts";
import { expectInvariants } from "../support/invariants.ts";
import { read, send } from "../support/paying.ts";
import { storeCard } from "../support/renewing.ts";
import { DIALECTS } from "../support/stores.ts";

const HOUR_MS = 3_600_000;

const DAY_MS = 24 * HOUR_MS;

const PEOPLE = ["ada", "bob"] as const;

/** Who acts: an administrator, or a token that Ada made. */
const ACTORS = [...PEOPLE, "token"] as const;

type Actor = (typeof ACTORS)[number];

/** What the model knows of a purchase. `since` is when it began to wait, `spentAt` when it was accepted or paid again. */
interface Expected {
  readonly id: string;
  readonly buyer: "ada" | "bob";
  readonly total: number;
  readonly acceptedAt: number;
  state: "waiting" | "paid" | "declined" | "ended";
  spentAt: number;
  approvedAt: number | null;
  card: string;
}

/** The rules of approvals in the fewest words (src/billing/README.md, Approval). */
class Model {
  readonly purchases: Expected[] = [];
  threshold: number | null = 20_000;
  card = "card_ok";

  /** Whether a purchase has to wait, together with the others of a day that nobody approved. */
  mustWait(total: number, now: number, self: Expected | null = null): boolean {
    const others = this.purchases.filter(
      (one) =>
        one !== self &&
        one.approvedAt === null &&
        ["waiting", "paid"].includes(one.state) &&
        one.spentAt > now - DAY_MS,
    );
    return this.threshold !== null && total + others.reduce((sum, one) => sum + one.total, 0) > this.threshold;
  }

  charge(purchase: Expected): void {
    purchase.state = purchase.card === "card_ok" ? "paid" : "declined";
  }
}

interface Real extends FourEyes {
  readonly backend: TestBackend;
}

type Step = fc.AsyncCommand<Model, Real>;

const bearer = ({ id, ...people }: Real, actor: Actor) => (actor === "token" ? tokenOf(id) : people[actor].session);

const outcomeOf = ({ status, body }: { status: number; body: { code?: string } }) =>
  status < 300 || body.code === "payment_declined" ? "done" : body.code;

class Buy implements Step {
  constructor(
    readonly actor: Actor,
    readonly licenses: number,
  ) {}
  check = () => true;
  async run(model: Model, real: Real) {
    const { backend, id } = real;
    const now = backend.clocks.billing;
    const key = `k${model.purchases.length}`;
    const { body } = await buy(backend, id, this.licenses, key, { token: bearer(real, this.actor) });
    const made = body.purchase ?? body;
    const bought: Expected = {
      id: made.id,
      buyer: this.actor === "bob" ? "bob" : "ada",
      total: made.total.amount,
      acceptedAt: now,
      state: "waiting",
      spentAt: now,
      approvedAt: null,
      card: model.card,
    };
    if (!model.mustWait(bought.total, now)) model.charge(bought);
    model.purchases.push(bought);
    await expectState(real, bought);
  }
  toString = () => `${this.actor} buys ${this.licenses}`;
}

/** The purchase that a number means. */
const chosen = (model: Model, index: number) => model.purchases[index % model.purchases.length];

/** Who decides on a purchase: mostly the administrator who did not buy it. */
const DECIDERS = ["other", "other", "other", "buyer", "token"] as const;

type Decider = (typeof DECIDERS)[number];

abstract class OnPurchase implements Step {
  constructor(
    readonly index: number,
    readonly decider: Decider,
  ) {}
  check = (model: Readonly<Model>) => model.purchases.length > 0;
  async run(model: Model, real: Real) {
    const purchase = chosen(model, this.index);
    if (purchase) await this.act(model, real, purchase);
    if (purchase) await expectState(real, purchase);
  }
  abstract act(model: Model, real: Real, purchase: Expected): Promise<void>;
  bearer(real: Real, { buyer }: Expected): string {
    if (this.decider === "token") return tokenOf(real.id);
    return real[(this.decider === "buyer") === (buyer === "ada") ? "ada" : "bob"].session;
  }
  toString = () => `${this.constructor.name} of ${this.index} by ${this.decider}`;
}

class Approve extends OnPurchase {
  async act(model: Model, real: Real, purchase: Expected) {
    const { approval } = await read(real.backend, real.id, purchase.id);
    const digest = approval?.digest ?? "0".repeat(64);
    const answer = await approve(real.backend, real.id, purchase, this.bearer(real, purchase), digest);
    const known = purchase.state === "waiting" || purchase.approvedAt !== null;
    const isForbidden = this.decider === "token" || (approval !== null && this.decider === "buyer");
    expect(outcomeOf(answer)).toBe(isForbidden ? "forbidden" : known ? "done" : "not_approvable");
    if (this.decider !== "other" || purchase.state !== "waiting") return;
    purchase.approvedAt = real.backend.clocks.billing;
    model.charge(purchase);
  }
}

class Reject extends OnPurchase {
  async act(_model: Model, real: Real, purchase: Expected) {
    const before = await read(real.backend, real.id, purchase.id);
    const isRejected = before.failure?.code === "rejected";
    const answer = await reject(real.backend, real.id, purchase.id, this.bearer(real, purchase));
    const isDone = purchase.state === "waiting" || isRejected;
    expect(outcomeOf(answer)).toBe(this.decider !== "other" ? "forbidden" : isDone ? "done" : "not_approvable");
    if (this.decider === "other" && purchase.state === "waiting") purchase.state = "ended";
  }
}

class Cancel extends OnPurchase {
  async act(_model: Model, real: Real, purchase: Expected) {
    await send(real.backend, real.id, purchase.id, "cancel", this.bearer(real, purchase));
    if (purchase.state === "waiting") purchase.state = "ended";
  }
}

class PayAgain extends OnPurchase {
  async act(model: Model, real: Real, purchase: Expected) {
    const now = real.backend.clocks.billing;
    await send(real.backend, real.id, purchase.id, "payment", this.bearer(real, purchase));
    const isInTime = now < (purchase.approvedAt ?? purchase.acceptedAt) + DAY_MS;
    if (purchase.state !== "declined" || purchase !== model.purchases.at(-1) || !isInTime) return;
    purchase.spentAt = now;
    purchase.card = model.card;
    if (purchase.approvedAt === null && model.mustWait(purchase.total, now, purchase)) purchase.state = "waiting";
    else model.charge(purchase);
  }
}

/** Everything that may end or charge it, at once: exactly one takes effect. */
class Race extends OnPurchase {
  override check = (model: Readonly<Model>) =>
    model.purchases.length > 0 && chosen(model as Model, this.index)?.state === "waiting";
  async act(model: Model, real: Real, purchase: Expected) {
    const { backend, id } = real;
    const { approval } = await read(backend, id, purchase.id);
    const other = real[purchase.buyer === "ada" ? "bob" : "ada"].session;
    const target = { id: purchase.id, approval };
    await Promise.all([
      approve(backend, id, target, other),
      reject(backend, id, purchase.id, other),
      approve(backend, id, target, real[purchase.buyer].session),
      approve(backend, id, target, other),
      send(backend, id, purchase.id, "cancel", tokenOf(id)),
    ]);
    await passTime(backend, 0);
    const after = await read(backend, id, purchase.id);
    if (after.approval?.approvedAt == null) purchase.state = "ended";
    else {
      purchase.approvedAt = backend.clocks.billing;
      model.charge(purchase);
    }
  }
}

class Wait implements Step {
  constructor(readonly hours: number) {}
  check = () => true;
  async run(model: Model, { backend }: Real) {
    await passTime(backend, this.hours * HOUR_MS);
    for (const purchase of model.purchases) {
      const isOver = backend.clocks.billing >= purchase.spentAt + 3 * DAY_MS;
      if (purchase.state === "waiting" && isOver) purchase.state = "ended";
    }
  }
  toString = () => `wait ${this.hours} h`;
}

class Change implements Step {
  constructor(
    readonly threshold: number | null,
    readonly card: string,
  ) {}
  check = () => true;
  async run(model: Model, { backend, id }: Real) {
    model.threshold = this.threshold;
    model.card = this.card;
    await setThreshold(backend, id, this.threshold);
    await storeCard(backend, id, this.card);
  }
  toString = () => `threshold ${this.threshold}, ${this.card}`;
}

async function passTime(backend: TestBackend, ms: number): Promise<void> {
  backend.clocks.machine += LEASE_MS;
  backend.clocks.billing += ms;
  await sweep(backend.deps);
}

const STATUSES = { waiting: "requires_approval", paid: "succeeded", declined: "failed", ended: "failed" };

async function expectState({ backend, id }: Real, purchase: Expected): Promise<void> {
  const { status, nextAction, approval } = await read(backend, id, purchase.id);
  const isWaiting = purchase.state === "waiting";
  expect([status, nextAction?.type === "administrator_approval"]).toEqual([STATUSES[purchase.state], isWaiting]);
  expect(approval?.approvedAt ?? null).toBe(
    purchase.approvedAt === null ? null : new Date(purchase.approvedAt).toISOString(),
  );
}

const index = fc.nat({ max: 5 });

const actor = fc.constantFrom(...ACTORS);

const decider = fc.constantFrom(...DECIDERS);

const STEPS = [
  fc.tuple(actor, fc.integer({ min: 1, max: 5 })).map(([who, count]) => new Buy(who, count)),
  fc.tuple(actor, fc.integer({ min: 3, max: 5 })).map(([who, count]) => new Buy(who, count)),
  ...[Approve, Approve, Approve, Reject, Cancel, PayAgain, PayAgain, Race].map((OneStep) =>
    fc.tuple(index, decider).map(([one, who]) => new OneStep(one, who)),
  ),
  fc.constantFrom(1, 23, 24, 71, 72).map((hours) => new Wait(hours)),
  fc
    .tuple(fc.constantFrom(20_000, 0, 10_000, null), fc.constantFrom("card_ok", "card_declined"))
    .map(([threshold, card]) => new Change(threshold, card)),
];

describe.each(DIALECTS)("approvals by a model on %s", (dialect) => {
  let backend: TestBackend;
  beforeAll(async () => {
    backend = await startBackend(dialect);
  });
  afterAll(() => backend.close());

  test("charge what the rules allow, once, and nothing else", async () => {
    await fc.assert(
      fc.asyncProperty(fc.commands(STEPS, { maxCommands: 25, size: "max" }), async (steps) => {
        backend.clocks.billing = NOON;
        const opened = await openFourEyes(backend, { id: organization().id });
        const model = new Model();
        await fc.asyncModelRun(() => ({ model, real: { backend, ...opened } }), steps);
        for (const purchase of model.purchases) await expectState({ backend, ...opened }, purchase);
        const { id } = opened;
        const { body } = await call(backend, "GET", `/organizations/${id}/purchases?limit=100`, { token: tokenOf(id) });
        expect(body.items).toHaveLength(model.purchases.length);
        await expectInvariants(backend, id, 25);
      }),
      { numRuns: 5 },
    );
  });
});
