/** A stand-in for Stripe: `npm run stripe-stand-in -- --port 0 --data <directory> [--live] [--json]`. */
import { mkdir } from "node:fs/promises";
import { parseArgs } from "node:util";
import { serve } from "./server.ts";

const { values } = parseArgs({
  options: {
    port: { type: "string", default: "12111" },
    data: { type: "string" },
    live: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});
if (values.data === undefined) throw new TypeError("--data <directory> is required");
await mkdir(values.data, { recursive: true });
// What was started by a test ends with it.
process.on("disconnect", () => process.exit());
const ready = await serve({ port: Number(values.port), data: values.data, isLive: values.live });
const text = values.json ? JSON.stringify(ready) : `Listening on ${ready.url} with the key ${ready.key}`;
process.stdout.write(`${text}\n`);
