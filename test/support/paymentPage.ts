/** The page is not what a scripted client may count on. */
class PageError extends Error {
  override readonly name = "PageError";
}

/** A page as it came. */
export interface Page {
  readonly status: number;
  readonly html: string;
}

const HIDDEN = /<input type="hidden" name="([^"]*)" value="([^"]*)"/g;

/** Looks at a payment page, which changes nothing. */
async function viewPage(url: string): Promise<Page> {
  const response = await fetch(url, { redirect: "manual" });
  return { status: response.status, html: await response.text() };
}

/** The hidden fields of the page's form, names before values. */
export function hiddenFields({ status, html }: Page): Record<string, string> {
  if (status !== 200) throw new PageError(`The payment page answered ${status}: ${html}`);
  const fields = [...html.matchAll(HIDDEN)].map(([, name, value = ""]) => [name, unescaped(value)]);
  return Object.fromEntries(fields);
}

/**
 * Does what a person does on a payment page, by a plain POST of its form.
 *
 * @param card the card chosen; the stored method where it is left out
 */
export async function actOnPage(url: string, action: "pay" | "cancel", card?: string): Promise<Page> {
  const fields = hiddenFields(await viewPage(url));
  const response = await fetch(url, {
    method: "POST",
    redirect: "manual",
    body: new URLSearchParams({ ...fields, ...(card !== undefined && { card }), action }),
  });
  return { status: response.status, html: await response.text() };
}

function unescaped(text: string): string {
  return text
    .replaceAll("&quot;", '"')
    .replaceAll("&#39;", "'")
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&amp;", "&");
}
