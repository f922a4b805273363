import { createHash, randomBytes } from "node:crypto";
import { chmodSync, cpSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { migrate } from "../../../src/backend/database/migrations/index.ts";
import { sqliteStore } from "../../../src/backend/database/sqlite.ts";
import { secretBox } from "../../../src/backend/identity/secretBox.ts";
import { openData, sqliteMissing } from "../../../src/backend/sandbox/dataFolder.ts";
import { seedOrReopen } from "../../../src/backend/sandbox/seeding.ts";
import { createJournal } from "../../../src/cli/buying/engine/journal.ts";
import { createCredentialStore } from "../../../src/cli/connection/credentials.ts";
import { createSettings } from "../../../src/cli/connection/settings.ts";
import type { LockMachine } from "../../../src/cli/files/fileLock.ts";
import { organization, seed } from "../../support/seed.ts";
import { me, receipt, subscription, user } from "../support/builders.ts";
import { failingKeyring, probeHere, testMachine } from "../support/machine.ts";
import { ADD, credential, NO_TOKEN, noRoom, ok, piped, QUOTED, READ, says } from "./answers.ts";
import type { ErrorCase, Stage } from "./stage.ts";

const configOf = ({ directory }: Stage) => join(directory, "config");

/** The real files of a configuration directory, without a keyring. Waiting takes no time. */
const JOURNAL: Pick<ErrorCase, "parts"> = {
  parts: (stage) => {
    const machine = patient();
    return {
      settings: async () => createSettings(configOf(stage), machine),
      credentials: async () => createCredentialStore(configOf(stage), machine, failingKeyring("keyring_unavailable")),
      journal: async () => createJournal(configOf(stage), machine),
    };
  },
};

const FILES: Pick<ErrorCase, "parts" | "env"> = { ...JOURNAL, env: NO_TOKEN };

function patient(): LockMachine {
  let time = 0;
  return testMachine({ monotonic: () => (time += 1_000), sleep: async () => {} });
}

type Prepare = NonNullable<ErrorCase["prepare"]>;

/** Puts a file there, with directories that only their owner can enter. */
const file =
  (name: string, text: string, mode = 0o600): Prepare =>
  ({ directory }) => {
    const path = join(directory, name);
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeFileSync(path, text);
    chmodSync(path, mode);
  };

const CREDENTIALS = JSON.stringify({
  profiles: { default: credential({ apiUrl: "https://api.secureflag.com/rest/management/v2" }) },
});

const USERS = "email,firstName,lastName\nada@northwind.example,Ada,Lovelace\n";

/** The plan of a sync, which adds a user and leaves six. */
const PLAN = ok({
  plan: "plan",
  applied: false,
  added: [0],
  changed: [],
  missing: { count: 6, users: [] },
  kept: [],
  neededLicenses: 1,
  organizationLicenses: { purchased: 25, used: 22, available: 3 },
});

/** A lock of a command that still runs: this one. */
const heldLock: Prepare = async (stage) => {
  const name = createHash("sha256").update("default").digest("hex").slice(0, 16);
  const startedAt = (await probeHere()(process.pid)) ?? "";
  file(`config/sign-in-${name}.lock`, JSON.stringify({ pid: process.pid, startedAt }))(stage);
};

const SANDBOX = "sandbox --port 0";

/** Users get numbers at random, of which no two are the same. */
const RANDOM: Pick<ErrorCase, "parts"> = { parts: () => ({ random: { bytes: randomBytes, fraction: () => 0.5 } }) };

/** An installation without what is optional. */
const LEAN: Pick<ErrorCase, "parts"> = {
  parts: () => ({
    random: {
      bytes: () => {
        throw sqliteMissing(new TypeError("Cannot find package 'libsql'"));
      },
      fraction: () => 0.5,
    },
  }),
};

/** Data of a sandbox that was started and stopped, and a seed file of another organization. */
const oldData: Prepare = async (stage) => {
  const folder = join(stage.directory, "stopped");
  const { backend, outside } = await openData(folder);
  const database = sqliteStore(backend);
  await migrate(database, { dialect: "sqlite" });
  const secrets = secretBox([randomBytes(32)], randomBytes);
  const deps = { now: Date.now, random: randomBytes, secrets };
  await seedOrReopen(database, { seed: null, dataDir: null, now: null }, deps);
  await database.destroy();
  outside.close();
  // SQLite may let go of its lock later, which is of the file and not of its name.
  cpSync(folder, join(stage.directory, "data"), { recursive: true });
  return file("seed.json", JSON.stringify(seed(organization(1))))(stage);
};

/** Data of a sandbox that still runs. */
const openedData: Prepare = async ({ directory }) => {
  const { backend, outside } = await openData(join(directory, "data"));
  return async () => {
    outside.close();
    backend.close();
  };
};

const CREATED_TOKEN = {
  id: "tok_1",
  name: "ci",
  scopes: ["billing:purchase"],
  createdAt: null,
  expiresAt: null,
  expiresIn: null,
  last4: null,
  spendLimit: null,
  createdBy: { email: "admin@northwind.example" },
  token: "sfl_1",
};

/** What files, the disk and the sandbox's data say (exit codes 1, 2 and 10). */
export const FILE_CASES: readonly ErrorCase[] = [
  { code: "output_not_written", when: "the disk is full", line: "status", answers: [READ], world: noRoom },
  {
    code: "output_not_written",
    when: "the disk is full",
    line: "tokens create --name ci --scopes billing:purchase",
    answers: [{ status: 201, json: CREATED_TOKEN }],
    world: noRoom,
  },
  {
    code: "output_not_written",
    when: "the disk is full",
    line: ADD,
    answers: [{ status: 201, json: { user: user(), organizationLicenses: subscription().licenses } }],
    world: noRoom,
  },
  { code: "settings_unreadable", line: "status", ...FILES, prepare: file("config/settings.json", "{") },
  {
    code: "credentials_unsafe",
    line: "status",
    ...FILES,
    prepare: file("config/credentials.json", CREDENTIALS, 0o644),
  },
  {
    code: "credentials_unsafe",
    when: "a link",
    line: "status",
    ...FILES,
    prepare: (stage) => {
      file("elsewhere.json", CREDENTIALS)(stage);
      symlinkSync(join(stage.directory, "elsewhere.json"), join(configOf(stage), "credentials.json"));
    },
  },
  {
    code: "credentials_unsafe",
    when: "a directory writable by others",
    line: "status",
    ...FILES,
    prepare: (stage) => {
      file("config/credentials.json", CREDENTIALS)(stage);
      chmodSync(configOf(stage), 0o777);
    },
  },
  { code: "credentials_unreadable", line: "status", ...FILES, prepare: file("config/credentials.json", "{") },
  {
    code: "credentials_unreadable",
    when: "one profile's sign-in",
    line: "status",
    ...FILES,
    prepare: file("config/credentials.json", JSON.stringify({ profiles: { default: { accessToken: 7 } } })),
  },
  {
    code: "unexpected_answer",
    when: "a sign-in too large to store",
    line: "login --with-token --insecure-storage",
    ...JOURNAL,
    world: piped("t"),
    answers: [ok(me({ token: { ...me().token, scopes: Array(101).fill("billing:read") } }))],
  },
  { code: "sign_in_busy", line: "logout", ...FILES, prepare: heldLock },
  {
    code: "journal_not_written",
    line: "buy 5 --yes -q",
    ...JOURNAL,
    // A file where the journal's directory is to be made, after the journal was looked at.
    answers: (stage) => [
      READ,
      (response) => {
        file("config/journal", "")(stage);
        response.writeHead(201, { "content-type": "application/json" });
        response.end(JSON.stringify("json" in QUOTED ? QUOTED.json : null));
      },
    ],
  },
  {
    code: "journal_unreadable",
    line: "buy 5 --yes",
    ...JOURNAL,
    prepare: file("config/journal/1.json", "{"),
  },
  {
    code: "journal_unreadable",
    when: "readable by others",
    line: "buy 5 --yes",
    ...JOURNAL,
    prepare: file("config/journal/1.json", "{}", 0o644),
  },
  { code: "seed_invalid", line: `${SANDBOX} --ephemeral --seed {dir}/seed.json` },
  {
    code: "seed_invalid",
    line: `${SANDBOX} --ephemeral --seed {dir}/seed.json`,
    when: "not JSON",
    prepare: file("seed.json", "organizations: []"),
  },
  {
    code: "seed_invalid",
    line: `${SANDBOX} --ephemeral --seed {dir}/seed.json`,
    when: "a field of another type",
    prepare: file("seed.json", JSON.stringify({ organizations: [{ ...organization(1), usedLicenses: "many" }] })),
  },
  { code: "sandbox_data_in_use", line: `${SANDBOX} --data {dir}/data`, prepare: openedData },
  { code: "sandbox_data_unusable", line: `${SANDBOX} --data {dir}/data`, prepare: file("data", "") },
  { code: "sandbox_data_unusable", line: "sandbox reset --yes --data {dir}/data" },
  { code: "sandbox_data_not_empty", line: `${SANDBOX} --data {dir}/data --seed {dir}/seed.json`, prepare: oldData },
  { code: "sqlite_missing", line: `${SANDBOX} --ephemeral`, ...LEAN },
  { code: "port_in_use", line: "sandbox --ephemeral --port {port}", ...RANDOM },
  {
    code: "declined_by_person",
    line: "sandbox reset --data {dir}/data",
    prepare: file("data/backend.db", ""),
    world: () => ({ isTerminal: true, answers: [false] }),
  },
  { code: "sandbox_data_unusable", line: "sandbox reset --data {dir}/none", world: () => ({ isTerminal: true }) },
  { code: "quote_file_invalid", line: "buy --yes --from {dir}/quote.json" },
  {
    code: "quote_file_invalid",
    when: "not JSON",
    line: "buy --yes --from {dir}/quote.json",
    prepare: file("quote.json", "5 licenses"),
  },
  {
    code: "quote_file_invalid",
    when: "other JSON",
    line: "buy --yes --from {dir}/quote.json",
    prepare: file("quote.json", "{}"),
  },
  { code: "users_file_invalid", line: "users import {dir}/users.csv" },
  {
    code: "empty_file",
    line: "users sync {dir}/users.csv --remove",
    prepare: file("users.csv", "email,firstName,lastName\n"),
  },
  { code: "file_not_read", line: "events verify {dir}/log.jsonl" },
  {
    code: "file_not_read",
    line: "events verify {dir}/log.jsonl --key {dir}/log.jsonl",
    when: "no key",
    prepare: file("log.jsonl", "{}\n"),
  },
  {
    code: "file_not_read",
    line: "events verify {dir}/log.jsonl --checkpoint {dir}/log.jsonl",
    when: "no checkpoint",
    prepare: file("log.jsonl", "{}\n"),
  },
  { code: "events_tampered", line: "events verify {dir}/log.jsonl", prepare: file("log.jsonl", "{}\n") },
  {
    code: "too_many_removals",
    line: "users sync {dir}/users.csv --remove",
    prepare: file("users.csv", USERS),
    answers: [PLAN],
  },
  {
    code: "users_changed",
    line: "users sync {dir}/users.csv -q",
    prepare: file("users.csv", USERS),
    answers: [1, 2, 3].flatMap(() => [
      PLAN,
      says("users_changed", "The users of the organization changed since the plan was made"),
    ]),
  },
  {
    code: "users_file_invalid",
    line: "users import {dir}/users.csv",
    when: "invalid rows",
    prepare: file("users.csv", "email,firstName,lastName\nada,Ada,Lovelace\ntim@northwind.example,,Lead\n"),
  },
  {
    code: "users_file_invalid",
    line: "users import -",
    when: "nothing piped in",
    world: () => ({ isTerminal: true }),
  },
  {
    code: "users_file_invalid",
    line: "users import {dir}/users.csv",
    when: "a row that the backend rejects",
    prepare: file("users.csv", "email,firstName,lastName\nada@northwind.example,Ada,Lovelace\n"),
    answers: [
      says("invalid_request", "The request is not valid: users[0].role: 0 is not a role that you may give", {
        errors: [{ path: "users[0].role", message: "0 is not a role that you may give" }],
      }),
    ],
  },
  { code: "file_exists", line: "quote 5 --save {dir}/quote.json", prepare: file("quote.json", "{}") },
  { code: "file_not_written", line: "quote 5 --save {dir}/quotes/quote.json" },
  { code: "file_not_written", line: "purchases receipt pur_1 --pdf {dir}" },
  {
    code: "font_missing",
    line: "purchases receipt pur_1 --pdf {dir}/receipt.pdf",
    answers: [
      says(
        "font_missing",
        "The receipt has Japanese text, and its font is not installed; run `npm install -g @fontsource/noto-sans-jp` where the backend runs",
      ),
    ],
  },
  {
    code: "unexpected_answer",
    when: "a backend without PDFs",
    line: "purchases receipt pur_1 --pdf {dir}/receipt.pdf",
    answers: [ok(receipt())],
  },
];
