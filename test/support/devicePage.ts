/** The approval page is not at the expected step. */
class DevicePageError extends Error {
  override readonly name = "DevicePageError";
}

/** Who signs in on the page. */
export interface Person {
  readonly email: string;
  readonly password: string;
  /** Only for a user with one-time codes. */
  readonly code?: string;
}

/**
 * Acts on the approval page of a browser sign-in (RFC 8628) like a person, with plain POSTs of its forms.
 *
 * @param accepted the organizations whose invitations to accept
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

/** Reads the hidden and prefilled fields of a form. */
function fieldsOf(html: string): Record<string, string> {
  const inputs = [...html.matchAll(/<input (?:"[^"]*"|[^">])*>/g)].map(([input]) => [
    /\bname="([^"]*)"/.exec(input)?.[1] ?? "",
    /\bvalue="([^"]*)"/.exec(input)?.[1] ?? "",
  ]);
  return Object.fromEntries(inputs);
}
