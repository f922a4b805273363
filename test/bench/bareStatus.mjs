// What `status --json` is measured against: the same GET with undici, printed as it comes.
import { request } from "undici";

const { API_URL, API_TOKEN, ORGANIZATION } = process.env;
const { body } = await request(`${API_URL}/organizations/${ORGANIZATION}/subscription`, {
  headers: { authorization: `Bearer ${API_TOKEN}` },
});
process.stdout.write(`${await body.text()}\n`);
