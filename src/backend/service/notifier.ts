import { createHmac } from "node:crypto";
import type { Kysely } from "kysely";
import type { Database } from "../database/schema.ts";
import type { Notification, Notifier } from "../deps.ts";
import { BackendError } from "../errors.ts";
import { isLoopbackAuthority } from "../http/server.ts";
import { administratorsOf } from "../identity/administrators.ts";
import type { SettingsReader } from "./given.ts";
import type { Log } from "./log.ts";

/** Where notifications are posted, and the key that signs them. */
export interface NotifySettings {
  readonly url: string;
  readonly key: Buffer;
}

/** The sizes of a key that Standard Webhooks allows, bytes. */
const [MIN_KEY_BYTES, MAX_KEY_BYTES] = [24, 64];

/** Reads where to post notifications; `null` to write them to the log. */
export async function notifySettings(reader: SettingsReader): Promise<NotifySettings | null> {
  const url = await reader.variable("NOTIFY_URL", "notify-url");
  const secret = await reader.variable("NOTIFY_SECRET");
  if (url === null && secret === null) return null;
  if (url === null || secret === null) {
    reader.refuse("--notify-url (or SECUREFLAG_NOTIFY_URL) and SECUREFLAG_NOTIFY_SECRET must be set together");
    return null;
  }
  const address = URL.canParse(url) ? new URL(url) : null;
  if (address?.protocol !== "https:" && !(address?.protocol === "http:" && isLoopbackAuthority(address.host))) {
    reader.refuse("--notify-url must be an https URL, or one on this machine");
  } else if (address.username !== "" || address.password !== "") {
    reader.refuse("--notify-url cannot contain a user or password");
  }
  const encoded = secret.replace(/^whsec_/, "");
  const key = Buffer.from(encoded, "base64");
  const isBase64 = /^[A-Za-z0-9+/]+={0,2}$/.test(encoded);
  if (!isBase64 || key.length < MIN_KEY_BYTES || key.length > MAX_KEY_BYTES) {
    reader.refuse(`SECUREFLAG_NOTIFY_SECRET must be ${MIN_KEY_BYTES} to ${MAX_KEY_BYTES} bytes in base64`);
  }
  return { url, key };
}

/** Writes notifications to the log, without the person's email. */
export function logNotifier(log: Log): Notifier {
  return {
    async deliver({ type, organizationId, purchaseId, text }) {
      const msg = text === undefined ? `notification ${type}` : `notification ${type}: ${text}`;
      log({ level: "info", msg, organizationId, purchaseId: purchaseId ?? undefined });
    },
  };
}

/** How long the receiver may take, milliseconds: what a worker begins ends within its claim. */
const TIMEOUT_MS = 10_000;

/**
 * Posts notifications, signed as Standard Webhooks says (https://www.standardwebhooks.com); src/backend/service/README.md,
 * Notifications, has the body. Any answer but 2xx is an error, and the notification is sent again later.
 *
 * @param now the machine's clock, milliseconds
 */
export function postNotifier(database: Kysely<Database>, { url, key }: NotifySettings, now: () => number): Notifier {
  return {
    async deliver(notification) {
      const at = now();
      const seconds = String(Math.floor(at / 1_000));
      const body = JSON.stringify(await bodyOf(database, notification, at));
      const signed = createHmac("sha256", key).update(`${notification.id}.${seconds}.${body}`).digest("base64");
      const response = await fetch(url, {
        method: "POST",
        body,
        headers: {
          "content-type": "application/json",
          "webhook-id": notification.id,
          "webhook-timestamp": seconds,
          "webhook-signature": `v1,${signed}`,
        },
        redirect: "manual",
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      await response.body?.cancel();
      if (!response.ok)
        throw new BackendError("unavailable", `The receiver of notifications answered with ${response.status}`);
    },
  };
}

async function bodyOf(database: Kysely<Database>, notification: Notification, at: number) {
  const { type, organizationId, purchaseId, to, text, data } = notification;
  const { name } = await database
    .selectFrom("organizations")
    .select("name")
    .where("id", "=", organizationId)
    .executeTakeFirstOrThrow();
  const organization = { id: organizationId, name };
  const administrators = to === null ? await administratorsOf(database, organizationId) : [];
  const recipients = to === null ? administrators.map(({ email }) => email) : [to];
  const timestamp = new Date(at).toISOString();
  return { type, timestamp, data: { organization, purchaseId, recipients, text: text ?? null, facts: data ?? {} } };
}
