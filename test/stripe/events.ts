import { randomInt } from "node:crypto";
import Stripe from "stripe";
import type { Store } from "./store.ts";
import { newId, type World } from "./world.ts";

/** Where events are sent, and how. */
export interface WebhookSettings {
  /** Each event is sent to one of them, in turn. */
  readonly urls: readonly string[];
  /** `off` sends nothing, `held` nothing before `release`. At once by default. */
  readonly mode?: "immediate" | "held" | "off";
  /** How often each is sent; once by default. */
  readonly copies?: number;
  /** Events wait so long at most, each another time, milliseconds: they arrive in another order. */
  readonly spread?: number;
}

/** Under which note the settings are. */
export const WEBHOOKS = ["webhooks", "settings"] as const;

/** Records that something happened to an object, and prepares to send it. Returns the object. */
export function emit<Stored extends { id: string }>(
  { store, now, isLive }: World,
  type: string,
  object: Stored,
  previous?: object,
): Stored {
  const settings = store.note<WebhookSettings>(...WEBHOOKS) ?? { urls: [] };
  const {
    mode = "immediate",
    copies = 1,
    spread = 0,
  } = settings.urls.length === 0 ? ({ mode: "off" } as const) : settings;
  const event = store.put({
    id: newId("evt"),
    object: "event",
    api_version: Stripe.API_VERSION,
    created: now(),
    data: { object, ...(previous && { previous_attributes: previous }) },
    livemode: isLive,
    pending_webhooks: mode === "off" ? 0 : copies,
    request: { id: null, idempotency_key: null },
    type,
  });
  for (let copy = 0; mode !== "off" && copy < copies; copy += 1) {
    store.addDelivery(event.id, mode === "held" ? null : Date.now() + randomInt(spread + 1));
  }
  return object;
}

/** Sends what is held, now. */
export function release(store: Store, order: "as_made" | "shuffled"): void {
  const [now, held] = [Date.now(), store.deliveries({ dueOnly: false }).filter(isHeld)];
  store.transaction(() => {
    for (const [index, delivery] of held.entries()) {
      store.updateDelivery({ ...delivery, due: now + (order === "shuffled" ? randomInt(held.length + 1) : index) });
    }
  });
}

function isHeld({ due, tries }: { due: number | null; tries: number }): boolean {
  return due === null && tries === 0;
}
