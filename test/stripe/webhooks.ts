import Stripe from "stripe";
import { WEBHOOKS, type WebhookSettings } from "./events.ts";
import type { Delivery, Store } from "./store.ts";

/** How often an event is sent until it is answered with 2xx. */
const MAX_TRIES = 8;

/** How many are sent at once. */
const MAX_AT_ONCE = 8;

const TIMEOUT_MS = 10_000;

/** Sends events that are due, signed, until they are answered with 2xx. */
export class Webhooks {
  readonly #store: Store;
  readonly #secret: string;
  readonly #sending = new Set<number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(store: Store, secret: string) {
    this.#store = store;
    this.#secret = secret;
  }

  /** Sends what is due, and comes back for what will be. Called after whatever may have made events. */
  send(): void {
    clearTimeout(this.#timer);
    for (const delivery of this.#store.deliveries({ dueOnly: true })) {
      const wait = (delivery.due ?? 0) - Date.now();
      if (wait > 0) {
        this.#timer = setTimeout(() => this.send(), wait);
        return;
      }
      if (this.#sending.size >= MAX_AT_ONCE) return;
      if (!this.#sending.has(delivery.number)) void this.#deliver(delivery);
    }
  }

  async #deliver(delivery: Delivery): Promise<void> {
    this.#sending.add(delivery.number);
    const status = await this.#post(delivery);
    const tries = delivery.tries + 1;
    const isOver = (status >= 200 && status < 300) || tries >= MAX_TRIES;
    const due = isOver ? null : Date.now() + 100 * 2 ** tries;
    this.#store.updateDelivery({ ...delivery, status, tries, due });
    this.#sending.delete(delivery.number);
    this.send();
  }

  /** Returns the status of the answer, 0 without one. */
  async #post({ number, event, tries }: Delivery): Promise<number> {
    const { urls } = this.#store.note<WebhookSettings>(...WEBHOOKS) ?? { urls: [] };
    const url = urls[(number + tries) % urls.length];
    if (url === undefined) return 0;
    const payload = JSON.stringify(this.#store.get("event", event), null, 2);
    try {
      const answer = await fetch(url, {
        method: "POST",
        headers: {
          "Content-Type": "application/json; charset=utf-8",
          "Stripe-Signature": Stripe.webhooks.generateTestHeaderString({ payload, secret: this.#secret }),
        },
        body: payload,
        redirect: "manual",
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      await answer.arrayBuffer();
      return answer.status;
    } catch {
      return 0;
    }
  }
}
