import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { createDoor } from "../../../src/backend/sandbox/server.ts";

test("requests that come before a door is open wait with their bodies, and are answered", async () => {
  const door = createDoor({ now: Date.now, random: randomBytes });
  await once(door.server.listen(0, "127.0.0.1"), "listening");
  const { port } = door.server.address() as AddressInfo;
  const answers: string[] = [];
  const ask = async (body: string) => {
    const response = await fetch(`http://127.0.0.1:${port}`, { method: "POST", body });
    answers.push(await response.text());
  };
  const asked: Promise<void>[] = [];
  for (const body of ["first", "second"]) {
    asked.push(ask(body));
    await once(door.server, "request");
  }
  expect(answers).toEqual([]);
  door.open((request, response) => void request.pipe(response));
  await Promise.all(asked);
  await ask("third");
  expect(answers.toSorted()).toEqual(["first", "second", "third"]);
  await once(door.server.close(), "close");
});
