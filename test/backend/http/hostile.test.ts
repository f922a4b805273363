import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createConnection } from "node:net";
import pLimit from "p-limit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createHttpServer } from "../../../src/backend/http/server.ts";
import { type RunningSandbox, startSandbox } from "../../../src/backend/sandbox/server.ts";
import { BASE_PATH } from "../../../src/contract/constants.ts";
import { problemSchema } from "../../../src/contract/problems.ts";
import { organization, tokenOf } from "../support/backend.ts";
import { readAnswers, sendRaw } from "../support/rawHttp.ts";

const made = organization({ paymentMethod: "card_requires_approval" });

const log: string[] = [];

let sandbox: RunningSandbox;

let port: number;

let page: string;

beforeAll(async () => {
  const seed = { path: "seed.json", text: JSON.stringify({ organizations: [made] }) };
  sandbox = await startSandbox(
    { port: 0, dataDir: null, seed, now: Date.parse("2026-11-22T12:00:00Z") },
    { now: Date.now, random: randomBytes, pid: 1, reach: () => {}, log: (line) => log.push(line), version: "0.0.0" },
  );
  port = Number(new URL(sandbox.ready.url).port);
  page = await pageOf("a", "127.0.0.1");
});

afterAll(() => sandbox.close());

const lines = (...all: string[]) => `${all.join("\r\n")}\r\n\r\n`;

const get = (path: string, ...headers: string[]) => lines(`GET ${path} HTTP/1.1`, ...headers, "Connection: close");

const post = (path: string, body: string, ...headers: string[]) =>
  lines(
    `POST ${BASE_PATH}/organizations/${made.id}${path} HTTP/1.1`,
    "Host: localhost",
    `Authorization: Bearer ${tokenOf(made.id)}`,
    "Connection: close",
    ...headers,
  ) + body;

async function only(bytes: string | Buffer, options: { end?: boolean; isHead?: boolean } = {}) {
  const answers = readAnswers(await sendRaw(port, bytes, options), options.isHead);
  expect(answers).toHaveLength(1);
  return answers[0] ?? expect.unreachable();
}

/** Makes a purchase that waits for approval, with the given Host; returns the address of its page. */
async function pageOf(key: string, host: string): Promise<string> {
  const json = "Content-Type: application/json";
  const send = async (path: string, body: object, ...headers: string[]) => {
    const text = JSON.stringify(body);
    const bytes = post(path, text, json, `Content-Length: ${text.length}`, ...headers).replace("localhost", host);
    return JSON.parse((await only(bytes)).body);
  };
  const { id: quoteId } = await send("/quotes", { licenses: 1 });
  return (await send("/purchases", { quoteId }, `Idempotency-Key: ${key}`)).nextAction.url;
}

function expectProblem({ status, headers, body }: Awaited<ReturnType<typeof only>>, expected: object) {
  expect(headers["content-type"]).toContain("application/problem+json");
  expect(headers).toMatchObject({ "cache-control": "no-store", date: expect.stringMatching(/ GMT$/) });
  const problem = problemSchema.parse(JSON.parse(body));
  expect(problem).toMatchObject({ status, requestId: headers["x-request-id"], ...expected });
}

describe("the Host header", () => {
  test.each(["localhost", "LocalHost:1", "127.0.0.1:65535", "127.9.8.255", "[::1]", "[::1]:4010"])(
    "refers to this machine: %s",
    async (host) => {
      expect((await only(get("/healthz", `Host: ${host}`))).status).toBe(200);
    },
  );

  test.each([
    "other.example",
    "localhost.",
    "localhost.example",
    "127.0.0.1.example",
    "127.0.0.256",
    "128.0.0.1",
    "[::2]",
    "[::ffff:127.0.0.1]",
    "0.0.0.0",
  ])("refers to another machine: %s", async (host) => {
    expectProblem(await only(get("/healthz", `Host: ${host}`)), { status: 403, code: "forbidden" });
  });

  test.each([
    "localhost:80@other.example",
    "localhost@other.example",
    "user:pass@localhost",
    "localhost:",
    "localhost:0",
    "localhost:65536",
    "localhost:80x",
    "localhost:80:80",
    "localhost/x",
    "localhost#x",
    "localhost\\x",
    "localhost, other.example",
    "localhost other.example",
    "::1",
    "[::1",
    "[::1]x",
    "[localhost]",
    "%6cocalhost",
    "",
  ])("is invalid: '%s'", async (host) => {
    for (const path of ["/healthz", "/sandbox", "/device", `${BASE_PATH}/me`]) {
      const answer = await only(get(path, `Host: ${host}`));
      expect([answer.status, answer.body.includes("other.example")]).toEqual([400, false]);
    }
  });

  test("is required exactly once in HTTP/1.1", async () => {
    const refusal = { status: 400, code: "invalid_request" };
    expectProblem(await only(get("/healthz")), refusal);
    expectProblem(await only(get("/healthz", "Host: localhost", "Host: localhost")), refusal);
    expectProblem(await only(get("/healthz", "Host: localhost", "hOST: other.example")), refusal);
  });

  test("is taken from the authority of an absolute-form target", async () => {
    const target = (authority: string) => get(`http://${authority}/healthz`, "Host: localhost");
    expect((await only(target("localhost:4010"))).status).toBe(200);
    expect((await only(get("http://127.0.0.1/healthz?", "Host: other.example"))).status).toBe(200);
    expect((await only(target("other.example"))).status).toBe(403);
    expect((await only(target("localhost:80@other.example"))).status).toBe(400);
    expect((await only(get("https://localhost/healthz", "Host: localhost"))).status).toBe(400);
    expect((await only(get("http://localhost", "Host: localhost"))).status).toBe(404);
  });

  test("becomes the origin of the pages, whose forms are accepted", async () => {
    const address = new URL(await pageOf("b", "[::1]:4711"));
    expect(address.origin).toBe("http://[::1]:4711");
    expect(new URL(page).origin).toBe("http://127.0.0.1");
  });
});

