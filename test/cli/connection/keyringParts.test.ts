import { describe, expect, test } from "vitest";
import {
  type EntryOf,
  readSecret,
  removeSecret,
  WINDOWS_LIMIT,
  writeSecret,
} from "../../../src/cli/connection/keyringParts.ts";

/** The process was killed. */
class Killed extends Error {}

/** A keyring like Windows' own. It dies at the call with this number, counted from 1. */
function credentialManager(secrets = new Map<string, string>(), killAt = Number.POSITIVE_INFINITY) {
  let calls = 0;
  const call = <Value>(work: () => Value): Value => {
    calls += 1;
    if (calls === killAt) throw new Killed();
    return work();
  };
  const entryOf: EntryOf = (account) => ({
    getPassword: () => call(() => secrets.get(account) ?? null),
    setPassword: (secret) =>
      call(() => {
        if (Buffer.byteLength(secret, "utf16le") > 2_560) throw new RangeError("the password is too long");
        if (/\p{Surrogate}/u.test(secret)) throw new TypeError("half a character is lost");
        secrets.set(account, secret);
      }),
    deletePassword: () => call(() => secrets.delete(account)),
  });
  return { entryOf, secrets, calls: () => calls };
}

const secretOf = (length: number, sign: string) => JSON.stringify({ apiUrl: "x", accessToken: sign.repeat(length) });

const SHORT = secretOf(10, "s");

describe("a secret in Windows' keyring", () => {
  test.each([
    ["short", SHORT, 1],
    ["as long as one may be", "x".repeat(WINDOWS_LIMIT), 1],
    ["longer by one", "x".repeat(WINDOWS_LIMIT + 1), 4],
    ["of 18 KB", secretOf(18_000, "t"), 30],
    ["of characters that take two units", secretOf(900, "🙂"), 3],
  ])("that is %s comes back, and leaves nothing when it is removed", (_, secret, count) => {
    const { entryOf, secrets } = credentialManager();
    writeSecret(entryOf, "default", secret, WINDOWS_LIMIT);
    expect([readSecret(entryOf, "default"), secrets.size]).toEqual([secret, count]);
    expect(removeSecret(entryOf, "default", WINDOWS_LIMIT)).toBe(true);
    expect([readSecret(entryOf, "default"), secrets.size]).toEqual([null, 0]);
    expect(removeSecret(entryOf, "default", WINDOWS_LIMIT)).toBe(false);
  });

  test("profiles do not share parts", () => {
    const { entryOf } = credentialManager();
    const [one, other] = [secretOf(3_000, "1"), secretOf(5_000, "2")];
    writeSecret(entryOf, "one", one, WINDOWS_LIMIT);
    writeSecret(entryOf, "other", other, WINDOWS_LIMIT);
    removeSecret(entryOf, "one", WINDOWS_LIMIT);
    expect([readSecret(entryOf, "one"), readSecret(entryOf, "other")]).toEqual([null, other]);
  });

  const before = { none: null, short: SHORT, long: secretOf(4_000, "o") };
  const after = { short: secretOf(20, "n"), long: secretOf(3_000, "n"), longer: secretOf(9_000, "n") };

  describe.each(Object.entries(before))("with a sign-in before it: %s", (_before, old) => {
    test.each(Object.entries(after))(
      "a new one (%s) that is killed at any call leaves the old or the new",
      (_, secret) => {
        let isComplete = false;
        const seen = new Set<string | null>();
        for (let killAt = 1; !isComplete; killAt += 1) {
          const { entryOf, secrets } = credentialManager();
          if (old !== null) writeSecret(entryOf, "default", old, WINDOWS_LIMIT);
          const dying = credentialManager(secrets, killAt);
          try {
            writeSecret(dying.entryOf, "default", secret, WINDOWS_LIMIT);
            isComplete = true;
          } catch (error) {
            if (!(error instanceof Killed)) throw error;
          }
          const found = readSecret(entryOf, "default");
          expect([old, secret], `killed at call ${killAt}`).toContain(found);
          seen.add(found);
          // The next one works on what is left, and removing it leaves nothing of any of them.
          writeSecret(entryOf, "default", secret, WINDOWS_LIMIT);
          expect(readSecret(entryOf, "default")).toBe(secret);
          removeSecret(entryOf, "default", WINDOWS_LIMIT);
          expect([...secrets.keys()]).toEqual([]);
        }
        expect(seen).toEqual(new Set([old, secret]));
      },
    );
  });

  test("what is replaced while it is read is read again", () => {
    const { entryOf } = credentialManager();
    const [old, next] = [secretOf(4_000, "o"), secretOf(4_000, "n")];
    writeSecret(entryOf, "default", old, WINDOWS_LIMIT);
    let reads = 0;
    const reading: EntryOf = (account) => ({
      ...entryOf(account),
      getPassword: () => {
        reads += 1;
        if (reads === 3) writeSecret(entryOf, "default", next, WINDOWS_LIMIT);
        return entryOf(account).getPassword();
      },
    });
    expect(readSecret(reading, "default")).toBe(next);
  });

  test("what has lost a part is no sign-in", () => {
    const { entryOf, secrets } = credentialManager();
    writeSecret(entryOf, "default", secretOf(4_000, "o"), WINDOWS_LIMIT);
    const [part = ""] = [...secrets.keys()].filter((name) => name.includes("part a2"));
    secrets.delete(part);
    expect(() => JSON.parse(readSecret(entryOf, "default") ?? "")).toThrow(SyntaxError);
  });
});

test("a keyring without a limit keeps any secret in one entry, with one call each", () => {
  const secrets = new Map<string, string>();
  let calls = 0;
  const counted = <Value>(value: Value) => {
    calls += 1;
    return value;
  };
  const entryOf: EntryOf = (account) => ({
    getPassword: () => counted(secrets.get(account) ?? null),
    setPassword: (secret) => void counted(secrets.set(account, secret)),
    deletePassword: () => counted(secrets.delete(account)),
  });
  const secret = secretOf(18_000, "t");
  writeSecret(entryOf, "default", secret, Number.POSITIVE_INFINITY);
  expect([readSecret(entryOf, "default"), secrets.size]).toEqual([secret, 1]);
  expect(removeSecret(entryOf, "default", Number.POSITIVE_INFINITY)).toBe(true);
  expect(calls).toBe(3);
});
