import type { Kysely } from "kysely";
import type { Database } from "../database/schema.ts";
import type { BackendDeps } from "../deps.ts";
import { startError } from "../errors.ts";
import { BUILT_IN_SEED, digestOf } from "../seeding/seed.ts";
import type { Seed, SeedFile } from "../seeding/seedFile.ts";
import { assertStarted, seedRows } from "../seeding/seedRows.ts";
import { hasUnhashedPasswords, readSetting, seedStore } from "../seeding/store.ts";
import { CLOCK_SETTING } from "./clock.ts";

/** The initial state of a sandbox. */
export interface SandboxStart {
  readonly isNew: boolean;
  /** The first organization of the seed. */
  readonly organizationId: number;
  /** The seed, if it is known: passwords and tokens are not stored in plain text. */
  readonly seed: Seed | null;
  readonly notes: string[];
}

/**
 * Seeds empty data, or reopens existing data.
 *
 * @throws BackendError `seed_invalid`, `sandbox_data_not_empty`
 */
export async function seedOrReopen(
  database: Kysely<Database>,
  options: Pick<SandboxOptions, "seed" | "now" | "dataDir">,
  deps: Pick<SandboxDeps, "now" | "random"> & Pick<BackendDeps, "secrets">,
): Promise<SandboxStart> {
  const stored = await readSetting(database, "seed_digest");
  if (stored !== null) return reopen(database, options, stored);
  const now = options.now ?? deps.now();
  const { seed, digest } = await (options.seed ? readSeed(options.seed) : builtInSeed());
  assertStarted(seed, options.seed?.path ?? "built in", now);
  const organizationId = seed.organizations[0]?.id ?? 0;
  await seedStore(
    database,
    seed.organizations.map((organization) => seedRows(organization, now, deps.random)),
    {
      seed_digest: digest,
      first_organization: String(organizationId),
      [CLOCK_SETTING]: String(options.now === null ? 0 : options.now - deps.now()),
    },
    deps.secrets,
  );
  return { isNew: true, organizationId, seed, notes: [] };
}

async function reopen(
  database: Kysely<Database>,
  { seed: file, dataDir }: Pick<SandboxOptions, "seed" | "dataDir">,
  stored: string,
): Promise<SandboxStart> {
  if (file && digestOf(file.text) !== stored) {
    throw startError(
      "sandbox_data_not_empty",
      `Cannot use --seed: ${dataDir} already has data`,
      "Delete the data with `sandbox reset`, or pass another folder with --data <dir>, or --ephemeral.",
    );
  }
  const notes = file ? ["The data already come from this seed file; --seed is ignored."] : [];
  const { seed } = file ? await readSeed(file) : knownSeed(stored);
  if (!seed)
    notes.push("Passwords and tokens are only in the seed file of the data; they are not stored in plain text.");
  if (!seed && (await hasUnhashedPasswords(database))) {
    notes.push("Some passwords of the seed are not saved yet; start again with the same --seed to save them.");
  }
  return { isNew: false, organizationId: Number(await readSetting(database, "first_organization")), seed, notes };
}

/** Loads the schema only when there is a file to validate, to keep the start fast. */
async function readSeed(file: { path: string; text: string }): Promise<SeedFile> {
  return (await import("../seeding/seedFile.ts")).readSeed(file);
}

function knownSeed(digest: string): { seed: Seed | null } {
  const builtIn = builtInSeed();
  return builtIn.digest === digest ? builtIn : { seed: null };
}

/** The seed of a sandbox without `--seed`. It is not validated, so that the start need not load the schema. */
export function builtInSeed(): SeedFile {
  return { seed: JSON.parse(BUILT_IN_SEED) as Seed, digest: digestOf(BUILT_IN_SEED) };
}

/** How to start a sandbox. */
export interface SandboxOptions {
  /** 0 picks a free port. */
  readonly port: number;
  /** `null` keeps the data in memory. */
  readonly dataDir: string | null;
  readonly seed: { readonly path: string; readonly text: string } | null;
  /** Where the clock starts, milliseconds; `null` for the machine's time. */
  readonly now: number | null;
}

/** The dependencies of a sandbox. */
export interface SandboxDeps {
  /** The machine's clock, milliseconds. */
  now(): number;
  random(bytes: number): Buffer;
  readonly pid: number;
  reach(point: string): void;
  log(line: string): void;
  readonly version: string;
}
