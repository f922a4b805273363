import { generateKeyPairSync } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { pageKeyOf, readDatabaseSettings, readServiceSettings } from "../../../src/backend/service/settings.ts";
import { createAuthority } from "../../support/certificates.ts";
import { isInstalled } from "../../support/installed.ts";
import { removePlaces, temporaryDirectory } from "../../support/places.ts";

const KEY = Buffer.alloc(32, 1).toString("base64");
const OTHER_KEY = Buffer.alloc(32, 2).toString("base64");
const FLAGS = { payments: "sandbox", "test-mode": true, "public-url": "http://127.0.0.1:8080" };
const ENV = { SECUREFLAG_DATABASE_URL: "postgresql://billing@127.0.0.1/billing", SECUREFLAG_SECRETS_KEY: KEY };
const BEHIND = { ...FLAGS, "public-url": "https://billing.example.com", "trust-proxy": "10.0.0.0/8, ::1" };

const read = (flags: Record<string, string | boolean | undefined> = FLAGS, env: Record<string, string> = ENV) =>
  readServiceSettings({ flags, env });

const problems = (flags?: Record<string, string | boolean | undefined>, env?: Record<string, string>) =>
  read(flags, env).then(
    () => [],
    (error) => [error.code, ...error.message.split("; ")],
  );

afterAll(removePlaces);

