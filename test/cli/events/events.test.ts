import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "csv-parse/sync";
import { describe, expect, it } from "vitest";
import { runProgram } from "../../../src/cli/main.ts";
import type { Client } from "../../../src/client/client.ts";
import { ClientError } from "../../../src/client/errors.ts";
import { checkpointOf, exportOf, logKey, logOf } from "../../support/eventLog.ts";
import { API_URL } from "../support/builders.ts";
import { type FakeWorld, fakeContext } from "../support/fakeContext.ts";
import { temporaryDirectory } from "../support/machine.ts";
import { type ExpectedCall, scriptedClient } from "../support/script.ts";

const TOKEN = { SECUREFLAG_API_TOKEN: "sfl_secret_x_ci", SECUREFLAG_API_URL: API_URL, SECUREFLAG_ORGANIZATION: "4201" };

const LOG = logOf(5);

async function play(line: string, client: Client, world: Omit<FakeWorld, "env" | "client"> = {}) {
  const context = fakeContext({ env: TOKEN, client, ...world });
  const code = await runProgram(["events", ...line.split(" ")], context);
  return { code, ...context.written };
}

async function list(line: string, script: readonly ExpectedCall[], world: Omit<FakeWorld, "env" | "client"> = {}) {
  const scripted = scriptedClient(script);
  const played = await play(`list ${line}`.trim(), scripted.client, world);
  scripted.assertDone();
  return played;
}

const page = (query: object, numbers: readonly number[], next: string | null): ExpectedCall => ({
  call: "events",
  with: [4201, { order: "newest", ...query }],
  gives: { items: numbers.map((number) => LOG[number - 1]), next },
});

describe("events list", () => {
  it("prints the newest events, the newest last, as they are hashed", async () => {
    const { code, stdout } = await list("--json", [page({ limit: 100 }, [5, 4, 3, 2, 1], null)]);
    expect([code, JSON.parse(stdout)]).toEqual([0, LOG]);
  });

  it("passes filters on, reads pages up to the limit, and says when there are more", async () => {
    const filters = { type: "user", from: "2026-11-01", to: "2026-11-30" };
    const { stdout, stderr } = await list("--limit 3 --type user --from 2026-11-01 --to 2026-11-30", [
      page({ ...filters, limit: 3 }, [5, 4], "4"),
      page({ ...filters, limit: 1, after: "4" }, [3], "3"),
    ]);
    expect(stdout.split("\n").map((line) => line.split("\t")[0])).toEqual(["3", "4", "5", ""]);
    expect(stderr).toBe("Showing the newest 3. Pass --limit <n> or --all to see more.\n");
  });

  it("prints a record a line off a terminal, and a table on one", async () => {
    const script = [page({ limit: 100 }, [1], null)];
    expect((await list("", script)).stdout).toBe("1\t2026-11-22 10:00 UTC\tuser.added\tada@x.test\t\n");
    const { stdout } = await list("--no-color", script, { isTerminal: true, isStdoutTerminal: true });
    expect(stdout).toMatch(/^No\. +Date +Type +By/);
    expect((await list("", [page({ limit: 100 }, [], null)])).stdout).toBe("No events.\n");
  });

  it("prints every event as CSV, also data that look like a formula", async () => {
    const odd = { ...LOG[1], actor: "=cmd()" };
    const calls = [{ ...page({ limit: 100 }, [], null), gives: { items: [odd, LOG[0]], next: null } }];
    const { stdout } = await list("--all --csv", calls);
    expect(parse(stdout, { columns: true })).toMatchObject([
      { number: "1", type: "user.added", actor: "ada@x.test", data: '{"idUser":1}', hash: LOG[0]?.hash },
      { number: "2", actor: "'=cmd()" },
    ]);
  });
});

const KEY = logKey();

const WHOLE = exportOf(LOG, KEY)
  .map((one) => `${JSON.stringify(one)}\n`)
  .join("");

/** A client whose export sends texts, each begun anew. */
function exporting(...texts: readonly string[]): Client {
  const { client } = scriptedClient([]);
  const exportEvents: Client["exportEvents"] = async (organizationId, sink) => {
    expect(organizationId).toBe(4201);
    for (const text of texts) {
      sink.start();
      for (let at = 0; at < text.length; at += 100) sink.write(Buffer.from(text.slice(at, at + 100)));
    }
  };
  return new Proxy(client, {
    get: (known, name) => (name === "exportEvents" ? exportEvents : Reflect.get(known, name)),
  });
}

describe("events export", () => {
  it("saves the whole log in a private file, and says where it ends", async () => {
    const file = join(temporaryDirectory(), "log.jsonl");
    const { code, stdout } = await play(`export ${file} --json`, exporting(WHOLE));
    expect(code).toBe(0);
    expect(readFileSync(file, "utf8")).toBe(WHOLE);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(JSON.parse(stdout)).toEqual({
      file,
      organization: 4201,
      events: 5,
      hash: LOG[4]?.hash,
      checkpoint: { number: 5, at: "2026-11-23T10:00:00.000Z", kid: KEY.kid },
    });
  });

  it("drops what came before it began anew", async () => {
    const file = join(temporaryDirectory(), "log.jsonl");
    const { stdout } = await play(`export ${file}`, exporting(WHOLE.slice(0, 300), WHOLE));
    expect(readFileSync(file, "utf8")).toBe(WHOLE);
    expect(stdout).toBe(
      `Exported 5 events to ${file}.\nVerify it with \`secureflag-licenses events verify ${file}\`.\n`,
    );
  });

  it("never replaces a file without --force", async () => {
    const file = join(temporaryDirectory(), "log.jsonl");
    writeFileSync(file, "mine");
    const { code, stderr } = await play(`export ${file} --json`, scriptedClient([]).client);
    expect([code, JSON.parse(stderr).error.code, readFileSync(file, "utf8")]).toEqual([2, "file_exists", "mine"]);
    expect((await play(`export ${file} --force`, exporting(WHOLE))).code).toBe(0);
    expect(readFileSync(file, "utf8")).toBe(WHOLE);
  });

  it.each([
    ["has no checkpoint at its end", WHOLE.split("\n").slice(0, 6).join("\n")],
    ["is another organization's", `${JSON.stringify(checkpointOf(LOG, KEY, 7))}\n`],
    ["is empty", ""],
  ])("leaves no file of an export that %s", async (_name, text) => {
    const directory = temporaryDirectory();
    const { code, stderr } = await play(`export ${join(directory, "log.jsonl")} --json`, exporting(text));
    expect([code, JSON.parse(stderr).error.code, readdirSync(directory)]).toEqual([1, "unexpected_answer", []]);
  });

  it("leaves no file where the backend fails", async () => {
    const file = join(temporaryDirectory(), "log.jsonl");
    const { client } = scriptedClient([{ call: "exportEvents", fails: new ClientError("unavailable", "Not now") }]);
    expect([(await play(`export ${file}`, client)).code, existsSync(file)]).toEqual([10, false]);
  });
});
