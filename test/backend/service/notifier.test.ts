import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Notification } from "../../../src/backend/deps.ts";
import { sendNotifications } from "../../../src/backend/events/outbox.ts";
import { collectSettings } from "../../../src/backend/service/given.ts";
import { notifySettings, postNotifier } from "../../../src/backend/service/notifier.ts";
import { addMember } from "../../../src/backend/users/store.ts";
import { buy, NOON, organization, startBackend, type TestBackend } from "../support/backend.ts";

const KEY = Buffer.alloc(24, 7);
const SECRET = `whsec_${KEY.toString("base64")}`;

let backend: TestBackend;
const received: { headers: IncomingHttpHeaders; body: string }[] = [];
let answer: { status: number; location?: string } = { status: 204 };
const server = createServer(async (request, response) => {
  let body = "";
  for await (const chunk of request.setEncoding("utf8")) body += chunk;
  received.push({ headers: request.headers, body });
  response.writeHead(answer.status, answer.location ? { location: answer.location } : {}).end();
});
let url: string;
const made = organization({ name: "Northwind" });

const SAMPLE: Notification = {
  id: "not_1",
  type: "renewal.reminder",
  organizationId: made.id,
  purchaseId: null,
  to: null,
  text: "Your subscription renews tomorrow.",
  data: { renewalDate: "2027-03-01" },
};

beforeAll(async () => {
  backend = await startBackend("sqlite");
  await backend.addOrganization(made);
  const change = { actor: "test", at: NOON };
  const more = { firstName: "N", lastName: "N", adminNoTraining: true };
  await addMember(backend.deps.database, made.id, { ...more, uuid: "u", email: "new@example.com", role: 0 }, change);
  await once(server.listen(0, "127.0.0.1"), "listening");
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
});
afterAll(async () => {
  server.close();
  await backend.close();
});
beforeEach(() => {
  received.length = 0;
  answer = { status: 204 };
});

const notifier = () => postNotifier(backend.deps.database, { url, key: KEY }, backend.deps.now);

describe("notifications that are posted", () => {
  test("say whom to tell what, and carry a signature that Standard Webhooks accepts", async () => {
    backend.clocks.machine = Date.now();
    await notifier().deliver(SAMPLE);
    const [{ headers, body } = { headers: {}, body: "" }] = received;
    const signed = headers as Record<string, string>;
    expect(new Webhook(SECRET).verify(body, signed)).toEqual({
      type: "renewal.reminder",
      timestamp: new Date(backend.clocks.machine).toISOString(),
      data: {
        organization: { id: made.id, name: "Northwind" },
        purchaseId: null,
        // Not who was only invited.
        recipients: made.users.map(({ email }) => email),
        text: "Your subscription renews tomorrow.",
        facts: { renewalDate: "2027-03-01" },
      },
    });
    expect(signed).toMatchObject({ "webhook-id": "not_1", "content-type": "application/json" });
    expect(() => new Webhook(SECRET).verify(`${body} `, signed)).toThrow();
  });

  test("about a purchase go to its buyer alone", async () => {
    await notifier().deliver({ ...SAMPLE, purchaseId: "pur_1", to: "ada@example.com" });
    expect(JSON.parse(received[0]?.body ?? "")).toMatchObject({
      data: { purchaseId: "pur_1", recipients: ["ada@example.com"] },
    });
  });

  test.each([{ status: 500 }, { status: 302, location: "/elsewhere" }, { status: 404 }])(
    "are not taken for sent after %o, and are sent again under the same ID",
    async (failure) => {
      answer = failure;
      expect((await buy(backend, made.id, 1, `key-${failure.status}`)).status).toBe(201);
      const deps = { ...backend.deps, notifier: notifier() };
      await sendNotifications(deps, { jobs: 1, limit: 10 });
      answer = { status: 200 };
      backend.clocks.machine += 61_000;
      await sendNotifications(deps, { jobs: 1, limit: 10 });
      backend.clocks.machine += 61_000;
      await sendNotifications(deps, { jobs: 1, limit: 10 });
      expect(received.map(({ headers }) => headers["webhook-id"])).toHaveLength(2);
      expect(new Set(received.map(({ headers }) => headers["webhook-id"])).size).toBe(1);
    },
  );

  test("fail when nobody listens", async () => {
    const nowhere = postNotifier(backend.deps.database, { url: "http://127.0.0.1:1/", key: KEY }, backend.deps.now);
    await expect(nowhere.deliver(SAMPLE)).rejects.toThrow();
  });
});

describe("where notifications are posted", () => {
  const read = (notifyUrl: string | undefined, secret?: string) =>
    collectSettings(
      { flags: { "notify-url": notifyUrl }, env: { SECUREFLAG_NOTIFY_SECRET: secret } },
      notifySettings,
    ).catch(({ message }) => message);

  test.each(["https://mail.example.com/hook", "http://127.0.0.1:8025/", "http://localhost/"])(
    "can be %s",
    async (to) => {
      expect(await read(to, SECRET)).toEqual({ url: to, key: KEY });
      expect(await read(to, KEY.toString("base64"))).toEqual({ url: to, key: KEY });
    },
  );

  test("is the log if nothing is set", async () => {
    expect(await read(undefined)).toBeNull();
  });

  const together = /^--notify-url .* must be set together$/;
  const https = "--notify-url must be an https URL, or one on this machine";
  const size = "SECUREFLAG_NOTIFY_SECRET must be 24 to 64 bytes in base64";
  test.each([
    ["https://mail.example.com", undefined, together],
    [undefined, SECRET, together],
    ["http://mail.example.com", SECRET, https],
    ["mail.example.com", SECRET, https],
    ["ftp://127.0.0.1", SECRET, https],
    ["https://user:word@mail.example.com", SECRET, "--notify-url cannot contain a user or password"],
    ["https://mail.example.com", "whsec_AAAA", size],
    ["https://mail.example.com", "not base64 at all, however long it may be", size],
    ["https://mail.example.com", Buffer.alloc(65).toString("base64"), size],
  ])("%s with %s is refused", async (to, secret, message) => {
    expect(await read(to, secret)).toEqual(message instanceof RegExp ? expect.stringMatching(message) : message);
  });
});