describe("the settings of a service", () => {
  test("have defaults", async () => {
    const settings = await read();
    expect(settings).toMatchObject({
      host: "127.0.0.1",
      port: 8080,
      tls: null,
      roles: ["http", "jobs"],
      connections: 10,
      jobs: 8,
    });
    expect(settings.publicUrl.origin).toBe("http://127.0.0.1:8080");
  });

  test("keep issuers of identity tokens to the internet unless they may be private", async () => {
    expect((await read()).hasPrivateIssuers).toBe(false);
    expect((await read({ ...FLAGS, "private-issuers": true })).hasPrivateIssuers).toBe(true);
  });

  test("that are missing are all named at once", async () => {
    expect(await problems({}, {})).toEqual([
      "settings_invalid",
      "--database (or SECUREFLAG_DATABASE_URL) is required",
      "SECUREFLAG_STRIPE_KEY is required",
      "SECUREFLAG_STRIPE_WEBHOOK_SECRETS is required",
      "--public-url (or SECUREFLAG_PUBLIC_URL) is required",
      "SECUREFLAG_SECRETS_KEY is required",
    ]);
  });

  const SELLER = { name: "Example Ltd", address: ["1 High Street"], country: "GB", vatNumber: "GB 999 9999 73" };
  const FROZEN = { ...SELLER, vatNumber: "GB999999973" };

  test("name no seller for receipts unless one is set, as a flag, a variable or a file", async () => {
    expect((await read()).seller).toBeNull();
    expect((await read({ ...FLAGS, seller: "Only a name" })).seller).toBeNull();
    expect((await read({ ...FLAGS, seller: JSON.stringify(SELLER) })).seller).toEqual(FROZEN);
    expect((await read(FLAGS, { ...ENV, SECUREFLAG_SELLER: JSON.stringify(SELLER) })).seller).toEqual(FROZEN);
    const { vatNumber: _, ...small } = SELLER;
    const file = join(await temporaryDirectory(), "seller.json");
    await writeFile(file, `${JSON.stringify(small, null, 2)}\n`);
    const fromFile = await read(FLAGS, { ...ENV, SECUREFLAG_SELLER_FILE: file });
    expect(fromFile.seller).toEqual({ ...small, vatNumber: null });
  });

  test.each([
    ["{", ["--seller must be JSON such as"]],
    ['{"name":"A","name":"B"}', ["--seller must be JSON such as"]],
    [
      JSON.stringify({ ...SELLER, name: "", country: "UK", more: 1 }),
      ["--seller: name ", "--seller: country ", "--seller: more unknown field"],
    ],
    [JSON.stringify({ ...SELLER, vatNumber: "12" }), ["--seller: vatNumber is not a VAT number of GB"]],
  ])("name what is wrong with the seller %s", async (seller, expected) => {
    const found = await problems({ ...FLAGS, seller });
    expect(found).toEqual(["settings_invalid", ...expected.map((text) => expect.stringContaining(text))]);
  });

  test("that are wrong are all named at once", async () => {
    const flags = {
      database: "mysql://127.0.0.1/x",
      "public-url": "https://billing.example.com/path",
      port: "65536",
      "trust-proxy": "0.0.0.0/0",
      payments: "paypal",
      roles: "http,cron",
      pool: "0",
      "drain-seconds": "21",
    };
    expect(await problems(flags, { SECUREFLAG_SECRETS_KEY: "short" })).toEqual([
      "settings_invalid",
      "--database must be a URL such as postgresql://user@host:5432/database",
      "--payments must be stripe or sandbox, not 'paypal'",
      "--public-url must be an origin such as https://billing.example.com",
      "--port must be a whole number, 0 to 65535",
      "--trust-proxy must be addresses or ranges such as 10.0.0.0/8, not '0.0.0.0/0'",
      "SECUREFLAG_SECRETS_KEY must be 32 bytes in base64, optionally followed by older keys, separated by commas",
      "--roles must be http, jobs, or both: http,jobs",
      "--pool must be a whole number, 1 to 1000",
      "--drain-seconds must be a whole number, 0 to 20",
    ]);
  });

  test("of flags beat the environment", async () => {
    const settings = await read(
      { ...FLAGS, database: "postgresql://flag@127.0.0.1/x" },
      { ...ENV, SECUREFLAG_PUBLIC_URL: "http://localhost:1" },
    );
    expect(settings.database.url).toContain("flag@");
    expect(settings.publicUrl.port).toBe("8080");
  });

  test("can come from files, but not from both", async () => {
    const file = join(await temporaryDirectory(), "key");
    await writeFile(file, `${KEY}\n`);
    const { SECUREFLAG_DATABASE_URL } = ENV;
    const fromFile = await read(FLAGS, { SECUREFLAG_DATABASE_URL, SECUREFLAG_SECRETS_KEY_FILE: file });
    expect(fromFile.masterKeys).toEqual((await read()).masterKeys);
    expect(await problems(FLAGS, { ...ENV, SECUREFLAG_SECRETS_KEY_FILE: file })).toEqual([
      "settings_invalid",
      "SECUREFLAG_SECRETS_KEY and SECUREFLAG_SECRETS_KEY_FILE cannot both be set",
    ]);
    expect(await problems(FLAGS, { SECUREFLAG_DATABASE_URL, SECUREFLAG_SECRETS_KEY_FILE: `${file}.none` })).toEqual([
      "settings_invalid",
      "SECUREFLAG_SECRETS_KEY_FILE: cannot read the file (ENOENT)",
    ]);
  });

  test("never have a password in the arguments", async () => {
    const [, problem] = await problems({ ...FLAGS, database: "postgresql://billing:secret@127.0.0.1/billing" });
    expect(problem).toMatch(/^--database cannot contain a password/);
  });

  test("have secrets, the newest first, which are not the keys of pages", async () => {
    const { masterKeys } = await read(FLAGS, { ...ENV, SECUREFLAG_SECRETS_KEY: `${OTHER_KEY}, ${KEY}` });
    expect(masterKeys.map((key) => key.toString("base64"))).toEqual([OTHER_KEY, KEY]);
    const pageKeys = masterKeys.map(pageKeyOf);
    expect(pageKeys.map((key) => key.length)).toEqual([32, 32]);
    expect([...masterKeys, pageKeys[1]]).not.toContainEqual(pageKeys[0]);
  });

  test.each([
    ["test cards without test mode", { ...FLAGS, "test-mode": undefined }, /requires --test-mode/],
    ["http elsewhere", { ...BEHIND, "public-url": "http://billing.example.com" }, /must be https/],
    ["plain HTTP on every address", { ...FLAGS, host: "0.0.0.0" }, /--trust-proxy, are required/],
    ["plain HTTP for a public name", { ...BEHIND, "trust-proxy": undefined }, /--trust-proxy, are required/],
    ["half of TLS", { ...BEHIND, "tls-cert": "/none" }, /--tls-cert and --tls-key must be passed together/],
  ])("refuse %s", async (_, flags, problem) => {
    expect((await problems(flags)).slice(1).join("; ")).toMatch(problem);
  });

  test.runIf(isInstalled("openssl"))("refuse certificates and keys that cannot be used", async () => {
    const authority = await createAuthority();
    const [one, other] = [await authority.issue({ host: "localhost" }), await authority.issue({ host: "localhost" })];
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
    const encrypted = privateKey.export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "x" });
    const folder = await temporaryDirectory();
    const tls = async (cert: string, key: string, ca = one.cert) => {
      const texts = { "tls-cert": cert, "tls-key": key, "database-ca": ca };
      const paths = Object.entries(texts).map(([name, text]) => [name, join(folder, name), text] as const);
      for (const [, path, text] of paths) await writeFile(path, text);
      return { ...BEHIND, ...Object.fromEntries(paths.map(([name, path]) => [name, path])) };
    };
    await expect(read(await tls(one.cert, one.key))).resolves.toMatchObject({ tls: one });
    expect((await problems(await tls(one.key, one.cert, "no certificate"))).slice(1)).toEqual([
      "--database-ca must be PEM certificates",
      "--tls-cert must be a PEM certificate",
      "--tls-key must be a PEM private key",
    ]);
    expect((await problems(await tls(one.cert, other.key))).slice(1)).toEqual([
      "--tls-key does not match the first certificate in --tls-cert",
    ]);
    expect((await problems(await tls(one.cert, String(encrypted)))).slice(1)).toEqual([
      "--tls-key must not have a passphrase",
    ]);
    const nowhere = { "tls-cert": folder, "tls-key": `${folder}.none`, "database-ca": `${folder}.none` };
    expect((await problems({ ...BEHIND, ...nowhere })).slice(1)).toEqual([
      "--database-ca: cannot read the file (ENOENT)",
      "--tls-cert: cannot read the file (EISDIR)",
      "--tls-key: cannot read the file (ENOENT)",
    ]);
  });

  test("allow plain HTTP behind a proxy", async () => {
    const { trustProxy } = await read({ ...BEHIND, host: "0.0.0.0" });
    expect(trustProxy).toEqual(["10.0.0.0/8", "::1"]);
  });
});

describe("the database", () => {
  const database = async (url: string) => readDatabaseSettings({ flags: {}, env: { SECUREFLAG_DATABASE_URL: url } });

  test("is verified by TLS elsewhere, whatever its URL asks for", async () => {
    const { url, isTlsRequired } = await database(
      "postgresql://u:p@db.example.com/x?sslmode=no-verify&application_name=a",
    );
    expect(isTlsRequired).toBe(true);
    expect(url).toBe("postgresql://u:p@db.example.com/x?application_name=a");
  });

  test.each([
    "postgresql://u@127.0.0.1:5432/x",
    "postgresql://u@localhost/x",
    "postgresql://u@[::1]/x",
    "postgresql:///x?host=/var/run/postgresql",
  ])("on this machine needs none: %s", async (url) => {
    expect((await database(url)).isTlsRequired).toBeUndefined();
  });
});
