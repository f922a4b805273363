import { once } from "node:events";
import { type AddressInfo, connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import Fastify from "fastify";
import { expect, test } from "vitest";
import { endWithin } from "../../../src/backend/service/closing.ts";

const monotonic = () => performance.now();

async function startApp(answerMs: number) {
  const app = Fastify({ return503OnClosing: false });
  app.get("/", async () => {
    await delay(answerMs);
    return "answered";
  });
  await app.listen({ port: 0, host: "127.0.0.1" });
  return { app, port: (app.server.address() as AddressInfo).port };
}

/** The status of the answer to a request on a new connection; the error of a connection without one. */
async function statusOf(port: number): Promise<string> {
  const socket = connect(port, "127.0.0.1", () =>
    socket.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
  );
  let text = "";
  socket.on("data", (bytes) => {
    text += bytes;
  });
  try {
    await once(socket, "end");
    return text.split(" ", 2)[1] ?? "";
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code);
  }
}

// On a machine that is busy with other tests, the system may still reset one.
test("connections that wait to be accepted are answered", { retry: 5 }, async () => {
  const { app, port } = await startApp(20);
  const answers = Array.from({ length: 40 }, () => statusOf(port));
  await once(app.server, "connection");
  await endWithin(app, Promise.resolve(), { milliseconds: 10_000, monotonic });
  expect(await Promise.all(answers)).toEqual(answers.map(() => "200"));
  expect(await statusOf(port)).toBe("ECONNREFUSED");
});

test("a request on a connection that was idle is answered, though the application is ending", async () => {
  const { app, port } = await startApp(1);
  const socket = connect(port, "127.0.0.1");
  socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  await once(socket, "data");
  const ended = endWithin(app, Promise.resolve(), { milliseconds: 10_000, monotonic });
  await delay(120);
  socket.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  const [answer] = await once(socket, "data");
  expect(String(answer)).toMatch(/^HTTP\/1\.1 200 /);
  expect(await ended).toBe(true);
});

test("what lasts longer is cut", async () => {
  const { app, port } = await startApp(5_000);
  const answer = statusOf(port);
  await once(app.server, "connection");
  const start = performance.now();
  await endWithin(app, new Promise(() => {}), { milliseconds: 300, monotonic });
  expect(performance.now() - start).toBeLessThan(3_000);
  expect(await answer).not.toBe("200");
});
