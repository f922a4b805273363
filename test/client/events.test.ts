import { describe, expect, it } from "vitest";
import { type Answer, hangUp, html, problem, startBackend, testClient } from "./backend.ts";

const NDJSON = { "content-type": "application/x-ndjson; charset=utf-8" };

const lines =
  (text: string): Answer =>
  (response) =>
    void response.writeHead(200, NDJSON).end(text);

/** Sends a part, and then loses the connection. */
const cut =
  (text: string): Answer =>
  (response) => {
    response.writeHead(200, NDJSON);
    response.write(text, () => response.destroy());
  };

/** What a sink got, each time it was started. */
function collector() {
  const bodies: string[] = [];
  return {
    bodies,
    start: () => void bodies.push(""),
    write: (chunk: Buffer) => {
      bodies[bodies.length - 1] += chunk.toString();
    },
  };
}

describe("an export of events", () => {
  it("is passed on piece by piece, however large it is", async () => {
    const text = `${"x".repeat(999)}\n`.repeat(3_000);
    await using backend = await startBackend(lines(text));
    const sink = collector();
    await testClient(backend.apiUrl).client.exportEvents(4201, sink);
    expect(sink.bodies).toEqual([text]);
    expect(backend.seen[0]).toMatchObject({
      url: "/rest/management/v2/organizations/4201/events/export",
      headers: { accept: "application/x-ndjson, application/problem+json" },
    });
  });

  it("begins anew after a lost connection", async () => {
    await using backend = await startBackend(hangUp, cut("one\n"), problem(503, "unavailable"), lines("one\ntwo\n"));
    const sink = collector();
    await testClient(backend.apiUrl).client.exportEvents(4201, sink);
    expect(sink.bodies.at(-1)).toBe("one\ntwo\n");
    expect(sink.bodies.length).toBeLessThanOrEqual(2);
  });

  it.each([
    ["a page of a proxy", html(200), "unexpected_answer"],
    ["JSON", { status: 200, json: { items: [] } }, "unexpected_answer"],
    ["a refusal", problem(403, "insufficient_scope"), "insufficient_scope"],
  ] satisfies [string, Answer, string][])("passes nothing on of %s", async (_name, answer, code) => {
    await using backend = await startBackend(answer);
    const sink = collector();
    await expect(testClient(backend.apiUrl).client.exportEvents(4201, sink)).rejects.toMatchObject({ code });
    expect(sink.bodies).toEqual([]);
  });

  it("fails as its sink does, and asks no second time", async () => {
    await using backend = await startBackend(lines("one\n"), lines("one\n"));
    const full = new RangeError("the disk is full");
    const sink = {
      start: () => {},
      write: () => {
        throw full;
      },
    };
    await expect(testClient(backend.apiUrl).client.exportEvents(4201, sink)).rejects.toBe(full);
    expect(backend.seen).toHaveLength(1);
  });

  it("may take longer than a request, but not between two pieces", async () => {
    const slow: Answer = (response) => {
      response.writeHead(200, NDJSON);
      let pieces = 0;
      const timer = setInterval(() => {
        pieces += 1;
        response.write("x\n");
        if (pieces < 6) return;
        clearInterval(timer);
        response.end();
      }, 60);
    };
    const stuck: Answer = (response) => void response.writeHead(200, NDJSON).write("x\n");
    await using backend = await startBackend(slow, stuck, stuck, stuck, stuck, stuck, stuck);
    const sink = collector();
    const { client } = testClient(backend.apiUrl, { timeoutMs: 250 });
    await client.exportEvents(4201, sink);
    expect(sink.bodies).toEqual(["x\n".repeat(6)]);
    await expect(client.exportEvents(4201, sink)).rejects.toMatchObject({ code: "unreachable" });
  });
});
