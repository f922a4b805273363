import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { errorOf, resultOf, runCli } from "../support/cli.ts";
import { canonical, type LoggedEvent } from "../support/eventLog.ts";
import { temporaryDirectory } from "../support/places.ts";
import { organization, seed, token } from "../support/seed.ts";
import { useSandbox } from "../support/useSandbox.ts";

const [LOG, OTHER] = [1, 2];

const sandbox = useSandbox({
  seed: seed(
    organization(LOG, { tokens: [token(LOG, { scopes: ["billing:read", "billing:purchase"] })] }),
    organization(OTHER),
  ),
});

const linesOf = async (file: string) => (await readFile(file, "utf8")).trimEnd().split("\n");

test("a log is exported, verified without a backend, and what was done to it is found", async () => {
  const directory = await temporaryDirectory();
  const [first, second] = [join(directory, "first.jsonl"), join(directory, "second.jsonl")];
  await sandbox.cli(LOG, ["buy", "2", "--yes"]);
  const exported = await sandbox.cli(LOG, ["events", "export", first, "--json"]);
  expect(resultOf(exported)).toMatchObject({ organization: LOG, events: 2 });
  await sandbox.cli(LOG, ["buy", "3", "--yes"]);
  resultOf(await sandbox.cli(LOG, ["events", "export", second, "--json"]));

  const keys = join(directory, "keys.json");
  const origin = new URL(sandbox.ready.url).origin;
  await writeFile(keys, await (await fetch(`${origin}/.well-known/secureflag-licenses-keys.json`)).text());
  // Without any setting: no backend, and no sign-in.
  const verify = (file: string, ...more: string[]) => runCli(["events", "verify", file, "--json", ...more]);
  expect(resultOf(await verify(second))).toMatchObject({ events: 5, signer: "unverified" });
  expect(resultOf(await verify(second, "--key", keys))).toMatchObject({ signer: "verified" });
  const continued = await verify(second, "--checkpoint", first);
  expect(resultOf(continued)).toMatchObject({ signer: "verified", olderCheckpoint: { number: 2 } });

  const cut = await verify(first, "--checkpoint", second);
  expect([cut.exitCode, errorOf(cut).code, errorOf(cut).message]).toEqual([
    7,
    "events_tampered",
    expect.stringContaining("Event 3 was removed"),
  ]);
  const lines = await linesOf(second);
  const damaged: [string, string[]][] = [
    ["Event 2 was changed", lines.map((line, index) => (index === 1 ? line.replace("2", "3") : line))],
    ["Event 3 was removed", lines.filter((_, index) => index !== 2)],
    ["Event 1 was added", [lines[0] ?? "", ...lines]],
    ["Event 1 was moved", [...lines.slice(1, 4), lines[0] ?? "", ...lines.slice(4)]],
    ["cannot be read", [...lines.slice(0, 3), (lines[3] ?? "").slice(0, 40)]],
  ];
  for (const [found, text] of damaged) {
    const file = join(directory, "damaged.jsonl");
    await writeFile(file, `${text.join("\n")}\n`);
    const run = await verify(file);
    expect([run.exitCode, errorOf(run).message]).toEqual([7, expect.stringContaining(found)]);
  }
});

test("the list shows what happened with the hashes that anyone computes", async () => {
  await sandbox.cli(OTHER, ["quote", "2"]);
  await sandbox.cli(OTHER, ["buy", "1", "--yes"]);
  const events = resultOf<LoggedEvent[]>(await sandbox.cli(OTHER, ["events", "list", "--all", "--json"]));
  expect(events.map(({ number, type }) => `${number} ${type}`)).toEqual([
    "1 purchase.accepted",
    "2 purchase.succeeded",
  ]);
  let previous = Buffer.alloc(32);
  for (const { hash, ...event } of events) {
    previous = createHash("sha256").update(previous).update(canonical(event)).digest();
    expect(hash).toBe(previous.toString("hex"));
  }
});
