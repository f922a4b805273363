import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Fault, FaultProxy } from "./faultProxy.ts";

let acted = 0;
const backend = createServer((request, response) => {
  request.resume().on("end", () => {
    acted += 1;
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ answer: "all is well" }));
  });
});
let proxy: FaultProxy;

beforeAll(async () => {
  await new Promise<void>((resolve) => backend.listen(0, "127.0.0.1", resolve));
  proxy = await FaultProxy.start(`http://127.0.0.1:${(backend.address() as AddressInfo).port}/base`);
});

afterAll(async () => {
  await proxy.close();
  backend.closeAllConnections();
  backend.close();
});

async function outcome(limit = 300): Promise<string> {
  try {
    const response = await fetch(`${proxy.url}/thing`, { method: "POST", signal: AbortSignal.timeout(limit) });
    const text = await response.text();
    return `${response.status} ${response.headers.get("retry-after") ?? "-"} ${text.slice(0, 20)}`;
  } catch (error) {
    return (error as Error).name === "TimeoutError" ? "timeout" : "broken";
  }
}

test.each<[string, Fault | null, number, string | RegExp]>([
  ["nothing", null, 1, '200 - {"answer":"all is we'],
  ["drop before", { kind: "drop", when: "before" }, 0, "broken"],
  ["drop after", { kind: "drop", when: "after" }, 1, "broken"],
  ["reset before", { kind: "reset", when: "before" }, 0, "broken"],
  ["reset after", { kind: "reset", when: "after" }, 1, "broken"],
  ["a truncated response", { kind: "cut" }, 1, "broken"],
  ["one byte per second", { kind: "trickle" }, 1, "timeout"],
  ["delay before", { kind: "delay", when: "before", ms: 50 }, 1, /^200/],
  ["delay after, too long", { kind: "delay", when: "after", ms: 600 }, 1, "timeout"],
  ["503 before", { kind: "status", when: "before", status: 503, retryAfter: "2" }, 0, /^503 2/],
  ["429 before", { kind: "status", when: "before", status: 429 }, 0, /^429 -/],
  ["500 after", { kind: "status", when: "after", status: 500 }, 1, /^500 -/],
  ["a page before", { kind: "html", when: "before" }, 0, /^200 - <!doctype/],
  ["a page after", { kind: "html", when: "after" }, 1, /^200 - <!doctype/],
  ["another answer", { kind: "rewrite", edit: (body) => body.replace("well", "lost") }, 1, /^200 - /],
])("%s", async (_, fault, reached, expected) => {
  proxy.heal();
  const before = acted;
  if (fault) proxy.inject({ method: "POST", path: /\/thing$/, nth: 1, fault });
  expect(await outcome()).toMatch(expected);
  expect(acted - before).toBe(reached);
  expect(proxy.requests.at(-1)).toMatchObject({ method: "POST", path: "/base/thing" });
  if (fault) expect(await outcome()).toMatch(/^200/);
});