describe("a malformed request", () => {
  const chunked = (body: string) =>
    post("/quotes", body, "Content-Type: application/json", "Transfer-Encoding: chunked");
  test.each<[string, string, object]>([
    ["no request at all", "hello\r\n\r\n", { status: 400 }],
    ["an unknown method", lines("BUY / HTTP/1.1", "Host: localhost"), { status: 400 }],
    ["a lowercase method", lines("get / HTTP/1.1", "Host: localhost"), { status: 400 }],
    ["an unsupported version", lines("GET / HTTP/9.9", "Host: localhost"), { status: 400 }],
    ["an HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", { status: 400 }],
    ["the start of a TLS handshake", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", { status: 400 }],
    ["a space in a header name", get("/", "Host: localhost", "A B: c"), { status: 400 }],
    ["a control character in a header", get("/", "Host: localhost", "A: \x01"), { status: 400 }],
    ["a NUL in a header", get("/", "Host: localhost", "A: b\0c"), { status: 400 }],
    ["a bare line feed", "GET / HTTP/1.1\nHost: localhost\n\n", { status: 400 }],
    ["20 KB of headers", get("/", "Host: localhost", `A: ${"a".repeat(20_000)}`), { status: 431 }],
    ["2 MB of headers", get("/", "Host: localhost", `A: ${"a".repeat(2_000_000)}`), { status: 431 }],
    ["a 20 KB path", get(`/${"a".repeat(20_000)}`, "Host: localhost"), { status: 431 }],
    ["a Content-Length that is not a number", post("/quotes", "{}", "Content-Length: two"), { status: 400 }],
    ["a negative Content-Length", post("/quotes", "{}", "Content-Length: -2"), { status: 400 }],
    ["two Content-Length headers", post("/quotes", "{}", "Content-Length: 2", "Content-Length: 3"), { status: 400 }],
    [
      "Content-Length with chunked encoding",
      post("/quotes", "0\r\n\r\n", "Content-Length: 2", "Transfer-Encoding: chunked"),
      { status: 400 },
    ],
    ["invalid chunks", chunked("zz\r\n{}\r\n0\r\n\r\n"), { status: 400 }],
    ["a chunk longer than its size", chunked("1\r\n{}\r\n0\r\n\r\n"), { status: 400 }],
    ["20 KB of chunk extensions", chunked(`2;${"a".repeat(20_000)}\r\n{}\r\n0\r\n\r\n`), { status: 413 }],
    ["an unsupported transfer coding", post("/quotes", "{}", "Transfer-Encoding: gzip"), { status: 400 }],
    ["a tunnel request", lines("CONNECT other.example:443 HTTP/1.1", "Host: other.example"), { status: 400 }],
  ])("is rejected with a problem document: %s", async (_, bytes, expected) => {
    const answer = await only(Buffer.from(bytes, "latin1"));
    expectProblem(answer, { code: "invalid_request", ...expected });
    expect(answer.headers.connection).toBe("close");
  });

  test.each<[string, string, number]>([
    ["a malformed percent-encoding", get("/%zz", "Host: localhost"), 400],
    [
      "a malformed percent-encoding in a parameter",
      get(`${BASE_PATH}/organizations/1/purchases/%ff`, "Host: localhost"),
      400,
    ],
    ["a bare percent sign", get("/pay/%/x", "Host: localhost"), 400],
    ["a NUL in the path", get("/healthz%00", "Host: localhost"), 404],
    ["an asterisk as target", lines("OPTIONS * HTTP/1.1", "Host: localhost", "Connection: close"), 400],
    ["a method that nothing accepts", lines("PROPFIND /healthz HTTP/1.1", "Host: localhost", "Connection: close"), 404],
    [
      "an operation with the wrong method",
      lines("DELETE /healthz HTTP/1.1", "Host: localhost", "Connection: close"),
      404,
    ],
    ["an unknown media type", post("/quotes", "{}", "Content-Type: text/xml", "Content-Length: 2"), 400],
    ["no media type", post("/quotes", "{}", "Content-Length: 2"), 400],
    ["a malformed media type", post("/quotes", "{}", "Content-Type: ;;", "Content-Length: 2"), 400],
    [
      "a Content-Length of 1 GB",
      post("/quotes", "", "Content-Type: application/json", "Content-Length: 1000000000"),
      400,
    ],
    [
      "a Content-Length of 30 digits",
      post("/quotes", "", "Content-Type: application/json", `Content-Length: ${"9".repeat(30)}`),
      400,
    ],
    ["100 KB of chunks", chunked(`186a0\r\n"${"a".repeat(99_998)}"\r\n0\r\n\r\n`), 400],
  ])("or an unsupported one is rejected: %s", async (_, bytes, status) => {
    const code = status === 404 ? "not_found" : "invalid_request";
    expectProblem(await only(Buffer.from(bytes, "latin1")), { status, code });
  });

  test("with an unknown expectation is accepted, and 100-continue is answered", async () => {
    expect((await only(get("/healthz", "Host: localhost", "Expect: a-miracle"))).status).toBe(200);
    const body = '{"licenses":1}';
    const json = ["Content-Type: application/json", `Content-Length: ${body.length}`];
    expect((await only(post("/quotes", body, "Expect: 100-continue", ...json))).status).toBe(201);
  });

  test("after a complete request does not replace its response", async () => {
    const body = '{"licenses":1}';
    const quote = post("/quotes", body, "Content-Type: application/json", `Content-Length: ${body.length}`);
    const answers = readAnswers(await sendRaw(port, `${quote.replace("Connection: close\r\n", "")}nonsense\r\n\r\n`));
    expect(answers.filter(({ status }) => status !== 201)).toEqual([]);
  });

  test("that does not arrive in time is rejected with 408", async () => {
    const server = createHttpServer({ now: Date.now, random: randomBytes });
    await once(server.listen(0, "127.0.0.1"), "listening");
    const address = server.address();
    const client = createConnection({
      port: typeof address === "object" ? (address?.port ?? 0) : 0,
      host: "127.0.0.1",
    });
    const [socket] = await once(server, "connection");
    const received: Buffer[] = [];
    client.on("data", (data) => received.push(data));
    server.emit("clientError", Object.assign(new Error("late"), { code: "ERR_HTTP_REQUEST_TIMEOUT" }), socket);
    await once(client, "end");
    client.destroy();
    const [answer] = readAnswers(Buffer.concat(received));
    expectProblem(answer ?? expect.unreachable(), { status: 408, code: "invalid_request" });
    await once(server.close(), "close");
  });
});

test("HEAD for a page responds like GET, without the body", async () => {
  for (const path of ["/device", new URL(page).pathname]) {
    const full = await only(get(path, "Host: localhost"));
    const head = await only(get(path, "Host: localhost").replace("GET", "HEAD"), { isHead: true });
    expect([full.status, head.status]).toEqual([200, 200]);
    for (const name of ["content-type", "content-length", "content-security-policy"]) {
      expect(head.headers[name]).toBe(full.headers[name]);
    }
  }
});

test("a thousand malformed requests each get a problem document or nothing, never a 500", async () => {
  const body = '{"licenses":1}';
  const whole = [
    get("/healthz", "Host: localhost"),
    get(new URL(page).pathname, "Host: localhost", "Accept: text/html"),
    get(
      `${BASE_PATH}/organizations/${made.id}/purchases?limit=2`,
      "Host: localhost",
      `Authorization: Bearer ${tokenOf(made.id)}`,
    ),
    post("/quotes", body, "Content-Type: application/json", `Content-Length: ${body.length}`),
    post("/quotes", `e\r\n${body}\r\n0\r\n\r\n`, "Content-Type: application/json", "Transfer-Encoding: chunked"),
  ];
  let seed = 7;
  const below = (limit: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor((seed / 2 ** 31) * limit);
  };
  const broken = () => {
    const bytes = Buffer.from(whole[below(whole.length)] ?? "");
    for (let changes = 1 + below(4); changes > 0; changes -= 1) {
      bytes[below(bytes.length)] = below(3) === 0 ? below(256) : 32 + below(95);
    }
    return bytes.subarray(0, below(5) === 0 ? below(bytes.length) : bytes.length);
  };
  const few = pLimit(20);
  const requests = Array.from({ length: 1_000 }, broken);
  const answers = await Promise.all(requests.map((bytes) => few(() => sendRaw(port, bytes, { end: true }))));
  const statuses = new Map<number, number>();
  for (const [index, bytes] of answers.entries()) {
    for (const { status, headers, body: text } of readAnswers(
      bytes,
      requests[index]?.subarray(0, 4).toString() === "HEAD",
    )) {
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      const type = headers["content-type"] ?? "";
      if (status >= 400 && !type.startsWith("text/html")) {
        expect(type).toContain("application/problem+json");
        expect(JSON.parse(text)).toMatchObject({ status, code: expect.any(String) });
      }
    }
  }
  expect([...statuses.keys()].filter((status) => status >= 500)).toEqual([]);
  expect(statuses.get(400)).toBeGreaterThan(300);
  expect(log).toEqual([]);
  expect((await only(get("/healthz", "Host: localhost"))).status).toBe(200);
});
