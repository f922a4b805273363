import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from "node:net";
import type { ClientOptions } from "../../src/client/call.ts";
import { type Client, createClient } from "../../src/client/client.ts";
import type { Purchase, PurchaseAnswer, Quote, Subscription } from "../../src/contract/billing.ts";

/** A request as the test backend saw it. */
interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/** One scripted answer: a status with a JSON body, or anything done to the response by hand. */
export type Answer =
  | { readonly status: number; readonly json?: unknown; readonly headers?: Record<string, string> }
  | ((response: ServerResponse, request: IncomingMessage) => void);

/** A backend on loopback that answers by a script, in order, and keeps what it was asked. */
export interface TestBackend extends AsyncDisposable {
  readonly apiUrl: string;
  readonly seen: SeenRequest[];
}

/** Starts a backend. Asking for more than the script has gets 418, which no test expects. */
export async function startBackend(...script: Answer[]): Promise<TestBackend> {
  const seen: SeenRequest[] = [];
  const left = [...script];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const { method = "", url = "", headers } = request;
    seen.push({ method, url, headers, body: Buffer.concat(chunks).toString() });
    const answer = left.shift() ?? { status: 418, json: {} };
    if (typeof answer === "function") return answer(response, request);
    respond(response, answer.status, answer.json, answer.headers);
  });
  const port = await listen(server);
  return {
    apiUrl: `http://127.0.0.1:${port}/rest/management/v2`,
    seen,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}

/** Starts a server below HTTP, which does to every connection what it is told. */
export async function startTcp(onSocket: (socket: Socket) => void): Promise<{ apiUrl: string } & AsyncDisposable> {
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    onSocket(socket);
  });
  const port = await listen(server);
  return {
    apiUrl: `http://127.0.0.1:${port}/rest/management/v2`,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((done) => server.close(done));
    },
  };
}

/** A port that refuses connections. */
export async function refusedUrl(): Promise<string> {
  const server = createTcpServer();
  const port = await listen(server);
  await new Promise((done) => server.close(done));
  return `http://127.0.0.1:${port}/rest/management/v2`;
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return (server.address() as AddressInfo).port;
}

/** Answers with JSON, as a problem from status 400 on. */
export function respond(response: ServerResponse, status: number, json?: unknown, headers = {}): void {
  const type = status >= 400 ? "application/problem+json" : "application/json";
  response.writeHead(status, { "content-type": type, "x-request-id": "req_1", ...headers });
  response.end(json === undefined ? undefined : JSON.stringify(json));
}

/** A scripted problem. */
export function problem(status: number, code: string, more: object = {}, headers: Record<string, string> = {}): Answer {
  return { status, json: { code, detail: `It is ${code}`, ...more }, headers };
}

/** A page of HTML, as a gateway in between would send it. */
export function html(status: number): Answer {
  return { status, headers: { "content-type": "text/html" } };
}

/** Cuts the connection after the request was read. */
export const hangUp: Answer = (response) => response.destroy();

/** A client whose waits take no time, with a record of them. */
export interface TestClient {
  readonly client: Client;
  readonly waits: number[];
  readonly lines: string[];
  readonly reached: string[];
}

/** Makes a client with a token and without jitter. */
export function testClient(apiUrl: string, more: Partial<ClientOptions> = {}): TestClient {
  const waits: number[] = [];
  const lines: string[] = [];
  const reached: string[] = [];
  const client = createClient({
    apiUrl,
    accessToken: async () => "sfl_secret",
    timeoutMs: 5_000,
    env: {},
    now: () => performance.now(),
    sleep: async (ms) => void waits.push(ms),
    random: () => 0.5,
    trace: (line) => lines.push(line),
    reach: (point) => reached.push(point),
    userAgent: "secureflag-licenses/test",
    ...more,
  });
  return { client, waits, lines, reached };
}

const gbp = (amount: number) => ({ amount, currency: "GBP" });

const term = { start: "2026-03-01", renewalDate: "2027-03-01", days: 365, daysRemaining: 99 };

export const subscription: Subscription = {
  organization: { id: 4201, name: "Northwind Labs", timeZone: "Europe/London" },
  plan: { name: "SMB", interval: "year", intervalCount: 1, unitPrice: gbp(15_000) },
  idle: { days: 90, licenses: 0 },
  state: "active",
  licenses: { purchased: 25, used: 22, available: 3 },
  term,
  renewal: { autoRenew: true, licenses: 25, subtotal: gbp(375_000), tax: gbp(75_000), total: gbp(450_000) },
  paymentMethod: { type: "card", label: "Visa 4242" },
  taxRate: "20",
  pending: { purchases: 0, licenses: 0 },
  reduction: null,
  unpaid: null,
  budget: null,
  version: 7,
  asOf: "2026-11-22T10:00:00Z",
};

export const quote: Quote = {
  id: "quo_1",
  licenses: 5,
  unitPrice: gbp(15_000),
  purchaseDate: "2026-11-22",
  term,
  dueNow: gbp(20_342),
  taxRate: "20",
  tax: gbp(4_068),
  total: gbp(24_410),
  licensesAfter: 30,
  renewsAt: null,
  subscriptionVersion: 7,
  createdAt: "2026-11-22T10:00:00Z",
  expiresAt: "2026-11-22T10:30:00Z",
};

export const purchase: Purchase = {
  id: "pur_1",
  kind: "purchase",
  status: "succeeded",
  licenses: 5,
  dueNow: gbp(20_342),
  tax: gbp(4_068),
  total: gbp(24_410),
  quoteId: "quo_1",
  idempotencyKey: "key-1",
  createdAt: "2026-11-22T10:00:01Z",
  completedAt: "2026-11-22T10:00:02Z",
  purchaseOrder: null,
  note: null,
  receiptNumber: "R-1",
  failure: null,
  nextAction: null,
  purchasedBy: { email: "admin@northwind.example", token: "ci" },
};

export const purchaseAnswer: PurchaseAnswer = {
  ...purchase,
  organizationLicenses: { purchased: 30, used: 22, available: 8 },
};

export const declined: PurchaseAnswer = {
  ...purchaseAnswer,
  status: "failed",
  receiptNumber: null,
  failure: { code: "card_declined", message: "The card was declined" },
};
