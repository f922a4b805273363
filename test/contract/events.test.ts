import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalBytes, eventHash, FIRST_HASH, isSignedBy, keyIdOf, publicKeyOf } from "../../src/contract/events.ts";
import { canonical, checkpointOf, logKey, logOf } from "../support/eventLog.ts";

const text = (value: unknown) => canonicalBytes(value).toString();

describe("the canonical form", () => {
  // RFC 8785, section 3.2.2 and appendix B.
  test.each([
    [Number("333333333.33333329"), "333333333.3333333"],
    [1e30, "1e+30"],
    [4.5, "4.5"],
    [2e-3, "0.002"],
    [1e-27, "1e-27"],
    [-0, "0"],
    [5e-324, "5e-324"],
    [9007199254740992, "9007199254740992"],
    [295147905179352830000, "295147905179352830000"],
  ])("of %d is %s", (value, expected) => {
    expect(text(value)).toBe(expected);
  });

  test("has names in the order of their UTF-16 units, and few escapes", () => {
    // RFC 8785, section 3.2.3.
    const value = { "\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\ud83d\ude00": 5, "\u0080": 6, "\u00f6": 7 };
    expect(text(value)).toBe('{"\\r":2,"1":4,"\u0080":6,"\u00f6":7,"\u20ac":1,"\ud83d\ude00":5,"\ufb33":3}');
    expect(text({ text: "\u20ac$\u000f\nA'B\"\\/" })).toBe(`{"text":"\u20ac$\\u000f\\nA'B\\"\\\\/"}`);
  });

  test("is what another program computes, whatever the value", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(text(value)).toBe(canonical(value));
      }),
    );
  });
});

test("the hash of an event depends on the one before it and on every field", () => {
  const event = { number: 1, organizationId: 4201, data: { b: [1, null], a: "ö" } };
  const bytes = '{"data":{"a":"ö","b":[1,null]},"number":1,"organizationId":4201}';
  const first = createHash("sha256").update(Buffer.alloc(32)).update(bytes).digest("hex");
  expect(eventHash(FIRST_HASH, event)).toBe(first);
  const second = createHash("sha256").update(Buffer.from(first, "hex")).update(bytes).digest("hex");
  expect(eventHash(first, event)).toBe(second);
});

test("the ID of a key is its thumbprint", () => {
  // RFC 8037, appendix A.3.
  const key = { kty: "OKP", crv: "Ed25519", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" } as const;
  expect(keyIdOf({ ...key, kid: "another" })).toBe("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
});

test("a signature belongs to one key and one checkpoint", () => {
  const [own, other] = [logKey(), logKey()];
  const signed = checkpointOf(logOf(3), own);
  const keyOf = ({ jwk }: typeof own) => publicKeyOf(jwk as unknown as Parameters<typeof publicKeyOf>[0]);
  expect(isSignedBy(signed as never, keyOf(own))).toBe(true);
  expect(isSignedBy(signed as never, keyOf(other))).toBe(false);
  const changed = { ...signed, checkpoint: { ...signed.checkpoint, number: 4 } };
  expect(isSignedBy(changed as never, keyOf(own))).toBe(false);
});
