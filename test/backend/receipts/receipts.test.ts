import { readFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import manifest from "../../../package.json";
import { documentAnswer, prefersPdf } from "../../../src/backend/receipts/answer.ts";
import { type FontFiles, fontsFor, installedFonts, readFont, unpackFont } from "../../../src/backend/receipts/fonts.ts";
import { renderPdf } from "../../../src/backend/receipts/pdf.ts";
import { formatMoney } from "../../../src/billing/money.ts";
import type { Receipt } from "../../../src/contract/billing.ts";
import { DEJAVU, woffOf } from "../../support/fonts.ts";
import { removePlaces } from "../../support/places.ts";
import { HAS_POPPLER, readPdf } from "../../support/poppler.ts";
import { buy, call, organization, startBackend, tokenOf } from "../support/backend.ts";

afterAll(removePlaces);

const ZONE = "Europe/London";

const PLAIN: FontFiles = { base: readFileSync(DEJAVU), read: () => null };

function receipt(change: Partial<Receipt> = {}, currency = "GBP"): Receipt {
  const money = (amount: number) => ({ amount, currency });
  return {
    receiptNumber: "4201-000001",
    issuedAt: "2026-11-22T12:00:00.000Z",
    purchaseId: "pur_0123456789abcdef01234567",
    kind: "purchase",
    organization: { id: 4201, name: "Northwind Labs" },
    plan: "SMB",
    licenses: 5,
    licensesAfter: 30,
    unitPrice: money(15_000),
    purchaseDate: "2026-11-22",
    term: { start: "2026-03-01", renewalDate: "2027-03-01", days: 365, daysRemaining: 99 },
    dueNow: money(20_342),
    taxRate: "20",
    tax: money(4_068),
    total: money(24_410),
    paymentMethod: { type: "card", label: "Visa ending in 4242" },
    purchaseOrder: "PO-7781",
    note: "For the new team",
    purchasedBy: { email: "admin@northwind.example", token: "ci" },
    status: "succeeded",
    refund: null,
    seller: null,
    buyer: null,
    ...change,
  };
}

const PARTIES: Partial<Receipt> = {
  seller: {
    name: "Example Seller Ltd",
    address: ["1 Example Street", "London EC1A 1AA"],
    country: "GB",
    vatNumber: "GB999999973",
  },
  buyer: {
    name: "Northwind Ltd",
    address: ["1 High Street"],
    country: "DE",
    vatNumber: "DE123456789",
    email: "ap@northwind.example",
  },
};

const named = (name: string, change: Partial<Receipt> = {}) => receipt({ organization: { id: 4201, name }, ...change });

/** Fakes an installation with fonts that have these characters. */
function having(fonts: Record<string, string>): FontFiles {
  return {
    base: readFileSync(DEJAVU),
    read: (font) => {
      const characters = fonts[font.package];
      return characters === undefined ? null : unpackFont(woffOf(characters));
    },
  };
}

describe("content negotiation", () => {
  test.each([
    [undefined, false],
    ["", false],
    ["*/*", false],
    ["application/json", false],
    ["application/pdf", true],
    ["Application/PDF; q=1.000", true],
    ["application/pdf, application/problem+json", true],
    ["application/pdf, application/json", false],
    ["application/pdf, */*", false],
    ["application/pdf;q=0.9, application/json", false],
    ["application/json;q=0.5, application/pdf;q=0.501", true],
    ["application/json;q=0.5, application/*", true],
    ["application/pdf;q=0, */*", false],
    ["text/html, application/xhtml+xml, */*;q=0.8", false],
    ["application/pdf;q=2", false],
    ["application/pdf;q=0.1234", false],
    ["pdf", false],
  ])("%j prefers PDF: %s", (accept, expected) => {
    expect(prefersPdf(accept)).toBe(expected);
  });

  test("returns the receipt as JSON, or a PDF with a file name", async () => {
    expect(await documentAnswer(receipt(), ZONE, "application/json")).toEqual({
      status: 200,
      body: receipt(),
      headers: { Vary: "Accept" },
    });
    expect(await documentAnswer(receipt(), ZONE, "application/pdf")).toEqual({
      status: 200,
      body: expect.any(Buffer),
      headers: {
        Vary: "Accept",
        "Content-Type": "application/pdf",
        "Content-Disposition": 'attachment; filename="receipt-4201-000001.pdf"',
      },
    });
  });
});

describe("fonts", () => {
  test("are found in their packages: only the built-in one when running from source", () => {
    const files = installedFonts();
    expect(files.base.equals(readFileSync(DEJAVU))).toBe(true);
    const [japanese] = fontsFor("か", "");
    expect(japanese && files.read(japanese)).toBeNull();
  });

  test("are read and unpacked from a package; an unknown layout counts as missing", () => {
    const [japanese] = fontsFor("か", "");
    if (!japanese) return expect.unreachable();
    expect(readFont(japanese, () => DEJAVU)?.equals(readFileSync(DEJAVU))).toBe(true);
    expect(readFont(japanese, () => "/nowhere/font.woff")).toBeNull();
    expect(unpackFont(woffOf("株")).toString("hex", 0, 4)).toBe("00010000");
  });

  test("for other scripts are optional peer dependencies", () => {
    const known = ["か", "한", "株", "क", "น"].flatMap((character) => fontsFor(character, ""));
    const packages = [...new Set(known.map((font) => font.package))].sort();
    expect(Object.keys(manifest.peerDependencies)).toEqual(packages);
    expect(manifest.peerDependenciesMeta).toEqual(
      Object.fromEntries(packages.map((name) => [name, { optional: true }])),
    );
  });

  test.each([
    ["か", "", "Japanese"],
    ["カ", "社", "Japanese"],
    ["株", "株式会社", "Chinese"],
    ["株", "株式会社テスト", "Japanese"],
    ["株", "株 주식회사", "Korean"],
    ["한", "テスト", "Korean"],
    ["！", "", "Chinese"],
    ["क", "", "Devanagari"],
    ["น", "", "Thai"],
    ["ব", "", undefined],
    ["\u{1FAE0}", "", undefined],
  ])("%s beside %j is set in %s", (character, whole, script) => {
    expect(fontsFor(character, whole)[0]?.script).toBe(script);
  });

  test.each([
    ["会社テスト", "Japanese", "npm install -g @fontsource/noto-sans-jp"],
    ["有限公司", "Chinese", "npm install -g @fontsource/noto-sans-sc"],
    ["한국 テスト", "Korean and Japanese", "@fontsource/noto-sans-kr @fontsource/noto-sans-jp"],
    ["हिन्दी", "Devanagari", "@fontsource/noto-sans-devanagari"],
    ["ไทย", "Thai", "@fontsource/noto-sans-thai"],
    ["বাংলা", "U+09AC", "no font"],
    ["שלום", "right to left", "do not support"],
    ["شركة", "right to left", "do not support"],
  ])("a missing font for %s is reported, with the package to install", async (name, what, next) => {
    const rendering = renderPdf(named(name), ZONE, PLAIN);
    await expect(rendering).rejects.toMatchObject({ code: "font_missing", status: 406 });
    await expect(rendering).rejects.toThrow(what);
    await expect(rendering).rejects.toThrow(next);
  });

  const CJK = ["sc", "tc", "jp", "kr"].map((part) => [`@fontsource/noto-sans-${part}`, "株式会社"]);
  test.each<[string, Partial<Receipt>, FontFiles]>([
    ["emoji anywhere", { note: "🎉", purchaseOrder: "PO 👩‍👩‍👧", organization: { id: 4201, name: "Acme 🫠" } }, PLAIN],
    ["a note in a script that no font has", { note: "বাংলা" }, PLAIN],
    ["a note in a script whose font is not installed", { note: "有限公司" }, PLAIN],
    ["a right-to-left note", { note: "שלום" }, PLAIN],
    ["a rare letter of a script with installed fonts", named("株式会社𠮷"), having(Object.fromEntries(CJK))],
    ["a rare Latin letter in a name", named("Acme \u{1DF00}"), PLAIN],
    ["private and unassigned characters in a name", named("Acme \ue123\u{1fbff}"), PLAIN],
  ])("%s does not prevent a receipt", async (_, change, files) => {
    expect((await renderPdf(receipt(change), ZONE, files)).length).toBeGreaterThan(1_000);
  });

  test("a character missing from the installed font names the next package", async () => {
    const files = having({ "@fontsource/noto-sans-sc": "株式会社" });
    await expect(renderPdf(named("株式会社龜"), ZONE, files)).rejects.toThrow("@fontsource/noto-sans-tc");
  });

  test("the built-in font covers the amounts of every currency", async () => {
    const amounts = Intl.supportedValuesOf("currency").map((currency) => formatMoney({ amount: 1, currency }));
    expect(amounts.length).toBeGreaterThan(100);
    const pdf = await renderPdf(receipt({ note: amounts.join(" ") }), ZONE, PLAIN);
    expect(pdf.length).toBeGreaterThan(10_000);
  });
});

test("a purchase is found by its receipt number and by the first 8 digits of its ID, in its own organization", async () => {
  const backend = await startBackend();
  const [one, other] = [organization(), organization()];
  for (const made of [one, other]) await backend.addOrganization(made);
  const { body: bought } = await buy(backend, one.id, 1, "k");
  await buy(backend, other.id, 1, "k");
  const digits = bought.id.split("_").at(-1) ?? "";
  const find = async (name: string, what = "", id = one.id) => {
    const path = `/organizations/${id}/purchases/${name}${what}`;
    const { status, body } = await call(backend, "GET", path, { token: tokenOf(id) });
    return [status, body.id ?? body.purchaseId ?? body.code];
  };
  for (const name of [bought.id, `pur_${digits.slice(0, 8)}`, bought.id.slice(0, 20), `${one.id}-000001`]) {
    expect(await find(name)).toEqual([200, bought.id]);
    expect(await find(name, "/receipt")).toEqual([200, bought.id]);
    expect(await find(name, "", other.id)).toEqual([404, "not_found"]);
  }
  for (const name of [
    bought.id.slice(0, 11),
    "pur_%25%25%25%25%25%25%25%25",
    `${one.id}-1`,
    `${one.id}-000002`,
    `${other.id}-000001`,
  ]) {
    expect(await find(name)).toEqual([404, "not_found"]);
  }
  await backend.close();
});

test.each<[string, Partial<Receipt>]>([
  ["a seller", { seller: { name: "有限公司", address: ["1"], country: "GB", vatNumber: null } }],
  ["a buyer", { buyer: { name: "B", address: ["有限公司"], country: null, vatNumber: null, email: null } }],
])("%s whose script has no font is reported", async (_, change) => {
  await expect(renderPdf(receipt(change), ZONE, PLAIN)).rejects.toMatchObject({ code: "font_missing" });
});

test("the same receipt gives the same bytes", async () => {
  const [one, other] = [await renderPdf(receipt(), ZONE, PLAIN), await renderPdf(receipt(), ZONE, PLAIN)];
  expect(one.equals(other)).toBe(true);
  expect(one.length).toBeLessThan(64_000);
});

describe.skipIf(!HAS_POPPLER)("a PDF reader", () => {
  const read = async (given: Receipt, files = PLAIN, zone = ZONE) => readPdf(await renderPdf(given, zone, files));

  test("finds everything on one page, in an embedded font, tagged and described", async () => {
    const { text, pages, info, fonts } = await read(named("Łódź, Αθήνα, Київ", PARTIES));
    const said = [
      "Receipt 4201-000001",
      "Łódź, Αθήνα, Київ (4201)",
      "admin@northwind.example, token ci",
      "SMB",
      "Term",
      "2026-03-01 to 2027-03-01, 99 of 365 days",
      "5 licenses × £150.00 × 99 / 365 days",
      "£203.42",
      "Subtotal",
      "2026-11-22 to 2027-03-01, end date excluded",
      "VAT (20%)",
      "£40.68",
      "Total",
      "£244.10",
      "Net (GBP)",
      "Quantity",
      "Unit price",
      "PAID",
      "Seller",
      "Example Seller Ltd",
      "London EC1A 1AA",
      "United Kingdom",
      "VAT number GB999999973",
      "Buyer",
      "Northwind Ltd",
      "1 High Street",
      "Germany",
      "VAT number DE123456789",
      "ap@northwind.example",
      "Date of issue",
      "Date of payment (tax point)",
      "VAT rate",
      "Paid 2026-11-22",
      "Amount due",
      "£0.00",
      "Licenses",
      "5 more (25 → 30)",
      "Bought by",
      "PO number",
      "PO-7781",
      "Note For the new team",
      "Visa ending in 4242",
      "pur_0123456789abcdef01234567",
      "Page 1 of 1",
    ];
    expect(said.filter((part) => !text.includes(part))).toEqual([]);
    expect(pages).toBe(1);
    expect(info).toMatchObject({
      Title: "Receipt 4201-000001",
      Author: "SecureFlag licenses",
      Subject: "Purchase pur_0123456789abcdef01234567",
      CreationDate: "2026-11-22T12:00:00Z",
      Tagged: "yes",
    });
    expect(fonts).toEqual([expect.stringMatching(/\+DejaVuSans +CID TrueType +Identity-H +yes +yes +yes/)]);
  });

  test("finds the dates of the billing time zone, whose month may be another one's", async () => {
    const issued = receipt({ issuedAt: "2026-12-01T03:00:00.000Z" });
    for (const [zone, date] of [
      ["America/New_York", "2026-11-30"],
      ["Europe/London", "2026-12-01"],
      ["Pacific/Kiritimati", "2026-12-01"],
    ] as const) {
      const { text } = await read(issued, PLAIN, zone);
      expect(text.match(/2026-1[12]-\d\d/g)?.slice(0, 2)).toEqual([date, date]);
      expect(text).toContain(`Paid ${date}`);
    }
  });

  test.each([
    ["JPY", ["¥15,000", "¥20,342", "¥4,068", "¥24,410"]],
    ["KWD", ["KWD 15.000", "KWD 20.342", "KWD 4.068", "KWD 24.410"]],
    ["USD", ["$150.00", "$203.42", "$40.68", "$244.10"]],
  ])("finds the amounts in %s", async (currency, figures) => {
    const { text } = await read(receipt({}, currency));
    expect(figures.filter((figure) => !text.includes(figure))).toEqual([]);
  });

  test.each<[string, Partial<Receipt>, string[], string[]]>([
    ["no empty sections", { note: null, purchaseOrder: null, purchasedBy: null }, [], ["null", "Note", "PO"]],
    ["no banner on a live receipt", { livemode: true, mode: "live" }, [], ["LIVE", "no money"]],
    ["no banner without a mode", {}, [], ["LIVE", "no money"]],
    ["a test banner", { livemode: false, mode: "test" }, ["TEST: no money moves"], ["LIVE"]],
    ["a sandbox banner", { livemode: false, mode: "sandbox" }, ["SANDBOX: no money moves"], ["LIVE"]],
    ["one license", { licenses: 1 }, ["1 license ×"], ["1 licenses"]],
    ["a renewal", { kind: "renewal", licenses: 30 }, ["30, renewed", "Renewal"], []],
    [
      "a refund",
      {
        status: "failed",
        licensesAfter: 25,
        refund: {
          amount: { amount: 24_410, currency: "GBP" },
          creditNoteNumber: "CN-4201-000001",
          refundedAt: "2026-11-23T08:00:00Z",
        },
      },
      ["none added (25)", "PAID"],
      // What happens after a receipt was issued never changes it.
      ["20 → 25", "CN-4201", "efunded"],
    ],
    [
      "names without control characters",
      { note: "one\r\ntwo\u0000\u202ethree\u0007 cafe\u0301" },
      ["Note one twothree café"],
      [],
    ],
  ])("finds %s", async (_, change, there, notThere) => {
    const { text } = await read(receipt(change));
    expect(there.filter((part) => !text.includes(part))).toEqual([]);
    expect(notThere.filter((part) => text.includes(part))).toEqual([]);
  });

  test("finds a 500-character note in full, with and without spaces", async () => {
    const note = "Ab9 ".repeat(125).trim();
    expect((await read(receipt({ note }))).text).toContain(note);
    const word = "x".repeat(500);
    const { text, pages } = await read(receipt({ note: word }));
    expect([text.match(/x/g)?.filter(Boolean).length, pages]).toEqual([
      500 + (text.match(/[^x]x[^x]/g)?.length ?? 0),
      1,
    ]);
  });

  test("finds one page with all that fits into billing details, an order and a note", async () => {
    const line = "Accounts payable of the research group 7";
    const full = receipt({
      seller: { name: line, address: [line, line, line], country: "GB", vatNumber: "GB999999973" },
      buyer: {
        name: line,
        address: [line, line, line],
        country: "DE",
        vatNumber: "DE123456789",
        email: "ap@n.example",
      },
      note: "Ab9 ".repeat(125).trim(),
      livemode: false,
      mode: "test",
    });
    expect((await read(full)).pages).toBe(1);
  });

  test("finds numbered continuation pages for a very long name", async () => {
    const { text, pages } = await read(named("Very Long ".repeat(2_000)));
    expect(pages).toBeGreaterThan(3);
    expect(text).toContain(`Page ${pages} of ${pages}`);
    // The buyer, and the organization among the details.
    expect(text.match(/Very/g)).toHaveLength(4_000);
    expect(text).toContain("£244.10");
  });

  test.each([
    ["Launch 🎉 party", "Launch □ party"],
    ["family 👨‍👩‍👧‍👦, flags 🇬🇧🏴󠁧󠁢󠁥󠁮󠁧󠁿, tone 👍🏽, heart on fire ❤️‍🔥", "family □, flags □□, tone □, heart on fire □"],
    ["heart ❤️, sun ☀️, key 1️⃣", "heart ❤, sun ☀, key 1"],
    ["three 🫠🫠🫠", "three □□□"],
    ["বাংলা", "□□"],
    ["שלום", "□□□□"],
    ["private \ue123", "private □"],
    ["cafe\u0301 \u200bz\u20dd", "café z"],
  ])("finds one placeholder for each visible character of %s", async (note, shown) => {
    const { text, fonts } = await read(receipt({ note, purchaseOrder: note }));
    expect(text.replaceAll(/[\ufe0f\u20e3]/g, "").normalize("NFC")).toContain(`Note ${shown}`);
    expect(text.match(/□/g) ?? []).toHaveLength(2 * (shown.match(/□/g) ?? []).length);
    expect(fonts).toHaveLength(1);
  });

  test("finds other scripts beside Latin, each in its own embedded font", async () => {
    const files = having({ "@fontsource/noto-sans-jp": "株式会社テスト", "@fontsource/noto-sans-kr": "주식회사" });
    const { text, fonts } = await read(named("Łódź 株式会社テスト 주식회사"), files);
    expect(text).toContain("Łódź 株式会社テスト 주식회사 (4201)");
    expect(fonts).toHaveLength(3);
    expect(fonts.filter((font) => !/ yes +yes +yes /.test(font))).toEqual([]);
  });
});
