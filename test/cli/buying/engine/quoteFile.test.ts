import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { Offer } from "../../../../src/cli/buying/engine/offer.ts";
import {
  assertSamePlace,
  assertStillHolds,
  isFileKey,
  type QuoteFile,
  quoteFileOf,
  readQuoteFile,
  writeQuoteFile,
} from "../../../../src/cli/buying/engine/quoteFile.ts";
import { codeOf } from "../../../../src/cli/errors.ts";
import { API_URL, ORGANIZATION, purchase, quote, subscription, verified } from "../../support/builders.ts";
import { known, PRICED, play, SOLD, unknown } from "../../support/playBuy.ts";

const offer = (licenses = 5, change: Parameters<typeof subscription>[0] = {}): Offer => {
  const seen = subscription(change);
  return { subscription: seen, quote: verified(quote(licenses, {}, seen)) };
};

const file = quoteFileOf(offer(), API_URL);

const text = writeQuoteFile(file);

const read = (written: string) => readQuoteFile("quote.json", Buffer.from(written));

const codeOfReading = (written: string) => {
  try {
    read(written);
    return null;
  } catch (error) {
    return codeOf(error);
  }
};

/** A file with the digest that fits, as somebody makes it who knows how. */
function forged(change: Record<string, unknown>): string {
  const { digest: _, ...content } = { ...file, ...change } as QuoteFile;
  const digest = createHash("sha256").update(JSON.stringify(content)).digest("hex");
  return writeQuoteFile({ ...content, digest });
}

/** Every leaf of a document with a value in its place that is as plausible. */
function mutations(value: unknown, path: readonly (string | number)[] = []): [string, unknown][] {
  if (typeof value === "object" && value !== null) {
    return Object.entries(value).flatMap(([name, inner]) =>
      mutations(inner, [...path, name]).map(([where, changed]): [string, unknown] => [
        where,
        Array.isArray(value)
          ? value.map((item, i) => (String(i) === name ? changed : item))
          : { ...value, [name]: changed },
      ]),
    );
  }
  const changed = typeof value === "number" ? value + 1 : typeof value === "string" ? `${value}1` : 1;
  return [[path.join("."), changed]];
}

