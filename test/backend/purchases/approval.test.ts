import { createHash } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { GatewayUnavailable, type PaymentGateway } from "../../../src/backend/payments/gateway.ts";
import { acceptPurchase } from "../../../src/backend/purchases/accept.ts";
import { LEASE_MS, leasePurchase, makeDue } from "../../../src/backend/purchases/leases.ts";
import { sweep } from "../../../src/backend/sweep.ts";
import type { Purchase } from "../../../src/contract/billing.ts";
import {
  approve,
  buyAbove,
  type FourEyes,
  openFourEyes,
  reject,
  setThreshold,
  signIn,
  THRESHOLD,
} from "../support/administrators.ts";
import { buy, call, NOON, organization, startBackend, submit, type TestBackend, tokenOf } from "../support/backend.ts";
import { expectInvariants } from "../support/invariants.ts";
import { act, addressOf, look, orderOfQuote, post, read, send } from "../support/paying.ts";
import { storeCard } from "../support/renewing.ts";
import { DIALECTS } from "../support/stores.ts";

const HOUR_MS = 3_600_000;

describe.each(DIALECTS)("approvals on %s", (dialect) => {
  let backend: TestBackend;
  let untouched: PaymentGateway;

  beforeAll(async () => {
    backend = await startBackend(dialect);
    untouched = { ...backend.deps.gateway };
  });
  afterEach(() => {
    Object.assign(backend.deps.gateway, untouched);
    backend.clocks.billing = NOON;
  });
  afterAll(() => backend.close());

  const later = async (ms: number) => {
    backend.clocks.machine += LEASE_MS;
    backend.clocks.billing += ms;
    await sweep(backend.deps);
  };
  const capturesOf = ({ id }: Pick<Purchase, "id">) =>
    backend.captures().filter(({ purchaseId }) => purchaseId === id).length;
  const typesOf = async (id: number): Promise<string[]> => {
    const { body } = await call(backend, "GET", `/organizations/${id}/events?limit=100`, { token: tokenOf(id) });
    const types: string[] = body.items.map((event: { type: string }) => event.type);
    return types.filter((type) => !type.startsWith("sign_in."));
  };
  const versionOf = async (id: number): Promise<number> =>
    (await call(backend, "GET", `/organizations/${id}/subscription`, { token: tokenOf(id) })).body.version;
  const change = (id: number, userId: number, to: Record<string, number | string>) =>
    backend.deps.database
      .updateTable("members")
      .set(to)
      .where("organization_id", "=", id)
      .where("user_id", "=", userId)
      .execute();
  /** Declines a purchase of one license and moves the threshold below it. */
  const declinedThenTightened = async (): Promise<FourEyes & { purchase: Purchase }> => {
    const opened = await openFourEyes(backend, { paymentMethod: "card_declined", approvalAbove: null });
    const { status, body } = await buy(backend, opened.id, 5, "k");
    expect(status).toBe(402);
    await setThreshold(backend, opened.id, THRESHOLD);
    await storeCard(backend, opened.id, "card_ok");
    return { ...opened, purchase: body.purchase };
  };

  describe("a purchase above the threshold", () => {
    test("is accepted and waits, charged nothing, until another administrator approves it", async () => {
      const { id, ada, bob } = await openFourEyes(backend);
      const version = await versionOf(id);
      const { status, body: waiting } = await buy(backend, id, 5, "k", { token: ada.session });
      expect([status, waiting.status, waiting.failure]).toEqual([202, "requires_approval", null]);
      expect(waiting.nextAction).toEqual({
        type: "administrator_approval",
        url: null,
        expiresAt: "2026-11-25T12:00:00.000Z",
      });
      const { id: purchaseId } = waiting;
      const accepted = `{"currency":"GBP","dueNow":20342,"licenses":5,"organizationId":${id},"purchaseId":"${purchaseId}","tax":4068,"total":24410}`;
      const digest = createHash("sha256").update(accepted).digest("hex");
      expect(waiting.approval).toEqual({ digest, approvedBy: null, approvedAt: null });
      expect(await call(backend, "GET", `/organizations/${id}/subscription`, { token: tokenOf(id) })).toMatchObject({
        body: { licenses: { purchased: 25 }, pending: { purchases: 1, licenses: 5 }, version: version + 1 },
      });
      await later(HOUR_MS);
      expect(capturesOf(waiting)).toBe(0);

      const approved = await approve(backend, id, waiting, bob.session);
      expect([approved.status, approved.body.status, approved.body.nextAction]).toEqual([200, "succeeded", null]);
      expect(approved.body.approval).toEqual({ digest, approvedBy: bob.email, approvedAt: "2026-11-22T13:00:00.000Z" });
      expect(approved.body.organizationLicenses.purchased).toBe(30);
      expect(await typesOf(id)).toEqual([
        "purchase.accepted",
        "purchase.approval_requested",
        "purchase.approved",
        "purchase.succeeded",
      ]);
      const again = await approve(backend, id, waiting, bob.session);
      expect([again.status, again.body.status, capturesOf(waiting)]).toEqual([200, "succeeded", 1]);
      await expectInvariants(backend, id, 25);
    });

    test("is what its key replays, and what `wait` answers at once", async () => {
      const { id } = await openFourEyes(backend);
      const waiting = await buyAbove(backend, id);
      const again = await submit(backend, id, { quoteId: waiting.quoteId ?? "" }, "k");
      expect([again.status, again.body.status, again.body.id]).toEqual([200, "requires_approval", waiting.id]);
      const path = `/organizations/${id}/purchases/${waiting.id}?wait=20`;
      expect((await call(backend, "GET", path, { token: tokenOf(id) })).body.status).toBe("requires_approval");
    });

    test("is what it is together with the others of a day that nobody approved, whoever bought them", async () => {
      const { id, ada, bob } = await openFourEyes(backend);
      const statusOf = async (key: string, token: string, licenses = 2) =>
        (await buy(backend, id, licenses, key, { token })).body.status;
      // £97.64 each.
      expect(await statusOf("one", ada.session)).toBe("succeeded");
      expect(await statusOf("two", tokenOf(id))).toBe("succeeded");
      expect(await statusOf("three", bob.session, 1)).toBe("requires_approval");
      backend.clocks.billing += 24 * HOUR_MS - 1;
      expect(await statusOf("four", bob.session, 1)).toBe("requires_approval");
      backend.clocks.billing += 1;
      expect(await statusOf("five", bob.session)).toBe("succeeded");
    });

    test("counts neither what was approved nor what failed", async () => {
      const { id, bob } = await openFourEyes(backend);
      expect((await approve(backend, id, await buyAbove(backend, id), bob.session)).status).toBe(200);
      const rejected = await buyAbove(backend, id, tokenOf(id), "again");
      expect((await reject(backend, id, rejected.id, bob.session)).status).toBe(200);
      await storeCard(backend, id, "card_declined");
      expect((await buy(backend, id, 4, "declined")).status).toBe(402);
      await storeCard(backend, id, "card_ok");
      expect((await buy(backend, id, 4, "paid")).status).toBe(201);
    });

    test("needs no approval exactly at the threshold, without one, or if it costs nothing", async () => {
      const exact = await openFourEyes(backend, { approvalAbove: 24_410 });
      expect((await buy(backend, exact.id, 5, "k")).status).toBe(201);
      const without = await openFourEyes(backend, { approvalAbove: null });
      expect((await buy(backend, without.id, 500, "k")).status).toBe(201);
      const unitPrice = { amount: 0, currency: "GBP" };
      const free = await openFourEyes(backend, { approvalAbove: 0, subscription: { unitPrice } });
      expect((await buy(backend, free.id, 5, "k")).status).toBe(201);
    });

    test("of 20 in parallel, waits for all but those within the threshold", async () => {
      const { id } = await openFourEyes(backend, { approvalAbove: 10_000 });
      const once = async (key: string): Promise<string> => {
        for (;;) {
          const { status, body } = await buy(backend, id, 1, key);
          if (status < 300) return body.status;
          // A busy database gives up on a transaction that others were in the way of too often.
          expect(["subscription_changed", "unavailable"]).toContain(body.code);
        }
      };
      const statuses = await Promise.all(Array.from({ length: 20 }, (_, index) => once(`k${index}`)));
      // £48.82 each: two are £97.64.
      expect(statuses.filter((status) => status === "succeeded")).toHaveLength(2);
      expect(statuses.filter((status) => status === "requires_approval")).toHaveLength(18);
      await expectInvariants(backend, id, 25);
    });

    test("waits, too, if the threshold was set after the request had arrived", async () => {
      const { id, ada } = await openFourEyes(backend);
      const { order: anybodys } = await orderOfQuote(backend, id);
      const order = { ...anybodys, buyer: { ...ada, token: null } };
      const { purchase, isLeased } = await acceptPurchase(
        backend.deps.database,
        order,
        { billing: NOON, machine: backend.clocks.machine },
        () => {},
      );
      expect([purchase.state, isLeased, purchase.buyer_user_id]).toEqual(["awaiting_approval", false, ada.userId]);
    });

    test("counts against the token's spending limit while it waits, and no longer once it is rejected", async () => {
      const spendLimit = { amount: 30_000 };
      const made = organization();
      const tokens = made.tokens.map((token) => ({ ...token, spendLimit }));
      const { id, bob } = await openFourEyes(backend, { id: made.id, tokens });
      const waiting = await buyAbove(backend, id);
      expect((await buy(backend, id, 2, "second")).body.code).toBe("spend_limit_exceeded");
      await reject(backend, id, waiting.id, bob.session);
      expect((await buy(backend, id, 2, "third")).status).toBe(201);
    });

    test("notifies the administrators who may approve it, and its buyer of the decision", async () => {
      const { id, ada, bob } = await openFourEyes(backend);
      const waiting = await buyAbove(backend, id);
      const toldOf = async () => {
        await sweep(backend.deps);
        return backend
          .delivered()
          .filter(({ purchaseId }) => purchaseId === waiting.id)
          .map(({ type, to }) => [type, to]);
      };
      expect(await toldOf()).toEqual([["purchase.approval_requested", bob.email]]);
      await approve(backend, id, waiting, bob.session);
      expect((await toldOf()).slice(1).sort()).toEqual([
        ["purchase.approved", ada.email],
        ["purchase.succeeded", ada.email],
      ]);
    });
  });

  describe("the end of a purchase that waits", () => {
    test("is its rejection, which says why, changes the version, and can be repeated", async () => {
      const { id, ada, bob } = await openFourEyes(backend);
      const waiting = await buyAbove(backend, id);
      const version = await versionOf(id);
      const rejected = await reject(backend, id, waiting.id, bob.session, "Too many");
      expect(rejected).toMatchObject({
        status: 200,
        body: {
          status: "failed",
          failure: { code: "rejected", message: "Too many" },
          nextAction: null,
          approval: null,
        },
      });
      expect(await versionOf(id)).toBe(version + 1);
      expect((await reject(backend, id, waiting.id, bob.session, "Other")).body.failure.message).toBe("Too many");
      expect((await approve(backend, id, waiting, bob.session)).body.code).toBe("not_approvable");
      expect((await send(backend, id, waiting.id, "payment", ada.session)).body.code).toBe("not_payable");
      expect((await typesOf(id)).at(-1)).toBe("purchase.rejected");
      await later(25 * HOUR_MS);
      expect(capturesOf(waiting)).toBe(0);
      await expectInvariants(backend, id, 25);
    });

    test("is no rejection once it is approved", async () => {
      const { id, bob } = await openFourEyes(backend);
      const waiting = await buyAbove(backend, id);
      await approve(backend, id, waiting, bob.session);
      expect((await reject(backend, id, waiting.id, bob.session)).body.code).toBe("not_approvable");
    });

    test("is its cancellation, by its buyer as well", async () => {
      const { id, ada, bob } = await openFourEyes(backend);
      const waiting = await buyAbove(backend, id, ada.session);
      const canceled = await send(backend, id, waiting.id, "cancel", ada.session);
      expect(canceled).toMatchObject({ status: 200, body: { failure: { code: "payment_canceled" } } });
      expect((await reject(backend, id, waiting.id, bob.session)).body.code).toBe("not_approvable");
      await later(HOUR_MS);
      expect((await read(backend, id, waiting.id)).status).toBe("failed");
    });

    test("is its expiry after 72 hours, which changes the version", async () => {
      const { id, bob } = await openFourEyes(backend);
      const waiting = await buyAbove(backend, id);
      const version = await versionOf(id);
      await later(72 * HOUR_MS - 1);
      expect((await read(backend, id, waiting.id)).status).toBe("requires_approval");
      backend.clocks.billing += 1;
      expect((await approve(backend, id, waiting, bob.session)).body.code).toBe("not_approvable");
      await later(0);
      expect(await read(backend, id, waiting.id)).toMatchObject({
        status: "failed",
        failure: { code: "approval_expired" },
        nextAction: null,
      });
      expect(await versionOf(id)).toBe(version + 1);
      expect((await typesOf(id)).at(-1)).toBe("purchase.expired");
      await expectInvariants(backend, id, 25);
    });

    test("is the end of its term, when the renewal falls due", async () => {
      const { id } = await openFourEyes(backend, { approvalAbove: 0 });
      backend.clocks.billing = Date.parse("2027-02-27T12:00:00Z");
      const waiting = await buyAbove(backend, id);
      expect(waiting.nextAction?.expiresAt).toBe("2027-03-01T00:00:00.000Z");
      backend.clocks.billing = Date.parse("2027-03-01T12:00:00Z");
      await later(0);
      expect((await read(backend, id, waiting.id)).failure.code).toBe("approval_expired");
      const { body } = await call(backend, "GET", `/organizations/${id}/subscription`, { token: tokenOf(id) });
      expect([body.state, body.term.start]).toEqual(["active", "2027-03-01"]);
      await expectInvariants(backend, id, 25);
    });
  });

  describe("after the approval", () => {
    test("a declined payment can be tried again for 24 hours without another approval", async () => {
      const { id, ada, bob } = await openFourEyes(backend, { paymentMethod: "card_declined" });
      const waiting = await buyAbove(backend, id);
      backend.clocks.billing += 60 * HOUR_MS;
      const approved = await approve(backend, id, waiting, bob.session);
      expect(approved).toMatchObject({ status: 402, body: { code: "payment_declined" } });
      expect(approved.body.purchase.nextAction).toMatchObject({ type: "pay", expiresAt: "2026-11-26T00:00:00.000Z" });
      await storeCard(backend, id, "card_ok");
      backend.clocks.billing += 24 * HOUR_MS - 1;
      expect((await send(backend, id, waiting.id, "payment", ada.session)).body.status).toBe("succeeded");
      await expectInvariants(backend, id, 25);
    });

    test("the payer may have to approve the payment on the page", async () => {
      const { id, bob } = await openFourEyes(backend, { paymentMethod: "card_requires_approval" });
      const waiting = await buyAbove(backend, id);
      backend.clocks.billing += HOUR_MS;
      const { status, body } = await approve(backend, id, waiting, bob.session);
      expect([status, body.nextAction.type, body.nextAction.expiresAt]).toEqual([
        202,
        "approve_payment",
        "2026-11-23T13:00:00.000Z",
      ]);
      expect((await act(backend, addressOf(body), { action: "pay" })).status).toBe(200);
      expect((await read(backend, id, waiting.id)).status).toBe("succeeded");
      await expectInvariants(backend, id, 25);
    });

    test("a crash before the charge leaves it to the sweep, and approving again answers", async () => {
      const { id, bob } = await openFourEyes(backend);
      const waiting = await buyAbove(backend, id);
      backend.crashAt("B18");
      expect((await approve(backend, id, waiting, bob.session)).status).toBe(500);
      expect(capturesOf(waiting)).toBe(0);
      await later(0);
      expect((await approve(backend, id, waiting, bob.session)).body.status).toBe("succeeded");
      expect(capturesOf(waiting)).toBe(1);
      await expectInvariants(backend, id, 25);
    });

    test("two at once, and a rejection against them, have one outcome", async () => {
      for (let round = 0; round < 3; round += 1) {
        const { id, bob } = await openFourEyes(backend);
        const waiting = await buyAbove(backend, id);
        const answers = await Promise.all([
          approve(backend, id, waiting, bob.session),
          reject(backend, id, waiting.id, bob.session),
          approve(backend, id, waiting, bob.session),
        ]);
        await later(0);
        const { status } = await read(backend, id, waiting.id);
        expect(capturesOf(waiting)).toBe(status === "succeeded" ? 1 : 0);
        const codes = answers.map(({ status, body }) => (status < 300 ? "done" : body.code));
        expect(codes).toEqual(
          status === "succeeded" ? ["done", "not_approvable", "done"] : ["not_approvable", "done", "not_approvable"],
        );
        await expectInvariants(backend, id, 25);
      }
    });

    test("buying on hold is not charged", async () => {
      const { id, bob } = await openFourEyes(backend);
      const waiting = await buyAbove(backend, id);
      backend.hold(true);
      expect((await approve(backend, id, waiting, bob.session)).body.code).toBe("unavailable");
      backend.hold(false);
      expect((await approve(backend, id, waiting, bob.session)).body.status).toBe("succeeded");
    });

    test("the token's limit of another month is checked", async () => {
      const made = organization();
      const tokens = made.tokens.map((token) => ({ ...token, spendLimit: { amount: 30_000 } }));
      backend.clocks.billing = Date.parse("2026-11-30T12:00:00Z");
      const { id, bob } = await openFourEyes(backend, { id: made.id, tokens });
      const waiting = await buyAbove(backend, id);
      backend.clocks.billing = Date.parse("2026-12-01T12:00:00Z");
      expect((await buy(backend, id, 2, "december")).status).toBe(201);
      const refused = await approve(backend, id, waiting, bob.session);
      expect(refused.body.code).toBe("spend_limit_exceeded");
      expect((await read(backend, id, waiting.id)).status).toBe("requires_approval");
    });

    test("a worker that is checking it is waited for", async () => {
      const { id, bob } = await openFourEyes(backend);
      const waiting = await buyAbove(backend, id);
      const key = { organization_id: id, id: waiting.id };
      const due = { billing: backend.clocks.billing + 72 * HOUR_MS, machine: backend.clocks.machine };
      expect(await leasePurchase(backend.deps.database, key, due)).not.toBeNull();
      const approving = approve(backend, id, waiting, bob.session);
      backend.clocks.machine += LEASE_MS;
      expect((await approving).body.status).toBe("succeeded");
    });
  });

  describe("paying a declined purchase again above the threshold", () => {
    test("waits for an administrator for 72 hours from then on, then pays with the method of the attempt", async () => {
      const { id, ada, bob, purchase } = await declinedThenTightened();
      backend.clocks.billing += 20 * HOUR_MS;
      const paid = await send(backend, id, purchase.id, "payment", ada.session);
      expect([paid.status, paid.body.status, paid.body.nextAction]).toEqual([
        202,
        "requires_approval",
        { type: "administrator_approval", url: null, expiresAt: "2026-11-26T08:00:00.000Z" },
      ]);
      expect(capturesOf(purchase)).toBe(0);
      backend.clocks.billing += 70 * HOUR_MS;
      expect((await approve(backend, id, paid.body, bob.session)).body.status).toBe("succeeded");
      expect(capturesOf(purchase)).toBe(1);
      await expectInvariants(backend, id, 25);
    });

    test("is not approved by who pays it again, nor by who bought it", async () => {
      const { id, ada, bob, purchase } = await declinedThenTightened();
      const paid = await send(backend, id, purchase.id, "payment", bob.session);
      expect(paid.body.nextAction.type).toBe("administrator_approval");
      for (const { session } of [bob, ada]) {
        expect(await approve(backend, id, paid.body, session)).toMatchObject({
          status: 403,
          body: { code: "forbidden" },
        });
      }
      expect(capturesOf(purchase)).toBe(0);
    });

    test("counts it once, so that it is paid at once below the threshold", async () => {
      const { id, ada } = await openFourEyes(backend, { paymentMethod: "card_declined" });
      const { body } = await buy(backend, id, 4, "k");
      await storeCard(backend, id, "card_ok");
      expect((await send(backend, id, body.purchase.id, "payment", ada.session)).body.status).toBe("succeeded");
    });

    test("waits on the payment page, too, which then offers nothing to pay", async () => {
      const { id, bob, purchase } = await declinedThenTightened();
      const address = addressOf(purchase);
      const form = await look(backend, address);
      const waiting = await act(backend, address, { action: "pay", card: "card_ok" });
      expect(waiting.html).toContain("Waiting for an administrator");
      for (const action of ["pay", "cancel"]) {
        const fields = { form: /name="form" value="([^"]+)"/.exec(form.html)?.[1] ?? "", action };
        expect((await post(backend, address, fields)).html).toContain("Waiting for an administrator");
      }
      const { status, html } = await look(backend, address);
      expect([status, html.includes("<form"), html.includes("£244.10")]).toEqual([200, false, true]);
      expect(capturesOf(purchase)).toBe(0);
      const current = await read(backend, id, purchase.id);
      expect((await approve(backend, id, current, bob.session)).body.status).toBe("succeeded");
      await expectInvariants(backend, id, 25);
    });

    test.each(["expiry", "rejection"])("cancels its payment before its %s", async (end) => {
      const { id, ada, bob, purchase } = await declinedThenTightened();
      await send(backend, id, purchase.id, "payment", ada.session);
      if (end === "rejection") expect((await reject(backend, id, purchase.id, bob.session)).status).toBe(200);
      else await later(72 * HOUR_MS);
      expect((await read(backend, id, purchase.id)).status).toBe("failed");
      const row = await backend.deps.database
        .selectFrom("purchases")
        .select("payment_id")
        .where("organization_id", "=", id)
        .executeTakeFirstOrThrow();
      expect((await backend.deps.gateway.read(row.payment_id ?? "")).status).toBe("canceled");
      await expectInvariants(backend, id, 25);
    });

    test("stays as it is while the provider does not answer the cancellation", async () => {
      const { id, ada, bob, purchase } = await declinedThenTightened();
      await send(backend, id, purchase.id, "payment", ada.session);
      Object.assign(backend.deps.gateway, {
        cancel: async () => {
          throw new GatewayUnavailable("no answer");
        },
      });
      expect((await reject(backend, id, purchase.id, bob.session)).body.code).toBe("unavailable");
      expect((await read(backend, id, purchase.id)).status).toBe("requires_approval");
      Object.assign(backend.deps.gateway, untouched);
      expect((await reject(backend, id, purchase.id, bob.session)).body.failure.code).toBe("rejected");
    });

    test.each(["it is rejected", "a webhook tells"])(
      "refunds what the bank took although nobody approved it, once %s",
      async (when) => {
        const { id, ada, bob, purchase } = await declinedThenTightened();
        await send(backend, id, purchase.id, "payment", ada.session);
        const row = await backend.deps.database
          .selectFrom("purchases")
          .select("payment_id")
          .where("organization_id", "=", id)
          .executeTakeFirstOrThrow();
        await backend.deps.gateway.confirm(row.payment_id ?? "", {
          idempotencyKey: `bank ${purchase.id}`,
          paymentMethod: "card_ok",
          approvedByPerson: true,
          returnUrl: null,
        });
        if (when === "it is rejected") await reject(backend, id, purchase.id, bob.session);
        else await makeDue(backend.deps.database, { organization_id: id, id: purchase.id }, backend.clocks.billing);
        await later(60_000);
        expect(await read(backend, id, purchase.id)).toMatchObject({
          status: "failed",
          failure: { code: "payment_late" },
          refund: { amount: { amount: 24_410 } },
        });
        await expectInvariants(backend, id, 25);
      },
    );
  });

  describe("nobody approves their own purchase", () => {
    const refused = async (waiting: Purchase, id: number, token: string, code = "forbidden") => {
      for (const answer of [await approve(backend, id, waiting, token), await reject(backend, id, waiting.id, token)]) {
        expect(answer.body.code).toBe(code);
      }
      expect(capturesOf(waiting)).toBe(0);
    };

    test("in the same session, in another one, or through a token of theirs", async () => {
      const { id, ada } = await openFourEyes(backend);
      const waiting = await buyAbove(backend, id, ada.session);
      await refused(waiting, id, ada.session);
      await refused(waiting, id, (await signIn(backend, ada.email)).session);
      await refused(waiting, id, tokenOf(id));
    });

    test("if their token bought it, which no token approves", async () => {
      const { id, ada, bob } = await openFourEyes(backend);
      const waiting = await buyAbove(backend, id, tokenOf(id));
      await refused(waiting, id, ada.session);
      const made = await call(backend, "POST", `/organizations/${id}/tokens`, {
        token: bob.session,
        body: { name: "bob's", scopes: ["billing:read", "billing:purchase"] },
      });
      await refused(waiting, id, made.body.token);
      // What a token of Bob bought, Ada approves and Bob does not.
      const bobs = await buyAbove(backend, id, made.body.token, "bobs");
      await refused(bobs, id, bob.session);
      expect((await approve(backend, id, bobs, ada.session)).status).toBe(200);
    });

    test("as who was no administrator when it was bought, or is none any more", async () => {
      const { id, bob } = await openFourEyes(backend);
      const waiting = await buyAbove(backend, id);
      for (const since of [NOON, NOON + 1]) {
        await change(id, bob.userId, { administrator_since: since });
        await refused(waiting, id, bob.session);
      }
      await change(id, bob.userId, { administrator_since: NOON - 1, role: 7 });
      await refused(waiting, id, bob.session);
      await change(id, bob.userId, { role: 0, status: "REMOVED" });
      await refused(waiting, id, bob.session, "not_found");
      await change(id, bob.userId, { status: "ACTIVE", accepted: 0 });
      await refused(waiting, id, bob.session, "not_found");
      await change(id, bob.userId, { accepted: 1 });
      expect((await approve(backend, id, waiting, bob.session)).status).toBe(200);
    });

    test("without an authenticator app", async () => {
      const { id, bob } = await openFourEyes(backend);
      const waiting = await buyAbove(backend, id);
      const users = backend.deps.database.updateTable("users").where("id", "=", bob.userId);
      await users.set({ totp_secret: null }).execute();
      await refused(waiting, id, bob.session, "mfa_not_enrolled");
    });

    test("from another organization, or by the digest of another purchase", async () => {
      const { id, bob } = await openFourEyes(backend);
      const other = await openFourEyes(backend);
      const waiting = await buyAbove(backend, id);
      await refused(waiting, id, other.bob.session, "not_found");
      await refused(waiting, other.id, other.bob.session, "not_found");
      const second = await buyAbove(backend, id, tokenOf(id), "second");
      const answer = await approve(backend, id, waiting, bob.session, second.approval?.digest);
      expect(answer).toMatchObject({ status: 409, body: { code: "not_approvable" } });
      expect([capturesOf(waiting), capturesOf(second)]).toEqual([0, 0]);
    });

    test("as the buyer of an older purchase, who is known by email only", async () => {
      const { id, ada, bob } = await openFourEyes(backend);
      const waiting = await buyAbove(backend, id, ada.session);
      await backend.deps.database
        .updateTable("purchases")
        .set({ buyer_user_id: null })
        .where("organization_id", "=", id)
        .execute();
      await refused(waiting, id, ada.session);
      expect((await approve(backend, id, waiting, bob.session)).status).toBe(200);
    });

    test("but a platform administrator of the organization may approve it", async () => {
      const { id, bob } = await openFourEyes(backend);
      const waiting = await buyAbove(backend, id);
      await change(id, bob.userId, { role: -1 });
      expect((await approve(backend, id, waiting, bob.session)).status).toBe(200);
    });
  });
});
