import { randomBytes } from "node:crypto";
import { EventEmitter } from "node:events";
import type { FastifyInstance } from "fastify";
import { buildApp } from "../../../src/backend/app.ts";
import { openSqlite } from "../../../src/backend/database/sqlite.ts";
import type { BackendDeps, Notification } from "../../../src/backend/deps.ts";
import { describeError } from "../../../src/backend/errors.ts";
import { secretBox } from "../../../src/backend/identity/secretBox.ts";
import { type Passwords, passwords } from "../../../src/backend/identity/secrets.ts";
import { SANDBOX_SELLER } from "../../../src/backend/payments/cards.ts";
import { type Capture, type CapturePage, sandboxGateway } from "../../../src/backend/payments/sandboxGateway.ts";
import { mailbox } from "../../../src/backend/sandbox/server.ts";
import { seedRows } from "../../../src/backend/seeding/seedRows.ts";
import { seedStore } from "../../../src/backend/seeding/store.ts";
import { BASE_PATH, SCOPES } from "../../../src/contract/constants.ts";
import { EXPORT_MEDIA_TYPE } from "../../../src/contract/events.ts";
import {
  NOW,
  type SeedChanges,
  type SeedOrganization,
  organization as seedOrganization,
  token,
  user,
} from "../../support/seed.ts";
import { DIALECTS, openTestStore, type StoreKind } from "./stores.ts";

/** The purchase instant of the first worked figure (src/billing/README.md, Proration). */
export const NOON = Date.parse(NOW);

/** A backend in this process, with clocks that a test sets and crash points that it arms. */
export interface TestBackend {
  readonly deps: BackendDeps;
  readonly app: FastifyInstance;
  readonly clocks: { billing: number; machine: number };
  readonly log: string[];
  captures(): Capture[];
  delivered(): Notification[];
  /** Makes the code throw the next time it reaches this point, as if the process had crashed. */
  crashAt(point: string | null): void;
  /** Puts buying on hold, or releases it. */
  hold(isHeld: boolean): void;
  addOrganization(organization: SeedOrganization): Promise<void>;
  close(): Promise<void>;
}

/** Thrown at an armed crash point. */
export class SimulatedCrash extends Error {}

/** Starts a backend on an empty store of its own. Tests that are not about passwords pass a fast `hashing`. */
export async function startBackend(
  dialect: StoreKind = DIALECTS[0],
  hashing: Passwords = passwords(randomBytes),
  onStatement?: (text: string) => void,
  more: { connections?: number } = {},
): Promise<TestBackend> {
  const store = await openTestStore(dialect, onStatement, more);
  const outside = await openSqlite(":memory:");
  const clocks = { billing: NOON, machine: NOON };
  const log: string[] = [];
  let armed: string | null = null;
  let held = false;
  const reach = (point: string) => {
    if (point !== armed) return;
    armed = null;
    throw new SimulatedCrash(point);
  };
  const clock = { now: () => clocks.billing };
  const gateway = sandboxGateway(outside, { clock, now: () => clocks.machine, random: randomBytes });
  const mail = mailbox(outside);
  const deps: BackendDeps = {
    database: store.database,
    gateway,
    seller: SANDBOX_SELLER,
    notifier: mail,
    clock,
    now: () => clocks.machine,
    random: randomBytes,
    reach,
    changes: new EventEmitter(),
    log: (line, error) => log.push(error === undefined ? line : `${line}: ${describeError(error)}`),
    pageOrigin: (host) => `http://${host}`,
    pageKey: randomBytes(32),
    secrets: secretBox([randomBytes(32)], randomBytes),
    issuersAt: "loopback",
    version: "0.0.0",
    licenseLimit: 10_000,
    renewalGraceDays: 14,
    isHeld: () => held,
  };
  const app = buildApp(deps, {
    signIn: { passwords: hashing, passwordHashOf: async (user) => user.password_hash },
  });
  return {
    deps,
    app,
    clocks,
    log,
    captures() {
      const captures: Capture[] = [];
      for (let after: number | null = 0; after !== null; ) {
        const page: CapturePage = gateway.captures(after);
        captures.push(...page.captures);
        after = page.next;
      }
      return captures;
    },
    delivered: mail.delivered,
    crashAt(point) {
      armed = point;
    },
    hold(isHeld) {
      held = isHeld;
    },
    async addOrganization(organization) {
      await seedStore(store.database, [seedRows(organization, clocks.billing, randomBytes)], {}, deps.secrets);
    },
    async close() {
      await app.close();
      await store.close();
      outside.close();
    },
  };
}

let numbers = 5000;

/** Builds an organization like the built-in seed's, with an ID, an administrator and a token of its own. */
export function organization(changes: SeedChanges = {}): SeedOrganization {
  numbers += 1;
  const id = changes.id ?? numbers;
  const email = `admin@organization-${id}.test`;
  return seedOrganization(id, {
    name: `Organization ${id}`,
    users: [user({ email })],
    tokens: [token(id, { token: tokenOf(id), scopes: [...SCOPES], userEmail: email })],
    ...changes,
  });
}

/** The API token of an organization made by `organization`. */
export function tokenOf(id: number): string {
  return `sfl_test_${id}`;
}

/** Sends a request to a backend without a network, and parses the answer as JSON. */
export async function call(
  backend: Pick<TestBackend, "app">,
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE",
  path: string,
  options: {
    token?: string | null;
    body?: unknown;
    headers?: Record<string, string>;
    atRoot?: boolean;
    /** The address of the client. */
    address?: string;
  } = {},
) {
  const response = await backend.app.inject({
    method,
    url: (options.atRoot ? "" : BASE_PATH) + path,
    ...(options.address && { remoteAddress: options.address }),
    headers: {
      ...(options.token && { authorization: `Bearer ${options.token}` }),
      ...(options.body !== undefined && { "content-type": "application/json" }),
      ...options.headers,
    },
    ...(options.body !== undefined && {
      payload: typeof options.body === "string" ? options.body : JSON.stringify(options.body),
    }),
  });
  const isLines = response.headers["content-type"] === EXPORT_MEDIA_TYPE;
  const body = response.body === "" ? null : isLines ? linesOf(response.body) : JSON.parse(response.body);
  return { status: response.statusCode, headers: response.headers, body };
}

function linesOf(text: string): unknown[] {
  return text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
}

/** Quotes and buys over HTTP. Returns the answer to the purchase. */
export async function buy(
  backend: Pick<TestBackend, "app">,
  organizationId: number,
  licenses: number,
  key: string,
  more: { token?: string; purchaseOrder?: string; note?: string } = {},
) {
  const { token = tokenOf(organizationId), ...order } = more;
  const quote = await call(backend, "POST", `/organizations/${organizationId}/quotes`, { token, body: { licenses } });
  if (quote.status !== 201) return quote;
  return submit(backend, organizationId, { quoteId: quote.body.id, ...order }, key, token);
}

/** Submits an order over HTTP. */
export async function submit(
  backend: Pick<TestBackend, "app">,
  organizationId: number,
  order: { quoteId: string; purchaseOrder?: string; note?: string },
  key: string,
  token: string = tokenOf(organizationId),
) {
  return call(backend, "POST", `/organizations/${organizationId}/purchases`, {
    token,
    body: order,
    headers: { "idempotency-key": key },
  });
}
