import { randomBytes } from "node:crypto";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { passwords } from "../../../src/backend/identity/secrets.ts";
import { SANDBOX_SELLER } from "../../../src/backend/payments/cards.ts";
import { fulfillAtOnce } from "../../../src/backend/purchases/atOnce.ts";
import { leasePurchase } from "../../../src/backend/purchases/leases.ts";
import { fulfillInSteps } from "../../../src/backend/purchases/settle.ts";
import { readPurchase } from "../../../src/backend/purchases/store.ts";
import { buy, call, NOON, organization, startBackend, type TestBackend, tokenOf } from "../support/backend.ts";
import { expectInvariants } from "../support/invariants.ts";
import { DIALECTS } from "../support/stores.ts";

const [dialect] = DIALECTS.filter((kind) => kind !== "sqlite");

/** Statements that begin or end a transaction, or set a parameter. */
const FRAME = /^(begin|start transaction|commit|rollback|set)\b/;

describe.skipIf(!dialect)("purchases at once on PostgreSQL", () => {
  let backend: TestBackend;
  const statements: string[] = [];
  const sent = async (work: () => Promise<unknown>) => {
    statements.length = 0;
    await work();
    const single = statements.filter((text) => !FRAME.test(text));
    const framed = statements.filter((text) => text === "begin").length;
    const alone = statements.reduce(
      (count, text, index) =>
        count + (!FRAME.test(text) && !isFramed(statements.slice(0, index)) && isWrite(text) ? 1 : 0),
      0,
    );
    return { statements: single.length, commits: framed + alone };
  };

  beforeAll(async () => {
    backend = await startBackend(dialect ?? "postgres", passwords(randomBytes), (text) => statements.push(text.trim()));
  });
  afterAll(() => backend.close());

  const open = async (changes = {}) => {
    const made = organization(changes);
    await backend.addOrganization(made);
    return made.id;
  };

  test("a quote costs 2 statements, a settled purchase at most 8 and 3 commits", async () => {
    const id = await open();
    let quoteId = "";
    const quoting = await sent(async () => {
      const { body } = await call(backend, "POST", `/organizations/${id}/quotes`, {
        token: tokenOf(id),
        body: { licenses: 5 },
      });
      quoteId = body.id;
    });
    expect(quoting).toEqual({ statements: 2, commits: 1 });
    const buying = await sent(async () => {
      const answer = await call(backend, "POST", `/organizations/${id}/purchases`, {
        token: tokenOf(id),
        body: { quoteId },
        headers: { "Idempotency-Key": "k" },
      });
      expect(answer.status).toBe(201);
    });
    expect(buying).toEqual({ statements: 4, commits: 3 });
    await expectInvariants(backend, id, 25);
  });

  test("fulfilling in one statement and in steps leaves the same rows", async () => {
    const rowsAfter = async (fulfill: typeof fulfillInSteps) => {
      const id = await open({ paymentMethod: "card_processing" });
      await backend.deps.database
        .updateTable("subscriptions")
        .set({ reduction: 22, reduction_term: 9 })
        .where("organization_id", "=", id)
        .execute();
      const { body } = await buy(backend, id, 5, "k");
      expect(body.status).toBe("processing");
      backend.clocks.machine += 10_001;
      const lease = await leasePurchase(
        backend.deps.database,
        { organization_id: id, id: body.id },
        { billing: backend.clocks.billing, machine: backend.clocks.machine },
      );
      if (!lease) throw new TypeError("no lease");
      const about = {
        organizationId: id,
        at: NOON,
        type: "purchase.succeeded",
        actor: "backend",
        purchaseId: lease.id,
      };
      const notification = { id: `n-${id}`, type: "t", organizationId: id, purchaseId: lease.id, to: null };
      await backend.deps.database
        .updateTable("organizations")
        .set({ billing_json: '{"name":"Buyer Ltd"}' })
        .where("id", "=", id)
        .execute();
      await backend.deps.database
        .updateTable("subscriptions")
        .set({ payment_method: null, unpaid_renewal: lease.id })
        .where("organization_id", "=", id)
        .execute();
      const change = {
        licenses: 5,
        paymentMethod: "card_ok",
        paymentMethodLabel: "A card",
        spentAt: NOON + 1,
        event: about,
        notification,
      };
      await fulfill({ database: backend.deps.database, seller: SANDBOX_SELLER }, lease, change, NOON + 2);
      const tables = ["subscriptions", "purchases", "receipts", "ledger", "events", "outbox"] as const;
      const rows: Record<string, unknown> = {};
      for (const table of tables) {
        const found = await sql<Record<string, unknown>>`select * from ${sql.table(table)}
          where organization_id = ${id}`.execute(backend.deps.database);
        rows[table] = found.rows.map((row) => neutral(row, id, lease.id));
      }
      return rows;
    };
    const atOnce = await rowsAfter(async (issuer, lease, ...rest) => {
      const fulfilled = await fulfillAtOnce(issuer, lease, ...rest);
      expect(fulfilled).toEqual(await readPurchase(issuer.database, lease.organization_id, lease.id));
    });
    expect(atOnce).toEqual(await rowsAfter(fulfillInSteps));
    expect(atOnce.subscriptions).toMatchObject([
      { licenses: 30, reduction: 27, unpaid_renewal: null, payment_method: "card_ok" },
    ]);
    expect(atOnce.receipts).toMatchObject([
      { seller_json: SANDBOX_SELLER, buyer_json: { name: "Buyer Ltd" }, organization_name: expect.any(String) },
    ]);
  });
});

/** A row without what differs between two organizations, and JSON parsed. */
function neutral(row: Record<string, unknown>, organizationId: number, purchaseId: string): unknown {
  const varying = [
    "id",
    "quote_id",
    "payment_id",
    "lease_until",
    "price_json",
    "buyer_user_id",
    "buyer_email",
    "buyer_token_id",
    "buyer_token_name",
  ];
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => {
      if (varying.includes(name)) return [name, null];
      const text =
        typeof value === "string"
          ? value.replaceAll(purchaseId, "PURCHASE").replaceAll(String(organizationId), "0")
          : value;
      if (text === organizationId) return [name, 0];
      return [name, name.endsWith("_json") ? { ...(JSON.parse(String(text)) as object), quoteId: null } : text];
    }),
  );
}

function isFramed(before: readonly string[]): boolean {
  const last = before.findLast((text) => /^(begin|commit|rollback)/.test(text));
  return last === "begin";
}

function isWrite(text: string): boolean {
  return /\b(insert into|update|delete from)\b/.test(text);
}
