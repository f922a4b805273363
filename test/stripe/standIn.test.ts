import { once } from "node:events";
import { createInterface } from "node:readline";
import { execa } from "execa";
import { expect, test } from "vitest";
import { ROOT, temporaryDirectory } from "../support/places.ts";
import { startStandIn } from "./start.ts";
import { useStandIn } from "./useStandIn.ts";

const standIn = useStandIn();

test("the program prints where it listens, as JSON", async () => {
  const data = await temporaryDirectory();
  const flags = ["--port", "0", "--data", data, "--json"];
  const child = execa("node", [".config/run.mjs", "test/stripe/standIn.ts", ...flags], { cwd: ROOT, reject: false });
  const [line] = (await once(createInterface(child.stdout), "line")) as [string];
  const ready = JSON.parse(line) as Record<string, string>;
  expect(ready).toEqual({
    url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
    key: expect.stringMatching(/^sk_test_/),
    webhookSecret: expect.stringMatching(/^whsec_/),
  });
  expect((await fetch(`${ready.url}/v1/account`)).status).toBe(401);
  child.kill();
  await child;
});

test("a live account has a live key and live objects", async () => {
  const standIn = await startStandIn({ isLive: true });
  expect(standIn.ready.key).toMatch(/^sk_live_/);
  expect(await standIn.client().customers.create({ name: "Ada" })).toMatchObject({ livemode: true });
  await standIn.kill();
});

test("two stand-ins do not share a directory", async () => {
  await expect(startStandIn({ data: standIn.data })).rejects.toThrow("exited");
});

test("a stand-in goes on where another was killed", async () => {
  const { id } = await standIn.client().customers.create({ name: "Ada" });
  await standIn.kill();
  const second = await startStandIn({ data: standIn.data });
  expect(second.ready).toEqual({ ...standIn.ready, url: second.ready.url });
  expect(await second.client().customers.retrieve(id)).toMatchObject({ name: "Ada" });
  await second.kill();
  await standIn.restart();
});
