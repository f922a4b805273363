import { chmodSync, chownSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { boundTo, createCredentialStore, type StoredCredential } from "../../../src/cli/connection/credentials.ts";
import type { Keyring } from "../../../src/cli/connection/keyring.ts";
import { assertPrivateDirectory } from "../../../src/cli/files/privateFile.ts";
import { failingKeyring, temporaryDirectory, testMachine } from "../support/machine.ts";

const credential: StoredCredential = {
  apiUrl: "http://127.0.0.1:4010/rest/management/v2",
  email: "admin@northwind.example",
  accessToken: "access",
  accessExpiresAt: 1_800_000_000_000,
  refreshToken: "refresh",
  scopes: ["billing:read"],
};

const token: StoredCredential = { ...credential, email: null, accessExpiresAt: null, refreshToken: null, scopes: [] };

const none = failingKeyring("keyring_unavailable");

const locked = failingKeyring("keyring_locked");

/** A keyring that must not be touched. */
const untouched: Keyring = {
  read: () => expect.unreachable(),
  write: () => expect.unreachable(),
  remove: () => expect.unreachable(),
  probe: () => expect.unreachable(),
};

function memoryKeyring(secrets = new Map<string, string>()): Keyring {
  return {
    read: async (account) => secrets.get(account) ?? null,
    write: async (account, secret) => void secrets.set(account, secret),
    remove: async (account) => secrets.delete(account),
    probe: async () => {},
  };
}

test("a sign-in is saved to the file without touching the keyring", async () => {
  const directory = temporaryDirectory();
  const store = createCredentialStore(directory, testMachine(), untouched);
  expect(await store.read("default")).toBeNull();
  await store.check("file");
  await store.write("default", credential, "file");
  await store.write("ci", token, "file");
  const reopened = createCredentialStore(directory, testMachine(), untouched);
  expect(await reopened.read("default")).toEqual({ credential, source: "file" });
  expect(await reopened.read("ci")).toEqual({ credential: token, source: "file" });
  expect(await reopened.read("constructor")).toBeNull();
  expect([await store.remove("default"), await store.remove("default")]).toEqual([true, false]);
  expect(await store.read("ci")).toMatchObject({ source: "file" });
  await store.remove("ci");
  expect(() => readFileSync(join(directory, "credentials.json"))).toThrow("ENOENT");
});

test("the storage of a sign-in is known without the keyring", async () => {
  const directory = temporaryDirectory();
  const store = createCredentialStore(directory, testMachine(), memoryKeyring());
  expect(await store.place("default")).toBeNull();
  await store.write("default", credential, "keyring");
  await store.write("ci", token, "file");
  const reopened = createCredentialStore(directory, testMachine(), untouched);
  const places = ["default", "ci", "constructor"].map((profile) => reopened.place(profile));
  expect(await Promise.all(places)).toEqual(["keyring", "file", null]);
  const path = join(directory, "credentials.json");
  writeFileSync(path, JSON.stringify({ profiles: { ci: { accessToken: 5 } } }));
  expect(await reopened.place("ci")).toBeNull();
  writeFileSync(path, "nonsense");
  expect(await reopened.place("ci")).toBeNull();
});

test.each([
  ["keyring_unavailable", none],
  ["keyring_locked", locked],
])(
  "with a keyring that fails (%s) nothing is written, and its content is never reported missing",
  async (code, keyring) => {
    const directory = temporaryDirectory();
    const store = createCredentialStore(directory, testMachine(), keyring);
    await expect(store.check("keyring")).rejects.toMatchObject({ code });
    await expect(store.write("default", credential, "keyring")).rejects.toMatchObject({ code });
    expect(await store.read("default")).toBeNull();
    await createCredentialStore(directory, testMachine(), memoryKeyring()).write("default", credential, "keyring");
    await expect(store.read("default")).rejects.toMatchObject({ code });
    await expect(store.remove("default")).rejects.toMatchObject({ code });
    await expect(store.read("default")).rejects.toMatchObject({ code });
  },
);

test("with a keyring a sign-in is stored there, and its secrets leave the file", async () => {
  const directory = temporaryDirectory();
  const store = createCredentialStore(directory, testMachine(), memoryKeyring());
  await store.write("default", token, "file");
  await store.write("default", credential, "keyring");
  expect(await store.read("default")).toEqual({ credential, source: "keyring" });
  expect(readFileSync(join(directory, "credentials.json"), "utf8")).not.toMatch(/access|refresh/);
  expect([await store.remove("default"), await store.read("default")]).toEqual([true, null]);
  expect(() => readFileSync(join(directory, "credentials.json"))).toThrow("ENOENT");
});

test("a sign-in in the file replaces the one in the keyring", async () => {
  const directory = temporaryDirectory();
  const keyring = memoryKeyring();
  const store = createCredentialStore(directory, testMachine(), keyring);
  await store.write("default", token, "keyring");
  await createCredentialStore(directory, testMachine(), locked).write("default", credential, "file");
  expect(await store.read("default")).toEqual({ credential, source: "file" });
  expect([await store.remove("default"), await store.read("default")]).toEqual([true, null]);
});

test("a sign-in deleted from the keyring is missing", async () => {
  const secrets = new Map<string, string>();
  const store = createCredentialStore(temporaryDirectory(), testMachine(), memoryKeyring(secrets));
  await store.write("default", token, "keyring");
  secrets.clear();
  expect([await store.read("default"), await store.remove("default")]).toEqual([null, false]);
});

test.each(["", "{", "[]", '{"profiles": {"default": {"accessToken": 1}}}'])(
  "a malformed file (%s) is named",
  async (text) => {
    const directory = temporaryDirectory();
    const path = join(directory, "credentials.json");
    writeFileSync(path, text, { mode: 0o600 });
    const store = createCredentialStore(directory, testMachine(), none);
    const unreadable = { code: "credentials_unreadable", message: expect.stringContaining(path) };
    await expect(store.read("default")).rejects.toMatchObject(unreadable);
  },
);

test("a file that others can read is rejected", async () => {
  const directory = temporaryDirectory();
  writeFileSync(join(directory, "credentials.json"), "{}", { mode: 0o644 });
  const store = createCredentialStore(directory, testMachine(), none);
  await expect(store.read("default")).rejects.toMatchObject({ code: "credentials_unsafe" });
});

test("a directory that cannot be created gives a clear error", async () => {
  const file = join(temporaryDirectory(), "file");
  writeFileSync(file, "");
  const store = createCredentialStore(join(file, "config"), testMachine(), none);
  await expect(store.write("default", credential, "file")).rejects.toMatchObject({
    code: "credentials_unreadable",
  });
});

test.each([
  ["http://127.0.0.1:4010/other/path", true],
  ["http://127.0.0.1:4011/rest/management/v2", false],
  ["https://127.0.0.1:4010/rest/management/v2", false],
  ["http://localhost:4010/rest/management/v2", false],
  ["http://127.0.0.1:4010.evil.example/", false],
  ["not a url", false],
])("a sign-in is bound to its origin: %s is %s", (apiUrl, expected) => {
  expect(boundTo(credential, apiUrl)).toBe(expected);
});

test("an unreadable sign-in can still be removed", async () => {
  const directory = temporaryDirectory();
  const path = join(directory, "credentials.json");
  writeFileSync(path, "{bad", { mode: 0o600 });
  const store = createCredentialStore(directory, testMachine(), none);
  expect(await store.remove("default")).toBe(true);
  expect(await store.read("default")).toBeNull();
});

test("concurrent writes and removals do not lose other sign-ins", async () => {
  const directory = temporaryDirectory();
  const names = Array.from({ length: 20 }, (_, index) => `p${index}`);
  const open = () => createCredentialStore(directory, testMachine(), none);
  await Promise.all(names.map((name) => open().write(name, credential, "file")));
  await Promise.all(names.slice(0, 10).map((name) => open().remove(name)));
  const left = await Promise.all(names.map(async (name) => (await open().read(name)) !== null));
  expect(left).toEqual(names.map((_, index) => index >= 10));
});

test("work on a profile waits for other work on it, but not for other profiles", async () => {
  const store = createCredentialStore(temporaryDirectory(), testMachine(), none);
  const log: string[] = [];
  const turn = (profile: string, name: string) =>
    store.exclusively(profile, async () => {
      log.push(`${name} begins`);
      await new Promise((done) => setTimeout(done, 50));
      log.push(`${name} ends`);
    });
  await Promise.all([turn("one", "a"), turn("one", "b"), store.exclusively("two", async () => log.push("two"))]);
  expect(log.filter((line) => line !== "two").map((line) => line.split(" ")[1])).toEqual([
    "begins",
    "ends",
    "begins",
    "ends",
  ]);
  expect(log.indexOf("two")).toBeLessThan(2);
});

test.each([0o770, 0o702])("a directory of mode %o, where others could add files, is rejected", async (mode) => {
  const directory = temporaryDirectory();
  const store = createCredentialStore(directory, testMachine(), none);
  await store.write("default", credential, "file");
  chmodSync(directory, mode);
  const unsafe = { code: "credentials_unsafe", hint: `Run \`chmod 700 "${directory}"\`.` };
  await expect(store.read("default")).rejects.toMatchObject(unsafe);
  await expect(store.write("default", token, "file")).rejects.toMatchObject(unsafe);
});

test("another user's directory is rejected; one behind a link is not", async () => {
  const directory = temporaryDirectory();
  const link = join(temporaryDirectory(), "link");
  symlinkSync(directory, link);
  await createCredentialStore(link, testMachine(), none).write("default", credential, "file");
  expect(await createCredentialStore(directory, testMachine(), none).read("default")).toMatchObject({ credential });
  // Only root may give a directory away, and only root's are trusted by others.
  const uid = process.getuid?.() ?? 0;
  if (uid === 0) chownSync(directory, 12_345, 12_345);
  const unsafe = expect.objectContaining({ code: "credentials_unsafe" });
  expect(() => assertPrivateDirectory(link, { uid: 4_000_000 })).toThrow(unsafe);
  expect(() => assertPrivateDirectory("/", { uid: 4_000_000 })).not.toThrow();
  expect(() => assertPrivateDirectory(link, { uid: null })).not.toThrow();
});

describe("a file with one malformed sign-in", () => {
  const text = JSON.stringify({ profiles: { good: credential, bad: { ...credential, accessExpiresAt: 1e300 } } });

  function open() {
    const directory = temporaryDirectory();
    const path = join(directory, "credentials.json");
    writeFileSync(path, text, { mode: 0o600 });
    return { path, store: createCredentialStore(directory, testMachine(), none) };
  }

  test("returns the others, and names the affected profile", async () => {
    const { store } = open();
    expect(await store.read("good")).toMatchObject({ source: "file" });
    expect(await store.read("other")).toBeNull();
    await expect(store.read("bad")).rejects.toMatchObject({
      code: "credentials_unreadable",
      message: expect.stringContaining('"bad"'),
    });
  });

  test("keeps it when another is written or removed, until it is replaced or removed itself", async () => {
    const { path, store } = open();
    await store.write("new", token, "file");
    await store.remove("good");
    expect(JSON.parse(readFileSync(path, "utf8")).profiles).toEqual({
      bad: { ...credential, accessExpiresAt: 1e300 },
      new: token,
    });
    expect(await store.remove("bad")).toBe(true);
    expect(await store.read("bad")).toBeNull();
    expect(await store.read("new")).toMatchObject({ credential: token });
  });
});

test.each<[string, Partial<StoredCredential>]>([
  ["a fractional expiry", { accessExpiresAt: 1e300 }],
  ["a token over 8 KB", { accessToken: "t".repeat(8193) }],
  ["a refresh token over 8 KB", { refreshToken: "t".repeat(8193) }],
  ["too many scopes", { scopes: Array(101).fill("billing:read") }],
  ["a long scope", { scopes: ["x".repeat(257)] }],
  ["a long email", { email: "x".repeat(1025) }],
])("a sign-in with %s is not stored", async (_, part) => {
  for (const place of ["file", "keyring"] as const) {
    const store = createCredentialStore(temporaryDirectory(), testMachine(), memoryKeyring());
    await store.write("default", token, place);
    await expect(store.write("default", { ...credential, ...part }, place)).rejects.toMatchObject({
      code: "unexpected_answer",
    });
    expect(await store.read("default")).toMatchObject({ credential: token });
  }
});

test("the credentials file never grows larger than what is read", async () => {
  const store = createCredentialStore(temporaryDirectory(), testMachine(), none);
  const large = { ...credential, scopes: Array(100).fill("x".repeat(256)) };
  const writeAll = async () => {
    for (let profile = 0; profile < 50; profile += 1) await store.write(`p${profile}`, large, "file");
  };
  await expect(writeAll()).rejects.toMatchObject({ code: "credentials_unreadable" });
  expect(await store.read("p0")).toMatchObject({ source: "file" });
});
