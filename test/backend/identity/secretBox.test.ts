import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { secretBox } from "../../../src/backend/identity/secretBox.ts";

const [OLD, NEW] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];

const SECRET = "GEZDGNBVGY3TQOJQ";

const old = secretBox([OLD], randomBytes);

const CANNOT = /^Secret of user \d: cannot be decrypted$/;

const keyIdOf = (stored: string) => stored.split(".")[1];

describe("a secret box", () => {
  test("gives a secret back, and hides it in a text of its own", () => {
    const [one, other] = [old.encrypt(7, SECRET), old.encrypt(7, SECRET)];
    expect(one).toMatch(/^v1\.[\w-]{8}\.[\w-]+$/);
    expect(one).not.toContain(SECRET);
    expect(one).not.toBe(other);
    expect([one, other].map((stored) => old.decrypt(7, stored))).toEqual([SECRET, SECRET]);
  });

  test.each(["", "é☃", "x".repeat(1_000)])("keeps %j", (secret) => {
    expect(old.decrypt(7, old.encrypt(7, secret))).toBe(secret);
  });

  test("writes the same text as another implementation of RFC 5869 and AES-256-GCM", () => {
    const fixed = secretBox([OLD], (bytes) => Buffer.alloc(bytes, 3));
    const stored = "v1.1_W3SjRJ.AwMDAwMDAwMDAwMDIRKhdNfzt2o2bcDh689YRO5wuxfoERz7kl2GN5nnMLg";
    expect(fixed.encrypt(7, SECRET)).toBe(stored);
    expect(old.decrypt(7, stored)).toBe(SECRET);
  });

  test("reads a secret from before secrets were encrypted", () => {
    expect(old.decrypt(7, SECRET)).toBe(SECRET);
  });

  test("refuses the secret of another user", () => {
    expect(() => old.decrypt(8, old.encrypt(7, SECRET))).toThrow(CANNOT);
  });

  test("refuses a secret whose key is missing, or is another one under the same ID", () => {
    const stored = old.encrypt(7, SECRET);
    const other = secretBox([NEW], randomBytes);
    expect(() => other.decrypt(7, stored)).toThrow(`key ${keyIdOf(stored)} not found`);
    const renamed = stored.replace(keyIdOf(stored) ?? "", keyIdOf(other.encrypt(7, SECRET)) ?? "");
    expect(() => other.decrypt(7, renamed)).toThrow(CANNOT);
  });

  test("refuses a text with any byte changed, and a cut one", () => {
    const [version, id, text = ""] = old.encrypt(7, SECRET).split(".");
    const sealed = Buffer.from(text, "base64url");
    const withBytes = (bytes: Buffer) => `${version}.${id}.${bytes.toString("base64url")}`;
    for (let at = 0; at < sealed.length; at += 1) {
      const changed = Buffer.from(sealed);
      changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
      expect(() => old.decrypt(7, withBytes(changed))).toThrow(CANNOT);
      expect(() => old.decrypt(7, withBytes(sealed.subarray(0, at)))).toThrow(CANNOT);
    }
    expect(() => old.decrypt(7, `${version}.${id}`)).toThrow(CANNOT);
  });

  test("reads a secret under an older key, and encrypts it under the newest when it is written again", () => {
    const stored = old.encrypt(7, SECRET);
    const rotated = secretBox([NEW, OLD], randomBytes);
    expect(rotated.decrypt(7, stored)).toBe(SECRET);
    const again = rotated.encrypt(7, rotated.decrypt(7, stored));
    expect(keyIdOf(again)).not.toBe(keyIdOf(stored));
    expect(secretBox([NEW], randomBytes).decrypt(7, again)).toBe(SECRET);
  });

  test.each([[[]], [[Buffer.alloc(31)]], [[NEW, Buffer.alloc(33)]]])("refuses the keys %j", (keys) => {
    expect(() => secretBox(keys, randomBytes)).toThrow(/^A key for secrets/);
  });
});
