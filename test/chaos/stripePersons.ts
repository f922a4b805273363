import { actOnPage, elsewhereOf, type Page, viewPage } from "../support/paymentPage.ts";
import { type Paying, pageAt, type Route } from "./serviceOrders.ts";

/** How a person goes on: pays, says no to their bank, or cancels the purchase. */
export type Mood = "pay" | "refuse" | "cancel";

/** A person who pays through Stripe. */
export interface Person {
  /** The test payment method to enter where a card is asked for. */
  card(): string;
  mood(): Mood;
}

/** Whoever pays at once. */
const WILLING: Person = { card: () => "pm_card_visa", mood: () => "pay" };

/** Takes the next step on a payment page of any instance, at the bank, or on the stand-in's page that asks for a card. */
export function payAs({ card, mood }: Person = WILLING): Paying {
  return async (link, route, tally) => {
    const page = pageAt(link, route);
    try {
      const { status } = await takeStep(page.href, route, { mood: mood(), card: card() });
      tally.clicks += 1;
      tally.expect(status !== 500, `${page.pathname} answered ${status}`);
    } catch {
      // The instance or the stand-in is away, or it is paid already: the purchase is read again.
    }
  };
}

interface Choice {
  readonly mood: Mood;
  readonly card: string;
}

async function takeStep(page: string, route: Route, { mood, card }: Choice): Promise<Pick<Page, "status">> {
  if (mood === "cancel") return actOnPage(page, "cancel");
  const shown = await viewPage(page);
  const elsewhere = elsewhereOf(shown);
  if (elsewhere === null) return actOnPage(page, shown.html.includes('value="pay"') ? "pay" : "enter_card");
  const isBank = new URL(elsewhere).pathname.startsWith("/authenticate/");
  const back = isBank
    ? await submit(elsewhere, { action: mood === "refuse" ? "fail" : "approve" })
    : ((await submit(elsewhere, { action: "save", card })) ?? (await submit(elsewhere, { action: "approve", card })));
  return back === null ? shown : viewPage(pageAt(back, route).href);
}

/** Submits a form of the stand-in. Returns where that leads; `null` for another form. */
async function submit(url: string, fields: Record<string, string>): Promise<string | null> {
  const answer = await fetch(url, { method: "POST", redirect: "manual", body: new URLSearchParams(fields) });
  await answer.arrayBuffer();
  return answer.headers.get("location");
}
