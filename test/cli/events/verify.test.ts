import { generateKeyPairSync } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { runProgram } from "../../../src/cli/main.ts";
import {
  chained,
  checkpointOf,
  eventFields,
  exportOf,
  type LoggedEvent,
  logKey,
  logOf,
} from "../../support/eventLog.ts";
import { fakeContext } from "../support/fakeContext.ts";
import { temporaryDirectory } from "../support/machine.ts";

const KEY = logKey();
const OTHER = logKey();
const RSA = generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey.export({ type: "spki", format: "pem" });

const lines = (documents: readonly unknown[]) => documents.map((one) => `${JSON.stringify(one)}\n`).join("");

function fileOf(content: string | Uint8Array, name = "log.jsonl"): string {
  const path = join(temporaryDirectory(), name);
  writeFileSync(path, content);
  return path;
}

/** Runs `events verify` without a backend, a sign-in or a client. */
async function verify(content: string | Uint8Array, ...more: string[]) {
  const context = fakeContext({ env: {} });
  const code = await runProgram(["events", "verify", fileOf(content), "--json", ...more], context);
  const { stdout, stderr } = context.written;
  const error = stderr === "" ? null : JSON.parse(stderr).error;
  // Without the name of the file.
  const found = error?.message.replace(/ of \/.*$/, ")");
  return { code, error: error?.code ?? null, found, result: stdout === "" ? null : JSON.parse(stdout) };
}

const finds = async (documents: readonly unknown[], found: string) =>
  expect(await verify(lines(documents))).toEqual({ code: 7, error: "events_tampered", found, result: null });

const LOG = logOf(9);

const whole = (events: readonly unknown[]) => [...events, ...exportOf(LOG, KEY).slice(-2)];

const without = (number: number) => LOG.filter((event) => event.number !== number);

/** The log with other events before or in the place of one. */
const spliced = (number: number, removed: number, ...added: unknown[]) => {
  const events: unknown[] = [...LOG];
  events.splice(number - 1, removed, ...added);
  return events;
};

const event = (number: number) => LOG[number - 1] as LoggedEvent;