describe("a quote file", () => {
  it("contains everything a reviewer needs, and is read back as written", () => {
    expect(read(text)).toEqual(file);
    expect(file).toMatchObject({
      organization: { id: ORGANIZATION, name: "Northwind Labs" },
      backend: API_URL,
      licenses: 5,
      purchased: { before: 25, after: 30 },
      total: { amount: 24_410, currency: "GBP" },
      createdAt: "2026-11-22T10:00:00Z",
      digest: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect(file.arithmetic.join("\n")).toContain("£150.00 × 5 × 99 / 365 = 203.424657…, rounded £203.42");
  });

  it("is still read if an earlier version named the amounts", () => {
    const earlier = file.arithmetic.map((line) =>
      line.startsWith("Due now:") ? line.replace("Due now", "Total") : line.replace("Subtotal", "Due now"),
    );
    expect(earlier).not.toEqual(file.arithmetic);
    expect(read(forged({ arithmetic: earlier })).arithmetic).toEqual(earlier);
  });

  it.each([
    ["CRLF line endings", text.replaceAll("\n", "\r\n")],
    ["a byte order mark", `\ufeff${text}`],
    ["no trailing newline", text.trimEnd()],
    ["different formatting", JSON.stringify(file)],
    ["fields in another order", writeQuoteFile(Object.fromEntries(Object.entries(file).reverse()) as QuoteFile)],
  ])("is accepted with %s", (_, written) => {
    expect(read(written)).toEqual(file);
  });

  const changes = mutations(file);

  it("has fields to change", () => expect(changes.length).toBeGreaterThan(35));

  it.each(changes)("is rejected if %s was changed", (_, changed) => {
    expect(codeOfReading(`${JSON.stringify(changed, null, 2)}\n`)).toBe("quote_file_invalid");
  });

  it.each([
    ["an empty file", ""],
    ["invalid JSON", "{"],
    ["another document", '{"a": 1}\n'],
    ["an array", "[]"],
    ["an unknown field", text.replace('"licenses"', '"more": 1,\n  "licenses"')],
    ["an oversized file", `${text}${" ".repeat(70_000)}`],
    ["binary data", "\u0000\ufffd"],
    ["__proto__", text.replace('"licenses"', '"__proto__": {},\n  "licenses"')],
  ])("is rejected: %s", (_, written) => {
    expect(codeOfReading(written)).toBe("quote_file_invalid");
  });

  it.each([
    ["its own total", { total: { amount: 99_999, currency: "GBP" } }],
    ["its own amount due", { dueNow: { amount: 1, currency: "GBP" } }],
    ["its own sentences", { arithmetic: ["Total: £1.00"] }],
    ["a count that is not the sum", { purchased: { before: 25, after: 31 } }],
    ["more licenses for the same money", { licenses: 6, purchased: { before: 25, after: 31 } }],
    ["its own renewal", { renewsAt: { ...offer().quote.renewsAt, licenses: 99 } }],
    ["amounts that no rule produces", { unitPrice: { amount: Number.MAX_SAFE_INTEGER, currency: "GBP" } }],
  ])("is rejected with a matching digest but %s", (_, change) => {
    expect(codeOfReading(forged(change))).toBe("quote_file_invalid");
  });
});

describe("checking a quote file against the current state", () => {
  const differences = (check: () => void): string => {
    try {
      check();
      return "";
    } catch (error) {
      expect(codeOf(error)).toBe("quote_file_outdated");
      return (error as Error).message;
    }
  };

  it("compares the backend and the organization", () => {
    const place = { apiUrl: API_URL, organizationId: ORGANIZATION };
    expect(differences(() => assertSamePlace(file, place))).toBe("");
    expect(differences(() => assertSamePlace(file, { ...place, organizationId: 7 }))).toContain(
      "organization: 4201 in the file, 7 now",
    );
    const elsewhere = { apiUrl: "https://evil.example/v2", organizationId: 7 };
    expect(differences(() => assertSamePlace(file, elsewhere))).toMatch(/organization: .*; backend: .*evil.example/);
  });

  const gbp = (amount: number) => ({ amount, currency: "GBP" });
  it.each<[string, Offer, RegExp | ""]>([
    ["nothing changed", offer(), ""],
    ["it is cheaper now", offer(5, { term: { ...subscription().term, daysRemaining: 98 } }), ""],
    [
      "others have bought",
      offer(5, { licenses: { purchased: 26, used: 22, available: 4 } }),
      /purchased licenses: 25 in the file, 26 now/,
    ],
    [
      "a purchase is in progress",
      offer(5, { pending: { purchases: 1, licenses: 5 } }),
      /licenses in progress: 0 in the file, 5 now/,
    ],
    [
      "the unit price is lower",
      offer(5, { plan: { ...subscription().plan, unitPrice: gbp(14_000) } }),
      /unit price: £150.00 in the file, £140.00 now/,
    ],
    ["the tax is higher", offer(5, { taxRate: "21" }), /total with tax: £244.10 in the file, £246.14 now/],
    [
      "the next term has started",
      offer(5, { term: { start: "2027-03-01", renewalDate: "2028-03-01", days: 366, daysRemaining: 99 } }),
      /term: 2026-03-01 to 2027-03-01 in the file, 2027-03-01 to 2028-03-01 now/,
    ],
  ])("compares the price: %s", (_, now, expected) => {
    expect(differences(() => assertStillHolds(file, now))).toMatch(expected);
  });

  it("reports every difference, field by field", () => {
    const now = offer(5, {
      licenses: { purchased: 26, used: 22, available: 4 },
      plan: { ...subscription().plan, unitPrice: gbp(16_000) },
    });
    expect(differences(() => assertStillHolds(file, now))).toMatch(/purchased licenses: .*; unit price: .*; total/);
  });
});

describe("buy --from", () => {
  const request = { wanted: { licenses: 5 }, quoteFile: file };
  const key = `file_${file.digest}_1`;
  const soldUnder = (idempotencyKey: string) => ({
    ...SOLD,
    gives: { purchase: purchase({ idempotencyKey }), replayed: false },
  });

  it("first looks up the file's key, then buys under it", async () => {
    const asked = { ...unknown, with: [key] };
    const { outcome, journal } = await play({ request, script: [asked, ...PRICED, soldUnder(key)] });
    expect(outcome).toMatchObject({ result: { replayed: false }, endedKey: key });
    expect(journal.kept).toMatchObject([{ keySource: "file", idempotencyKey: key }]);
  });

  it("buys once, whatever else has changed since", async () => {
    const { outcome, calls } = await play({ request, script: [known(purchase({ idempotencyKey: key }))] });
    expect(outcome).toMatchObject({ result: { replayed: true, purchase: { id: "pur_1" } }, failure: null });
    expect(calls).toEqual(["purchaseByKey"]);
  });

  it("advances to the next key if the first one is void or failed", async () => {
    const second = `file_${file.digest}_2`;
    const isVoid = { call: "purchaseByKey", with: [key], gives: { state: "void" } } as const;
    const script = [isVoid, { ...unknown, with: [second] }, ...PRICED, soldUnder(second)];
    expect((await play({ request, script })).outcome).toMatchObject({ endedKey: second });
  });

  it("stops if the file is outdated, before anything is journaled", async () => {
    const dearer = { ...file, total: { amount: 24_409, currency: "GBP" } };
    const script = [unknown, ...PRICED, unknown];
    const { outcome, journal } = await play({ request: { ...request, quoteFile: dearer }, script });
    expect(outcome).toMatchObject({ code: "quote_file_outdated" });
    expect(journal.log).toEqual([]);
  });

  it.each([
    ["is in progress", subscription({ pending: { purchases: 1, licenses: 5 } })],
    ["has succeeded", subscription({ licenses: { purchased: 30, used: 22, available: 8 } })],
  ])("returns the purchase of a concurrent run that %s since the lookup", async (_, now) => {
    const priced = [
      { call: "subscription", gives: now } as const,
      { call: "createQuote", gives: quote(5, {}, now) } as const,
    ];
    const script = [unknown, ...priced, known(purchase({ idempotencyKey: key }))];
    const { outcome } = await play({ request, script });
    expect(outcome).toMatchObject({ result: { replayed: true, purchase: { id: "pur_1" } }, failure: null });
  });

  it("names the purchase if PO number or note differ", async () => {
    const script = [known(purchase({ idempotencyKey: key, purchaseOrder: "P1" }))];
    const { outcome } = await play({ request, script });
    expect(outcome).toMatchObject({
      code: "idempotency_key_reused",
      message: expect.stringContaining("was already bought as pur_1"),
    });
  });

  it("requests no quote from another backend or organization", async () => {
    const elsewhere = { ...file, organization: { id: 7, name: "Other" } };
    const { outcome, calls } = await play({ request: { ...request, quoteFile: elsewhere }, script: [unknown] });
    expect(outcome).toMatchObject({ code: "quote_file_outdated" });
    expect(calls).toEqual(["purchaseByKey"]);
  });

  it("recognizes its own keys", () => {
    expect(isFileKey(file, key)).toBe(true);
    expect(isFileKey(file, `file_${"0".repeat(64)}_1`)).toBe(false);
  });
});
