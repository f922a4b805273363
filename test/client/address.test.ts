import { describe, expect, test } from "vitest";
import { assertVerifiedTls, isLoopbackHost, parseAddress, proxyFor } from "../../src/client/address.ts";

describe("isLoopbackHost", () => {
  test.each([
    ["localhost", true],
    ["127.0.0.1", true],
    ["127.200.3.4", true],
    ["[::1]", true],
    ["127.0.0.1.example.com", false],
    ["localhost.example.com", false],
    ["128.0.0.1", false],
    ["0.0.0.0", false],
    ["[::2]", false],
    ["api.secureflag.com", false],
  ])("%s: %s", (host, expected) => {
    expect(isLoopbackHost(host)).toBe(expected);
  });
});

describe("parseAddress", () => {
  test.each([
    ["https://api.secureflag.com/rest/management/v2", "https://api.secureflag.com", "/rest/management/v2", false],
    ["https://api.secureflag.com/rest/management/v2/", "https://api.secureflag.com", "/rest/management/v2", false],
    ["https://billing.example:8443", "https://billing.example:8443", "", false],
    ["http://127.0.0.1:4010/rest/management/v2", "http://127.0.0.1:4010", "/rest/management/v2", true],
    ["http://[::1]:4010/x", "http://[::1]:4010", "/x", true],
    ["http://LOCALHOST:4010/x", "http://localhost:4010", "/x", true],
    ["http://0x7f.1:4010/x", "http://127.0.0.1:4010", "/x", true],
  ])("%s", (url, origin, basePath, isLoopback) => {
    expect(parseAddress(url)).toEqual({ origin, basePath, isLoopback });
  });

  test.each(["http://api.secureflag.com/rest/management/v2", "http://127.0.0.1.example.com/"])(
    "rejects %s and suggests no other URL of that host",
    (url) => {
      const hint = expect.not.stringContaining(new URL(url).host);
      expect(() => parseAddress(url)).toThrow(expect.objectContaining({ code: "insecure_url", hint }));
    },
  );

  test.each([
    "ftp://127.0.0.1/",
    "https://user:secret@api.secureflag.com/",
    "https://api.secureflag.com/?a=b",
    "https://api.secureflag.com/#a",
    "api.secureflag.com",
    "",
  ])("rejects %s", (url) => {
    expect(() => parseAddress(url)).toThrow(expect.objectContaining({ code: "invalid_usage" }));
  });

  test("shows no password in its message", () => {
    expect(() => parseAddress("https://user:secret@api.secureflag.com/")).toThrow(/^((?!secret).)*$/);
  });
});

describe("assertVerifiedTls", () => {
  test("rejects disabled certificate checks", () => {
    const refused = expect.objectContaining({ code: "insecure_tls" });
    expect(() => assertVerifiedTls({ NODE_TLS_REJECT_UNAUTHORIZED: "0" })).toThrow(refused);
    expect(() => assertVerifiedTls({ NODE_TLS_REJECT_UNAUTHORIZED: "1" })).not.toThrow();
    expect(() => assertVerifiedTls({})).not.toThrow();
  });
});

describe("proxyFor", () => {
  const remote = parseAddress("https://api.secureflag.com/v2");

  test.each([
    [{}, null],
    [{ HTTPS_PROXY: "" }, null],
    [{ HTTP_PROXY: "http://proxy:1" }, null],
    [{ HTTPS_PROXY: "http://proxy:1" }, { proxy: "http://proxy:1", noProxy: "" }],
    [
      { https_proxy: "http://small:1", HTTPS_PROXY: "http://large:1", NO_PROXY: "a.example" },
      { proxy: "http://small:1", noProxy: "a.example" },
    ],
  ])("%o", (env, expected) => {
    expect(proxyFor(remote, env)).toEqual(expected);
  });

  test.each(["http://127.0.0.1:4010/", "http://localhost:4010/", "https://[::1]/"])("uses no proxy for %s", (url) => {
    expect(proxyFor(parseAddress(url), { HTTPS_PROXY: "http://proxy:1", NO_PROXY: "" })).toBeNull();
  });
});
