/** The approval page did not come to the step that was expected. */
class DevicePageError extends Error {
  override readonly name = "DevicePageError";
}

/** Who signs in on the page. */
export interface Person {
  readonly email: string;
  readonly password: string;
  /** Asked only of a user with a one-time code. */
  readonly code?: string;
}

/**
 * Does what a person does on the approval page of a sign-in by browser, by plain POSTs of its forms (RFC 8628).
 *
 * @param accepted the organizations whose invitations are checked
 */
export async function decideOnPage(
  url: string,
  person: Person,
  action: "approve" | "deny",
  accepted: readonly number[] = [],
): Promise<void> {
  const shown = await fetch(url);
  const cookie = shown.headers.getSetCookie()[0]?.split(";")[0] ?? "";
  let html = await shown.text();
  const send = async (typed: Record<string, string>) => {
    const body = new URLSearchParams({ ...fieldsOf(html), ...typed });
    html = await (await fetch(url, { method: "POST", headers: { cookie }, body })).text();
  };
  await send({ email: person.email, password: person.password });
  if (person.code !== undefined) await send({ code: person.code });
  await send({ action, ...Object.fromEntries(accepted.map((id) => [`accept_${id}`, "on"])) });
  const title = /<h1>(.*?)<\/h1>/.exec(html)?.[1];
  if (title !== (action === "approve" ? "You are signed in" : "Denied")) throw new DevicePageError(html);
}

/** What a form carries without showing it, and what it shows filled in. */
function fieldsOf(html: string): Record<string, string> {
  const inputs = [...html.matchAll(/<input (?:"[^"]*"|[^">])*>/g)].map(([input]) => [
    /\bname="([^"]*)"/.exec(input)?.[1] ?? "",
    /\bvalue="([^"]*)"/.exec(input)?.[1] ?? "",
  ]);
  return Object.fromEntries(inputs);
}
