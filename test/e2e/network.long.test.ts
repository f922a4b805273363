import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import tls from "node:tls";
import { build } from "esbuild";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Authority, type Certificate, createAuthority } from "../support/certificates.ts";
import { errorOf, type RunResult, resultOf, runCli } from "../support/cli.ts";
import { isInstalled } from "../support/installed.ts";
import { newerNode } from "../support/newerNode.ts";
import { ROOT, removePlaces, temporaryDirectory } from "../support/places.ts";
import { environmentFor, type RunningSandbox, startSandbox } from "../support/sandbox.ts";
import { organization, seed } from "../support/seed.ts";
import { startConnectProxy, startSilentProxy, startTlsFront } from "../support/tunnels.ts";

const NAME = "billing.northwind.example";
const PATH = "/rest/management/v2";
async function emptyFile(): Promise<string> {
  const file = join(await temporaryDirectory(), "empty.pem");
  await writeFile(file, "");
  return file;
}

/** Longer than one try, shorter than the 20 seconds for which a backend that cannot be reached is tried. */
const ONE_TRY_MS = 15_000;

describe.skipIf(!isInstalled("openssl"))("the built program connecting to an https backend", () => {
  let sandbox: RunningSandbox;
  let authority: Authority;
  let certificate: Certificate;

  beforeAll(async () => {
    [sandbox, authority] = await Promise.all([startSandbox({ seed: seed(organization(1)) }), createAuthority()]);
    certificate = await authority.issue({ host: NAME });
  });

  afterAll(async () => {
    await sandbox?.stop();
    await removePlaces();
  });

  function status(origin: string, env: Record<string, string>, ...flags: string[]): Promise<RunResult> {
    const trusted = { NODE_EXTRA_CA_CERTS: authority.file };
    return runCli(["status", "--json", ...flags], {
      env: { ...environmentFor(`${origin}${PATH}`, 1), ...trusted, ...env },
      timeout: ONE_TRY_MS,
    });
  }

  describe("through a proxy", () => {
    test.each([
      ["HTTPS_PROXY", "http://127.0.0.1:PORT"],
      ["https_proxy", "http://127.0.0.1:PORT/"],
      ["HTTPS_PROXY", "127.0.0.1:PORT"],
      ["HTTPS_PROXY", "\uFEFF localhost:PORT\r\n"],
    ])("%s=%s", async (variable, value) => {
      await using front = await startTlsFront(sandbox.origin, certificate);
      await using proxy = await startConnectProxy();
      const run = await status(`https://${NAME}:${front.port}`, { [variable]: value.replace("PORT", `${proxy.port}`) });
      expect(run.stderr).toBe("");
      expect(resultOf(run)).toMatchObject({ organization: { id: 1 } });
      expect(proxy.seen).toEqual([{ target: `${NAME}:${front.port}`, authorization: null }]);
    });

    test("makes a complete purchase", async () => {
      await using front = await startTlsFront(sandbox.origin, certificate);
      await using proxy = await startConnectProxy();
      const env = {
        ...environmentFor(`https://${NAME}:${front.port}${PATH}`, 1),
        NODE_EXTRA_CA_CERTS: authority.file,
        HTTPS_PROXY: `http://127.0.0.1:${proxy.port}`,
      };
      const run = await runCli(["buy", "5", "--yes", "--json"], { env });
      expect(resultOf(run)).toMatchObject({ purchase: { status: "succeeded" }, replayed: false });
    });

    test.each(["u:p%40ss%20word", "u:p%40ss%20word@"])(
      "sends a password that the proxy requires (%s)",
      async (text) => {
        const expected = `Basic ${Buffer.from("u:p@ss word").toString("base64")}`;
        await using front = await startTlsFront(sandbox.origin, certificate);
        await using proxy = await startConnectProxy((authorization) => (authorization === expected ? null : 407));
        const user = text.replace(/@$/, "");
        const scheme = text.endsWith("@") ? "" : "http://";
        const value = `${scheme}${user}@127.0.0.1:${proxy.port}`;
        expect((await status(`https://${NAME}:${front.port}`, { HTTPS_PROXY: value })).exitCode).toBe(0);
        expect(proxy.seen).toEqual([{ target: `${NAME}:${front.port}`, authorization: expected }]);
      },
    );

    test.each([
      ["", "requires a user and password"],
      ["u:hunter2@", "rejected the user or password"],
    ])("407 for %j is final: tried once, and shown without the password", async (user, message) => {
      await using proxy = await startConnectProxy(() => 407);
      const value = `http://${user}127.0.0.1:${proxy.port}`;
      const run = await status(`https://${NAME}`, { HTTPS_PROXY: value }, "--verbose");
      expect(run.exitCode).toBe(10);
      expect(run.stderr).toContain(`The proxy 127.0.0.1:${proxy.port} ${message}`);
      expect(run.stderr).not.toContain("hunter2");
      expect(run.stderr).not.toContain(Buffer.from("u:hunter2").toString("base64"));
      expect(proxy.seen.map(({ target }) => target)).toEqual([`${NAME}:443`]);
    });

    test("a rejected password is sent once, even for parallel calls", async () => {
      await using proxy = await startConnectProxy(() => 407);
      const env = { HTTPS_PROXY: `http://u:hunter2@127.0.0.1:${proxy.port}` };
      // For a person, `status` also asks whether the token ends soon.
      const run = await runCli(["status"], { env: { ...environmentFor(`https://${NAME}${PATH}`, 1), ...env } });
      expect([run.exitCode, run.stderr]).toEqual([10, expect.stringContaining("It was tried once")]);
      expect(proxy.seen.length).toBe(1);
    });

    test("a password is sent for every connection", async () => {
      await using front = await startTlsFront(sandbox.origin, certificate);
      await using proxy = await startConnectProxy();
      const env = {
        ...environmentFor(`https://${NAME}:${front.port}${PATH}`, 1),
        HTTPS_PROXY: `http://u:p@127.0.0.1:${proxy.port}`,
        NODE_EXTRA_CA_CERTS: authority.file,
      };
      expect((await runCli(["status"], { env })).exitCode).toBe(0);
      expect(proxy.seen.length).toBe(2);
      expect(new Set(proxy.seen.map(({ authorization }) => authorization)).size).toBe(1);
    });

    test.each([
      [403, 1],
      [502, 2],
    ])("after a rejection with %i there are %i attempts in total", async (refusal, tries) => {
      let asked = 0;
      await using front = await startTlsFront(sandbox.origin, certificate);
      await using proxy = await startConnectProxy(() => {
        asked += 1;
        return asked === 1 ? refusal : null;
      });
      const env = { HTTPS_PROXY: `127.0.0.1:${proxy.port}` };
      const run = await status(`https://${NAME}:${front.port}`, env);
      expect(run.exitCode).toBe(tries === 1 ? 10 : 0);
      if (tries === 1) expect(errorOf(run).message).toContain(`127.0.0.1:${proxy.port} refused the connection`);
      expect(proxy.seen.length).toBe(tries);
    });

    test.each([
      ["https://127.0.0.1:1", "only HTTP proxies"],
      ["socks5://127.0.0.1:1", "only HTTP proxies"],
      ["http://u:hunter#2@127.0.0.1:1", "not a valid URL"],
      ["http://u:77#hunter2@127.0.0.1:1", "not a valid URL"],
      ["http://u:77/hunter2@127.0.0.1:1", "not a valid URL"],
      ["http://u#hunter2:x@127.0.0.1:1", "not a valid URL"],
      ["http://CORP\\u:hunter2@127.0.0.1:1", "not a valid URL"],
      ["CORP\\u:hunter2@127.0.0.1:1", "not a valid URL"],
      ['"http://u:hunter2@127.0.0.1:1"', "not a valid URL"],
      ["'http://u:hunter2@127.0.0.1:1'", "not a valid URL"],
      ["'u:hunter2@127.0.0.1:1'", "not a valid URL"],
      ["http://u:hunter2%@127.0.0.1:1", "not percent-encoded"],
    ])("HTTPS_PROXY=%s is rejected without showing it", async (value, message) => {
      const args = ["status", "--verbose"];
      const run = await runCli(args, { env: { ...environmentFor(`https://${NAME}${PATH}`, 1), HTTPS_PROXY: value } });
      expect(run.exitCode).toBe(2);
      expect(run.stderr).toContain(message);
      expect(run.stderr).toMatch(/ercent-encode|HTTP proxy/);
      expect(run.stderr).not.toMatch(/hunter|CORP|127\.0\.0\.1:1/);
    });

    test.each([
      ["to CONNECT", null],
      ["in the tunnel", "HTTP/1.1 200 OK\r\n\r\n"],
    ])("a proxy that does not respond %s is named", async (_, answer) => {
      await using proxy = await startSilentProxy(answer);
      const value = `127.0.0.1:${proxy.port}`;
      const env = { ...environmentFor(`https://${NAME}${PATH}`, 1), HTTPS_PROXY: value };
      // Six tries of two seconds, and pauses of up to eight between them.
      const run = await runCli(["quote", "1", "--json", "--timeout", "2"], { env, timeout: 60_000 });
      expect(errorOf(run)).toMatchObject({
        exitCode: 10,
        message: `Connection through the proxy ${value} timed out.`,
        hint: expect.stringContaining("HTTPS_PROXY"),
      });
    });

    test("this machine is reached directly", async () => {
      await using front = await startTlsFront(sandbox.origin, await authority.issue({ host: "localhost" }));
      await using proxy = await startConnectProxy(() => 407);
      const env = { HTTPS_PROXY: `http://127.0.0.1:${proxy.port}` };
      expect((await status(`https://localhost:${front.port}`, env)).exitCode).toBe(0);
      expect(proxy.seen).toEqual([]);
    });

    test("--verbose shows why a proxy cannot be reached", async () => {
      const proxy = await startConnectProxy();
      await proxy[Symbol.asyncDispose]();
      const args = ["quote", "1", "--verbose"];
      const env = { ...environmentFor(`https://${NAME}${PATH}`, 1), HTTPS_PROXY: `127.0.0.1:${proxy.port}` };
      const run = await runCli(args, { env });
      expect(run.exitCode).toBe(10);
      expect(run.stderr).toContain(`Cannot connect to the proxy 127.0.0.1:${proxy.port}`);
      expect(run.stderr).toContain("ECONNREFUSED");
    });
  });

  describe.skipIf(newerNode(24) === null)("on a Node.js that knows the certificates of the system", () => {
    /** `trusted`: whether the authority is one of the system's. */
    const purchase = async (origin: string, trusted: boolean, more: Record<string, string> = {}) => {
      const system = trusted ? authority.file : await emptyFile();
      const env = {
        ...environmentFor(`${origin}${PATH}`, 1),
        SSL_CERT_FILE: system,
        SSL_CERT_DIR: await temporaryDirectory(),
        ...more,
      };
      return await runCli(["buy", "1", "--yes", "--json"], { env, node: newerNode(24) ?? "", timeout: ONE_TRY_MS });
    };

    test("an authority of the system is trusted, and a purchase is made once", async () => {
      const host = "localhost";
      await using front = await startTlsFront(sandbox.origin, await authority.issue({ host }));
      const run = await purchase(`https://${host}:${front.port}`, true);
      expect(run.stderr).toBe("");
      expect(resultOf(run)).toMatchObject({ purchase: { status: "succeeded" }, replayed: false });
    });

    test("through a proxy as well", async () => {
      await using front = await startTlsFront(sandbox.origin, certificate);
      await using proxy = await startConnectProxy();
      const target = `${NAME}:${front.port}`;
      const run = await purchase(`https://${target}`, true, { HTTPS_PROXY: `http://u:p@127.0.0.1:${proxy.port}` });
      expect(run.stderr).toBe("");
      expect(resultOf(run)).toMatchObject({ purchase: { status: "succeeded" }, replayed: false });
      expect(new Set(proxy.seen.map(({ target: name }) => name))).toEqual(new Set([target]));
    });

    test("a service trusts them beside those of Node.js and of NODE_EXTRA_CA_CERTS", async () => {
      const other = await createAuthority();
      const outfile = join(await temporaryDirectory(), "trust.mjs");
      const contents = `
        import { X509Certificate } from "node:crypto";
        import tls from "node:tls";
        import { trustSystemEverywhere } from "./src/client/systemCertificates.ts";
        // The same certificate may be written in lines of another length.
        const all = (type) => tls.getCACertificates(type).map((each) => new X509Certificate(each).fingerprint256);
        const before = all("default");
        await trustSystemEverywhere();
        const after = new Set(all("default"));
        const system = all("system");
        console.log(JSON.stringify([before, system].map((list) => [list.length, list.filter((each) => after.has(each)).length])));
      `;
      const stdin = { contents, resolveDir: ROOT };
      await build({ stdin, outfile, bundle: true, platform: "node", format: "esm", absWorkingDir: ROOT });
      const env = {
        SSL_CERT_FILE: authority.file,
        SSL_CERT_DIR: await temporaryDirectory(),
        NODE_EXTRA_CA_CERTS: other.file,
      };
      const { stdout } = await execa(newerNode(24) ?? "", [outfile], { env, extendEnv: false });
      const [[own, kept], [ofSystem, added]] = JSON.parse(stdout);
      expect({ kept, added }).toEqual({ kept: own, added: ofSystem });
      expect(own).toBeGreaterThan(100);
      expect(ofSystem).toBe(1);
    });

    test("NODE_EXTRA_CA_CERTS still adds its own", async () => {
      await using front = await startTlsFront(sandbox.origin, await authority.issue({ host: "localhost" }));
      const origin = `https://localhost:${front.port}`;
      expect((await purchase(origin, false, { NODE_EXTRA_CA_CERTS: authority.file })).exitCode).toBe(0);
    });

    test.each([
      [
        "an unknown authority",
        { host: "localhost" },
        false,
        "is signed by an unknown authority",
        /add it to the certificates of this system, or set NODE_EXTRA/,
      ],
      ["another host name", { host: NAME }, true, "is for another host name", /API URL/],
      ["one that has expired", { host: "localhost", days: [-3, -1] as const }, true, "has expired", /clock/],
    ])("%s is not trusted, and nothing is sent", async (_, validity, trusted, message, hint) => {
      await using front = await startTlsFront(sandbox.origin, await authority.issue(validity));
      const origin = `https://localhost:${front.port}`;
      expect(errorOf(await purchase(origin, trusted))).toMatchObject({
        exitCode: 10,
        code: "unreachable",
        message: expect.stringContaining(`The certificate of ${origin} ${message}`),
        hint: expect.stringMatching(hint),
      });
    });
  });

  describe("untrusted certificates", () => {
    test.each([
      ["another host name", { host: NAME }, true, "is for another host name", /API URL/],
      ["expired", { host: "localhost", days: [-3, -1] as const }, true, "has expired", /clock.*operator/],
      ["not yet valid", { host: "localhost", days: [1, 3] as const }, true, "is not valid yet", /clock/],
      ["unknown authority", { host: "localhost" }, false, "signed by an unknown authority", /NODE_EXTRA_CA_CERTS/],
    ])("%s", async (_name, validity, isTrusted, message, hint) => {
      await using front = await startTlsFront(sandbox.origin, await authority.issue(validity));
      await using proxy = await startConnectProxy();
      const origin = `https://localhost:${front.port}`;
      const env: Record<string, string> = isTrusted ? {} : { NODE_EXTRA_CA_CERTS: "" };
      const run = await status(origin, env);
      expect(errorOf(run)).toMatchObject({
        exitCode: 10,
        code: "unreachable",
        message: expect.stringContaining(`The certificate of ${origin} ${message}`.replace(" signed", " is signed")),
        hint: expect.stringMatching(hint),
      });
      if (!hint.source.includes("NODE")) expect(run.stderr).not.toContain("NODE_EXTRA_CA_CERTS");
      // The same through a tunnel, where another name stands for the same server.
      const elsewhere = `https://${validity.host === NAME ? "other.example" : NAME}:${front.port}`;
      const tunneled = await status(elsewhere, { ...env, HTTPS_PROXY: `127.0.0.1:${proxy.port}` });
      expect(errorOf(tunneled)).toMatchObject({ exitCode: 10, message: expect.stringContaining("The certificate of") });
      const isTriedAgain = "getCACertificates" in tls && _name === "unknown authority";
      expect(proxy.seen.length).toBe(isTriedAgain ? 2 : 1);
    });

    test.skipIf("getCACertificates" in tls)("an older Node.js names the one that knows the system's", async () => {
      await using front = await startTlsFront(sandbox.origin, await authority.issue({ host: "localhost" }));
      const run = await status(`https://localhost:${front.port}`, { NODE_EXTRA_CA_CERTS: "" });
      expect(errorOf(run).hint).toMatch(/NODE_EXTRA_CA_CERTS.*Node\.js 22\.19 and newer/);
    });

    test.each([
      ["is missing", async () => "/nonexistent/ca.pem"],
      ["is a directory", () => temporaryDirectory()],
      ["holds no certificate", emptyFile],
    ])("an unknown authority while NODE_EXTRA_CA_CERTS %s", async (_, fileOf) => {
      const file = await fileOf();
      await using front = await startTlsFront(sandbox.origin, await authority.issue({ host: "localhost" }));
      const run = await status(`https://localhost:${front.port}`, { NODE_EXTRA_CA_CERTS: file });
      // Node.js 20 says so itself on stderr before it runs any program.
      const { error } = JSON.parse(run.stderr.replace(/^Warning: Ignoring extra certs .*\n/, ""));
      expect(error.message).toContain("is signed by an unknown authority");
      expect(error.hint).toContain(`No certificate can be read from ${file}.`);
    });

    test("a server without TLS is not reported as a certificate error", async () => {
      const run = await status(sandbox.origin.replace("http:", "https:"), {});
      expect(errorOf(run)).toMatchObject({ exitCode: 10, message: expect.stringContaining("does not speak TLS") });
    });
  });
});
