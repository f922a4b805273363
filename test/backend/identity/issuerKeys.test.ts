import type { LookupAddress, lookup as systemLookup } from "node:dns";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createIssuerKeys, isIssuerAllowed } from "../../../src/backend/identity/issuerKeys.ts";
import { type Issuer, respond, startIssuer } from "../../support/issuer.ts";

const MINUTE = 60_000;

const UNREADABLE = { code: "unavailable", headers: { "Retry-After": "10" } };

let issuer: Issuer;
let machine: number;
let log: string[];

beforeEach(async () => {
  issuer = await startIssuer();
  machine = Date.parse("2026-11-22T12:00:00Z");
  log = [];
});
afterEach(async () => {
  vi.restoreAllMocks();
  await issuer.close();
});

/** Resolves every name to these addresses, in one answer after the other, and every name as the system does without any. */
function keysWith(issuersAt: "public" | "loopback" | "private", ...answers: LookupAddress[][]) {
  const lookup = ((_host: string, _options: unknown, callback: (error: null, found: LookupAddress[]) => void) =>
    callback(null, answers.shift() ?? [])) as unknown as typeof systemLookup;
  const deps = { now: () => machine, issuersAt, log: (line: string, error: unknown) => log.push(`${line}: ${error}`) };
  return answers.length === 0 ? createIssuerKeys(deps) : createIssuerKeys(deps, lookup);
}

const timesRead = () => issuer.asked.filter((path) => path === "/keys").length;

describe("the keys of an issuer", () => {
  test("are read once for parallel calls, and again after 10 minutes", async () => {
    const keys = keysWith("loopback");
    await Promise.all([keys.read(issuer.url), keys.read(issuer.url)]);
    machine += 10 * MINUTE - 1;
    await keys.read(issuer.url);
    expect(timesRead()).toBe(1);
    machine += 1;
    await keys.read(issuer.url);
    expect(timesRead()).toBe(2);
  });

  test("are read again for an unknown key, at most once a minute", async () => {
    const keys = keysWith("loopback");
    const first = await keys.read(issuer.url);
    machine += MINUTE - 1;
    expect(await keys.read(issuer.url, first)).toBe(first);
    machine += 1;
    const [second, again] = await Promise.all([keys.read(issuer.url, first), keys.read(issuer.url, first)]);
    expect(second).toBe(again);
    expect(second).not.toBe(first);
    // Somebody who had the old ones gets the new ones, which are not read again.
    expect(await keys.read(issuer.url, first)).toBe(second);
    expect(timesRead()).toBe(2);
  });

  test("that cannot be read are left alone for 10 seconds", async () => {
    const keys = keysWith("loopback");
    issuer.disturb("keys", (response) => respond(response, 500, {}));
    await expect(keys.read(issuer.url)).rejects.toMatchObject(UNREADABLE);
    issuer.disturb("keys", null);
    machine += 9_999;
    await expect(keys.read(issuer.url)).rejects.toMatchObject(UNREADABLE);
    expect(timesRead()).toBe(1);
    machine += 1;
    await keys.read(issuer.url);
    expect(timesRead()).toBe(2);
  });

  test.each<[string, "discovery" | "keys", Parameters<Issuer["disturb"]>[1], string]>([
    ["a redirect", "keys", (response) => response.writeHead(302, { location: "/elsewhere" }).end(), "HTTP status 302"],
    [
      "64 KB and more",
      "keys",
      (response) => respond(response, 200, { keys: ["x".repeat(65_536)] }),
      "larger than 64 KB",
    ],
    ["no JSON", "keys", (response) => response.end("<html>"), "JSON"],
    ["no object", "keys", (response) => respond(response, 200, null), "is not a JSON object"],
    ["no set of keys", "keys", (response) => respond(response, 200, { keys: {} }), "JSON Web Key Set malformed"],
    ["a broken connection", "keys", (response) => response.destroy(), "socket hang up"],
    [
      "a connection that breaks in the middle",
      "keys",
      (response) => response.writeHead(200, { "content-length": 99 }).write("{", () => response.destroy()),
      "aborted",
    ],
    [
      "the description of another issuer",
      "discovery",
      (response) =>
        respond(response, 200, { issuer: "https://issuer.example", jwks_uri: "https://issuer.example/keys" }),
      "it describes another issuer",
    ],
    [
      "a description without keys",
      "discovery",
      (response) => respond(response, 200, { issuer: issuer.url }),
      "names no keys",
    ],
    [
      "keys at an address that is not encrypted",
      "discovery",
      (response) => respond(response, 200, { issuer: issuer.url, jwks_uri: "http://issuer.example/keys" }),
      "not allowed: http://issuer.example/keys",
    ],
    [
      "keys in a file",
      "discovery",
      (response) => respond(response, 200, { issuer: issuer.url, jwks_uri: "file:///etc/passwd" }),
      "not allowed: file:///etc/passwd",
    ],
    [
      "keys in a private network",
      "discovery",
      (response) => respond(response, 200, { issuer: issuer.url, jwks_uri: "https://192.168.1.1/keys" }),
      "not allowed: https://192.168.1.1/keys",
    ],
  ])("are not read from %s", async (_, document, how, reason) => {
    issuer.disturb(document, how);
    await expect(keysWith("loopback").read(issuer.url)).rejects.toMatchObject(UNREADABLE);
    expect(log).toEqual([expect.stringContaining(reason)]);
  });

  test.each(["discovery", "keys"] as const)("are given up after 5 seconds for both documents: %s", async (document) => {
    const timeout = AbortSignal.timeout;
    const limits: number[] = [];
    vi.spyOn(AbortSignal, "timeout").mockImplementation((milliseconds) => {
      limits.push(milliseconds);
      return timeout(100);
    });
    // One byte after the other, and no end.
    issuer.disturb(document, (response) => {
      const timer = setInterval(() => response.write(" "), 5);
      response.once("close", () => clearInterval(timer));
    });
    await expect(keysWith("loopback").read(issuer.url)).rejects.toMatchObject(UNREADABLE);
    expect(limits).toEqual([5_000]);
  });
});

