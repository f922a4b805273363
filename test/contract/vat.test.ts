import fc from "fast-check";
import { expect, test } from "vitest";
import { sellerSettingSchema } from "../../src/contract/billingDetails.ts";
import { countryName, isCountry, parseVatNumber } from "../../src/contract/vat.ts";

test.each([
  ["gb 999 9999 73", null, "GB999999973"],
  ["GB-999.9999/73", "GB", "GB999999973"],
  ["999999973", "GB", "GB999999973"],
  ["GBGD001", "GB", "GBGD001"],
  ["XI999999973", "GB", "XI999999973"],
  ["12345678", "GB", null],
  ["GB99999997", "GB", null],
  ["DE123456789", "GB", "DE123456789"],
  ["123456789", "DE", "DE123456789"],
  ["DE12345678", "DE", null],
  ["ATU12345678", "AT", "ATU12345678"],
  ["AT12345678", "AT", null],
  ["EL123456789", "GR", "EL123456789"],
  ["123456789", "GR", "EL123456789"],
  ["FRXX123456789", "FR", "FRXX123456789"],
  ["FRIO123456789", "FR", null],
  ["NL123456789B01", "NL", "NL123456789B01"],
  ["IE1234567FA", "IE", "IE1234567FA"],
  ["ESX1234567R", "ES", "ESX1234567R"],
  ["ES123456789", "ES", null],
  ["CHE-123.456.789 MWST", "CH", "CHE123456789MWST"],
  ["CHE-123.456.789", "CH", "CHE123456789"],
  ["CH123456789", "CH", null],
  ["NO 123 456 789 MVA", "NO", "NO123456789MVA"],
  ["123456789mva", "NO", "NO123456789MVA"],
  ["NO12345678", "NO", null],
  ["T1234567890123", "JP", "T1234567890123"],
  ["ABN 51 824 753 556", "AU", "ABN51824753556"],
  ["T1234567890123", null, "T1234567890123"],
  ["GB1", null, null],
  ["no digits", "US", null],
  ["123", "US", null],
  ["=1+1+1+1", "US", null],
  ["GB９９９９９９９７３", "GB", null],
  ["constructor1", null, "CONSTRUCTOR1"],
  ["", "GB", null],
])("the VAT number %j in %s is %j", (text, country, number) => {
  expect(parseVatNumber(text, country)).toBe(number);
});

test("a VAT number that was parsed stays as it is, however it was spaced", () => {
  const country = fc.constantFrom(null, "GB", "DE", "FR", "CH", "NO", "GR", "US", "JP");
  const text = fc.string({
    unit: fc.constantFrom(..."GBDEFRCHNOELXIU0123456789".split("")),
    minLength: 4,
    maxLength: 16,
  });
  fc.assert(
    fc.property(text, country, (given, where) => {
      const number = parseVatNumber(given, where);
      expect(parseVatNumber(given.toLowerCase().split("").join(" "), where)).toBe(number);
      if (number !== null) expect(parseVatNumber(number, where)).toBe(number);
    }),
  );
});

test("there are 249 countries, each with a name", () => {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ".split("");
  const codes = letters.flatMap((one) => letters.map((other) => one + other)).filter(isCountry);
  expect(codes).toHaveLength(249);
  expect(codes.filter((code) => countryName(code) === code)).toEqual([]);
  expect([countryName("GB"), countryName("XX"), countryName("\u001b[2J")]).toEqual([
    "United Kingdom",
    "XX",
    "\u001b[2J",
  ]);
  expect(["UK", "EU", "gb", "XK", "GBR", ""].filter(isCountry)).toEqual([]);
});

test.each<[string, object, string[]]>([
  ["nothing", {}, ["name", "address", "country"]],
  ["an empty address", { name: "S", address: [], country: "GB" }, ["address"]],
  ["a VAT number of another form", { name: "S", address: ["1"], country: "GB", vatNumber: "12" }, ["vatNumber"]],
  ["an unknown field", { name: "S", address: ["1"], country: "GB", vat: "GB999999973" }, [""]],
  ["control characters", { name: "S\n", address: ["1\u0007"], country: "GB" }, ["address.0"]],
])("a seller with %s is refused", (_, given, paths) => {
  const result = sellerSettingSchema.safeParse(given);
  expect(result.error?.issues.map(({ path }) => path.join("."))).toEqual(paths);
});
