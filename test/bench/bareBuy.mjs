// What `buy 1 --yes --json` is measured against: the same three requests with undici, the last answer printed as it comes.
import { request } from "undici";

const { API_URL, API_TOKEN, ORGANIZATION } = process.env;

async function send(path, body, headers) {
  const answer = await request(`${API_URL}/organizations/${ORGANIZATION}/${path}`, {
    method: body ? "POST" : "GET",
    headers: { authorization: `Bearer ${API_TOKEN}`, "content-type": "application/json", ...headers },
    body: body && JSON.stringify(body),
  });
  if (answer.statusCode >= 300) throw new Error(`${path}: ${answer.statusCode} ${await answer.body.text()}`);
  return answer.body.json();
}

await send("subscription");
const { id: quoteId } = await send("quotes", { licenses: 1 });
const purchase = await send("purchases", { quoteId }, { "idempotency-key": crypto.randomUUID() });
process.stdout.write(`${JSON.stringify(purchase)}\n`);