const addressOf = (address: string) => ({ address, family: address.includes(":") ? 6 : 4 });

/** Addresses by what may be there. */
const PLACES = {
  loopback: ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"],
  private: ["10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fd00::1", "::ffff:10.0.0.1"],
  never: [
    ...["0.0.0.0", "169.254.169.254", "224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "::", "fe80::1"],
    ...["ff02::1", "::ffff:169.254.169.254", "64:ff9b::a00:1", "2002:a00:1::", "2001::1", "::7f00:1", "fec0::1"],
  ],
  public: ["140.82.112.3", "2606:50c0:8000::153"],
};

describe("the address of an issuer", () => {
  const cases = Object.entries(PLACES).flatMap(([place, addresses]) => addresses.map((address) => [address, place]));

  test.each(cases)("%s is checked where it is in the URL: %s", (address, place) => {
    const url = `https://${address.includes(":") ? `[${address}]` : address}`;
    const places = (["public", "loopback", "private"] as const).filter((at) => isIssuerAllowed(url, at));
    const expected: Record<string, string[]> = {
      loopback: ["loopback", "private"],
      private: ["private"],
      never: [],
      public: ["public", "loopback", "private"],
    };
    expect(places).toEqual(expected[place]);
  });

  test.each([
    ["http://127.0.0.1:1", true],
    ["http://[::1]:1", true],
    ["http://localhost:1", true],
    ["http://issuer.example", false],
    ["http://140.82.112.3", false],
    ["https://0x7f.1", true],
    ["https://2130706433", true],
  ])("%s may be http only on this machine", (url, isAllowed) => {
    expect(isIssuerAllowed(url, "loopback")).toBe(isAllowed);
    expect(isIssuerAllowed(url, "public")).toBe(false);
  });

  test.each([...PLACES.loopback, ...PLACES.private, ...PLACES.never, "fe80::1%eth0", "no address"])(
    "%s is refused when a name is connected to, also beside a public one",
    async (address) => {
      for (const answer of [[address], [...PLACES.public, address]]) {
        const keys = keysWith("public", answer.map(addressOf));
        await expect(keys.read("https://issuer.example")).rejects.toMatchObject(UNREADABLE);
        expect(log.pop()).toContain(`issuer.example is at ${address}, which is not allowed`);
      }
    },
  );

  test("a name that turns to another address later is refused then", async () => {
    const { port } = new URL(issuer.url);
    const named = `http://localhost:${port}`;
    issuer.disturb("discovery", (response) => respond(response, 200, { issuer: named, jwks_uri: `${named}/keys` }));
    const keys = keysWith("loopback", [addressOf("127.0.0.1")], [addressOf("169.254.169.254")]);
    await expect(keys.read(named)).rejects.toMatchObject(UNREADABLE);
    expect(log).toEqual([expect.stringContaining("localhost is at 169.254.169.254, which is not allowed")]);
    expect(issuer.asked).toEqual(["/.well-known/openid-configuration"]);
  });

  test("a name of this machine that leads elsewhere gets no unencrypted request", async () => {
    const keys = keysWith("private", [addressOf("10.0.0.1")]);
    await expect(keys.read("http://localhost:1")).rejects.toMatchObject(UNREADABLE);
    expect(log).toEqual([expect.stringContaining("localhost is at 10.0.0.1, which is not allowed")]);
  });

  test("a private one is connected to where the operator allows it", async () => {
    const { port } = new URL(issuer.url);
    const keys = keysWith("private", [addressOf("127.0.0.1")]);
    await expect(keys.read(`https://issuer.example:${port}`)).rejects.toMatchObject(UNREADABLE);
    // It does not speak TLS.
    expect(log).toEqual([expect.stringMatching(/EPROTO|SSL|TLS/)]);
  });

  test("a name without an address is no issuer", async () => {
    const keys = keysWith("public", []);
    await expect(keys.read("https://issuer.example")).rejects.toMatchObject(UNREADABLE);
    expect(log).toEqual([expect.stringContaining("issuer.example has no address")]);
  });
});
