import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { createQueueingServer } from "../../../src/backend/sandbox/server.ts";

test("requests and their bodies are queued until there is a listener, then answered", async () => {
  const queueing = createQueueingServer({ now: Date.now, random: randomBytes });
  await once(queueing.server.listen(0, "127.0.0.1"), "listening");
  const { port } = queueing.server.address() as AddressInfo;
  const answers: string[] = [];
  const ask = async (body: string) => {
    const response = await fetch(`http://127.0.0.1:${port}`, { method: "POST", body });
    answers.push(await response.text());
  };
  const asked: Promise<void>[] = [];
  for (const body of ["first", "second"]) {
    asked.push(ask(body));
    await once(queueing.server, "request");
  }
  expect(answers).toEqual([]);
  queueing.serve((request, response) => void request.pipe(response));
  await Promise.all(asked);
  await ask("third");
  expect(answers.toSorted()).toEqual(["first", "second", "third"]);
  await once(queueing.server.close(), "close");
});
