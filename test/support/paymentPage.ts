import { waitFor } from "./wait.ts";

/** The page breaks what scripts rely on (src/backend/README.md, Pages). */
class PageError extends Error {
  override readonly name = "PageError";
}

/** The answer with a page. */
export interface Page {
  readonly status: number;
  readonly html: string;
}

const HIDDEN = /<input type="hidden" name="([^"]*)" value="([^"]*)"/g;

/** Loads a payment page, which changes nothing. */
export async function viewPage(url: string): Promise<Page> {
  const response = await fetch(url, { redirect: "manual" });
  return { status: response.status, html: await response.text() };
}

/** Reads the hidden fields of the page's form, whose names precede their values (src/backend/README.md, Pages). */
export function hiddenFields({ status, html }: Page): Record<string, string> {
  if (status !== 200) throw new PageError(`The payment page answered ${status}: ${html}`);
  const fields = [...html.matchAll(HIDDEN)].map(([, name, value = ""]) => [name, unescaped(value)]);
  return Object.fromEntries(fields);
}

/** Where a person goes on with the payment, on a page of their bank or of the provider; `null` if nowhere. */
export function elsewhereOf({ html }: Page): string | null {
  const [, address = null] = /<a class="button" href="([^"]*)"/.exec(html) ?? [];
  return address && unescaped(address);
}

/**
 * Acts on a payment page like a person, with a plain POST of its form.
 *
 * @param card the chosen card; the stored method by default
 */
export async function actOnPage(
  url: string,
  action: "pay" | "enter_card" | "cancel" | "keep_card" | "save",
  card?: string,
): Promise<Page> {
  const fields = hiddenFields(await viewPage(url));
  const response = await fetch(url, {
    method: "POST",
    redirect: "manual",
    body: new URLSearchParams({ ...fields, ...(card !== undefined && { card }), action }),
  });
  return { status: response.status, html: await response.text() };
}

/** The links that the buttons lead to. */
const LINKS = {
  pay: /<a class="button" href="([^"]*)">Approve at your bank</,
  enter_card: /<a class="button" href="([^"]*)">Enter the card</,
} as const;

/** Presses a button that leads on to a page of the provider or of the bank. Returns the address of that page. */
export async function goElsewhere(url: string, action: "pay" | "enter_card"): Promise<string> {
  const answer = await actOnPage(url, action);
  const page = answer.status === 303 ? await viewPage(url) : answer;
  const [, link] = LINKS[action].exec(page.html) ?? [];
  if (link === undefined) throw new PageError(`The payment page leads nowhere (${page.status}): ${page.html}`);
  return unescaped(link);
}

/**
 * Answers a page of the provider or of the bank.
 *
 * @param fields its form, such as the name of a card
 * @returns our page, where the browser is sent back to, refreshed while the payment is being processed
 */
export async function answerElsewhere(page: string, fields: Record<string, string>): Promise<Page> {
  const response = await fetch(page, { method: "POST", redirect: "manual", body: new URLSearchParams(fields) });
  const back = response.headers.get("location");
  if (back === null) throw new PageError(`No way back (${response.status}): ${await response.text()}`);
  let shown = await viewPage(back);
  await waitFor(
    async () => {
      if (!shown.html.includes("The payment is being processed")) return true;
      shown = await viewPage(back);
      return false;
    },
    60_000,
    () => "the payment to be processed",
  );
  return shown;
}

function unescaped(text: string): string {
  return text
    .replaceAll("&quot;", '"')
    .replaceAll("&#39;", "'")
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&amp;", "&");
}