describe("events verify", () => {
  it("reports a log that is as it was exported, whose signer it cannot know", async () => {
    const { code, result } = await verify(lines(exportOf(LOG, KEY)));
    expect(code).toBe(0);
    expect(result).toEqual({
      organization: 4201,
      events: 9,
      first: 1,
      last: 9,
      hash: event(9).hash,
      signer: "unverified",
      checkpoint: { number: 9, at: "2026-11-23T10:00:00.000Z", kid: KEY.kid },
      olderCheckpoint: null,
    });
  });

  it.each([
    ["CRLF", lines(exportOf(LOG, KEY)).replaceAll("\n", "\r\n")],
    [
      "spaces and another order of names",
      exportOf(LOG, KEY)
        .map((one) => reversed(one))
        .join("\n"),
    ],
    ["no event at all", lines(exportOf([], KEY))],
    ["fields of a later version", lines(exportOf(chained([{ ...eventFields(1), reason: [1.5, "ö"] }]), KEY))],
    ["text like JSON", lines(exportOf(chained([{ ...eventFields(1), data: { a: '"x":1,\\"-01', "": "" } }]), KEY))],
  ])("accepts %s", async (_name, content) => {
    expect((await verify(content)).code).toBe(0);
  });

  describe("names the first event that was", () => {
    it.each([1, 4, 9])("changed: %d", async (number) => {
      const changes = [
        { actor: "eve@x.test" },
        { extra: null },
        { hash: event(1).hash.replace(/^./, "g") },
        { data: {} },
      ];
      for (const change of changes) {
        const events = spliced(number, 1, { ...event(number), ...change });
        await finds(whole(events), `Event ${number} was changed (line ${number})`);
      }
    });

    it.each([
      ["another number", { number: 44 }],
      ["a number as text", { number: "4" }],
      ["no number", { number: undefined }],
      ["another organization", { organizationId: 1 }],
      ["no hash", { hash: null }],
    ])("changed: %s", async (_name, change) => {
      await finds(whole(spliced(4, 1, { ...event(4), ...change })), "Event 4 was changed (line 4)");
    });

    it.each([1, 4])("removed: %d", async (number) => {
      await finds(whole(without(number)), `Event ${number} was removed (line ${number})`);
      await finds(
        whole(LOG.filter((one) => ![number, number + 1].includes(one.number))),
        `Event ${number} was removed (line ${number})`,
      );
    });

    it("removed at the end", async () => {
      await finds(whole(LOG.slice(0, 7)), "Event 8 was removed: the checkpoint has 9 (line 9)");
    });

    it.each([1, 4, 9])("added: before %d", async (number) => {
      const fake = { ...event(number), actor: "eve@x.test" };
      await finds(whole(spliced(number, 0, fake)), `Event ${number} was added (line ${number})`);
      await finds(
        whole(spliced(number + 1, 0, fake)),
        `Event ${number} was added: it is there twice (line ${number + 1})`,
      );
    });

    it("added at the end, with or without a hash that fits", async () => {
      const longer = logOf(10);
      await finds(whole(longer), "Event 10 was added: the checkpoint ends before it (line 12)");
      await finds(whole([...LOG, { ...longer[9], hash: event(1).hash }]), "Event 10 was added (line 10)");
    });

    it.each([
      ["later", 3, [...without(3), event(3)], 3],
      ["earlier", 8, [event(8), ...without(8)], 1],
      ["by one", 4, [...LOG.slice(0, 3), event(5), event(4), ...LOG.slice(5)], 4],
    ])("moved: %s", async (_name, number, events, line) => {
      await finds(whole(events), `Event ${number} was moved (line ${line})`);
    });
  });

  it.each([
    ["JSON that is cut", '{"organizationId":4201,"number":3'],
    ["an empty line", ""],
    ["no object", "3"],
    ["a name twice", JSON.stringify(event(3)).replace("{", '{"actor":"eve@x.test",')],
    ["a name twice, deep inside", JSON.stringify(event(3)).replace('{"idUser"', '{"idUser":9,"idUser"')],
    ["a number in another form", JSON.stringify(event(3)).replace('"number":3', '"number":3.0')],
    ["a number that is rounded", JSON.stringify(event(3)).replace('"idUser":3', '"idUser":3.00000000000000000001')],
    ["too deep an object", `{"number":3,"data":${"[".repeat(50_000)}${"]".repeat(50_000)}}`],
  ])("refuses a line with %s", async (_name, line) => {
    const text = [
      ...LOG.slice(0, 2).map((one) => JSON.stringify(one)),
      line,
      ...whole(LOG.slice(3)).map((one) => JSON.stringify(one)),
    ];
    const { code, error, found } = await verify(`${text.join("\n")}\n`);
    expect({ code, error, found }).toEqual({
      code: 7,
      error: "events_tampered",
      found: "Event 3 was changed or removed: line 3 cannot be read (line 3)",
    });
  });

  it("refuses bytes that are no text, a byte order mark, and a __proto__", async () => {
    const text = lines(exportOf(LOG, KEY));
    const broken = Buffer.from(text.replace("ada@x.test", "ad\u00e9@x.test"), "latin1");
    for (const content of [broken, `\ufeff${text}`, text.replace('"data":{', '"__proto__":{"a":1},"data":{')]) {
      expect(await verify(content)).toMatchObject({ code: 7, error: "events_tampered" });
    }
  });

  it.each([
    ["an empty file", "", "The file was cut off after event 0 (line 1)"],
    ["no checkpoint", lines([...LOG, { keys: [KEY.jwk] }]), "The file was cut off after event 9 (line 11)"],
    [
      "half a checkpoint",
      lines(exportOf(LOG, KEY)).slice(0, -20),
      "Line 11 was added between the events and the checkpoint (line 11)",
    ],
    ["a line behind it", lines([...exportOf(LOG, KEY), event(9)]), "Line 12 was added behind the checkpoint (line 12)"],
    [
      "an event behind the keys",
      lines([...LOG, { keys: [KEY.jwk] }, logOf(10)[9]]),
      "Line 11 was added between the events and the checkpoint (line 11)",
    ],
    [
      "another organization's checkpoint",
      lines([...LOG, { keys: [KEY.jwk] }, checkpointOf(LOG, KEY, 7)]),
      "The checkpoint was replaced: it is of organization 7 (line 11)",
    ],
    [
      "an older checkpoint of its own",
      lines([...LOG, { keys: [KEY.jwk] }, checkpointOf(LOG.slice(0, 5), KEY)]),
      "Event 6 was added: the checkpoint ends before it (line 11)",
    ],
    [
      "no key",
      lines([...LOG, { keys: [] }, checkpointOf(LOG, KEY)]),
      "The signature of the checkpoint is not valid, or another key's (line 11)",
    ],
    [
      "another key",
      lines([...LOG, { keys: [{ ...OTHER.jwk, kid: KEY.kid }] }, checkpointOf(LOG, KEY)]),
      "The signature of the checkpoint is not valid, or another key's (line 11)",
    ],
    [
      "the ID of another key",
      lines([...LOG, { keys: [KEY.jwk] }, { ...checkpointOf(LOG, KEY), kid: "HSM" }]),
      "The signature of the checkpoint is not valid, or another key's (line 11)",
    ],
    [
      "an event beside the keys",
      lines([...LOG, { ...event(9), number: 10, keys: [KEY.jwk] }, checkpointOf(LOG, KEY)]),
      "The public keys were changed: they are not well-formed (line 10)",
    ],
    [
      "an event beside the checkpoint",
      lines([...LOG, { keys: [KEY.jwk] }, { ...event(9), number: 10, ...checkpointOf(LOG, KEY) }]),
      "The checkpoint was changed: it is not well-formed (line 11)",
    ],
  ])("refuses %s", async (_name, content, found) => {
    expect(await verify(content)).toEqual({ code: 7, error: "events_tampered", found, result: null });
  });

  it("refuses the log of another organization than --org says", async () => {
    const content = lines(exportOf(LOG, KEY));
    expect((await verify(content, "--org", "4201")).code).toBe(0);
    expect(await verify(content, "--org", "4202")).toMatchObject({
      code: 7,
      found: "The events are of organization 4201, not 4202 (line 1)",
    });
  });

  describe("a log that was computed anew by someone without the key", () => {
    const forged = chained(
      LOG.map(({ hash: _, ...fields }) => ({ ...fields, ...(fields.number === 3 && { actor: "eve@x.test" }) })),
    );
    const content = lines(exportOf(forged, OTHER));

    it("is consistent, by a signer that is unverified", async () => {
      expect((await verify(content)).result).toMatchObject({ events: 9, signer: "unverified" });
    });

    it("does not pass with the keys of the backend, whatever keys it has itself", async () => {
      const key = fileOf(JSON.stringify({ keys: [KEY.jwk] }), "keys.json");
      const found = "The signature of the checkpoint is not valid, or another key's (line 11)";
      expect(await verify(content, "--key", key)).toMatchObject({ code: 7, found });
      const renamed = exportOf(forged, { ...OTHER, kid: KEY.kid });
      expect(await verify(lines(renamed), "--key", key)).toMatchObject({ code: 7, found });
    });

    it("does not pass with an older checkpoint of what was changed", async () => {
      const found = "Event 5, or one before it, was changed: the older checkpoint differs (line 5)";
      const older = fileOf(lines([checkpointOf(LOG.slice(0, 5), KEY)]), "older.jsonl");
      expect(await verify(content, "--checkpoint", older)).toMatchObject({ code: 7, found });
      // A whole export also tells which one it was.
      const export5 = fileOf(lines(exportOf(LOG.slice(0, 5), KEY)), "export.jsonl");
      const named = "Event 3 was changed since the older export (line 3)";
      expect(await verify(content, "--checkpoint", export5)).toMatchObject({ code: 7, found: named });
      // What came before the change is the same.
      const oldest = fileOf(lines(exportOf(LOG.slice(0, 2), KEY)), "oldest.jsonl");
      expect((await verify(content, "--checkpoint", oldest)).result).toMatchObject({ signer: "unverified" });
      const renamed = lines(exportOf(forged, { ...OTHER, kid: KEY.kid }));
      expect((await verify(renamed, "--checkpoint", oldest)).code).toBe(7);
    });
  });

  it.each([
    ["a JWK set", JSON.stringify({ keys: [OTHER.jwk, KEY.jwk] })],
    ["a JWK", JSON.stringify(KEY.jwk)],
    ["a JWK set with others", JSON.stringify({ keys: [{ kty: "RSA", n: "x", e: "AQAB" }, KEY.jwk] })],
    ["several in PEM", [OTHER, KEY].map(({ publicKey }) => publicKey.export({ type: "spki", format: "pem" })).join("")],
    ["PEM", String(KEY.publicKey.export({ type: "spki", format: "pem" }))],
  ])("knows the signer by a key as %s", async (_name, key) => {
    const { code, result } = await verify(lines(exportOf(LOG, KEY)), "--key", fileOf(key, "key"));
    expect([code, result.signer]).toEqual([0, "verified"]);
  });

  it.each([
    ["an earlier export", lines(exportOf(LOG.slice(0, 5), KEY))],
    ["its last line", lines([checkpointOf(LOG.slice(0, 5), KEY)])],
  ])("knows the signer by %s with the same key", async (_name, older) => {
    const { result } = await verify(lines(exportOf(LOG, KEY)), "--checkpoint", fileOf(older, "older"));
    expect(result).toMatchObject({ signer: "verified", olderCheckpoint: { number: 5 } });
  });

  it("finds what was cut off the end by an older checkpoint, and only by it", async () => {
    const cut = lines(exportOf(LOG.slice(0, 5), KEY));
    expect((await verify(cut)).code).toBe(0);
    const older = fileOf(lines(exportOf(LOG.slice(0, 7), KEY)), "older");
    const found = "Event 6 was removed: the older checkpoint has 7 events (line 6)";
    expect(await verify(cut, "--checkpoint", older)).toMatchObject({ code: 7, found });
  });

  it("refuses an older checkpoint of another organization, or that its key did not sign", async () => {
    const content = lines(exportOf(LOG, KEY));
    const foreign = fileOf(lines([checkpointOf(logOf(5, 7), KEY, 7)]), "foreign");
    expect(await verify(content, "--checkpoint", foreign)).toMatchObject({
      code: 7,
      found: "The events are of organization 4201, not 7 (line 1)",
    });
    const { signature } = checkpointOf(LOG.slice(0, 4), KEY);
    const unsigned = fileOf(lines([{ ...checkpointOf(LOG.slice(0, 5), KEY), signature }]), "unsigned");
    expect(await verify(content, "--checkpoint", unsigned)).toMatchObject({
      code: 7,
      found: "The signature of the older checkpoint is not valid, or another key's (line 11)",
    });
  });

  it.each([
    ["no file", null, null],
    ["no key in the key file", "--key", "{}"],
    ["a broken key", "--key", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----"],
    ["a key of another kind", "--key", String(RSA)],
    ["no checkpoint in its file", "--checkpoint", "{}\n"],
    ["no checkpoint file", "--checkpoint", null],
  ])("is exit 2 with %s", async (_name, flag, text) => {
    const context = fakeContext({ env: {} });
    const none = join(temporaryDirectory(), "none");
    const path = flag === null ? none : fileOf(lines(exportOf(LOG, KEY)));
    const more = flag === null ? [] : [flag, text === null ? none : fileOf(text, "other")];
    const code = await runProgram(["events", "verify", path, "--json", ...more], context);
    expect([code, JSON.parse(context.written.stderr).error.code]).toEqual([2, "file_not_read"]);
  });

  it("says in words what it proves, and what it does not", async () => {
    const run = async (...more: string[]) => {
      const context = fakeContext({ env: {} });
      await runProgram(["events", "verify", fileOf(lines(exportOf(LOG, KEY))), ...more], context);
      return context.written.stdout;
    };
    const unsigned = await run();
    expect(unsigned).toContain("The signer is unverified.");
    expect(unsigned).not.toContain("none changed");
    const words = await run("--key", fileOf(JSON.stringify(KEY.jwk), "key"));
    expect(words).toContain("The file is consistent: 9 events of organization 4201, none changed");
    expect(words).toContain(`with key ${KEY.kid}, which is verified.`);
  });
});

/** JSON with its names in the opposite order, and spaces. */
function reversed(document: unknown): string {
  return JSON.stringify(Object.fromEntries(Object.entries(document as object).reverse()), null, 1).replaceAll(
    "\n",
    " ",
  );
}
