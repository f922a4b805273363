import type { Kysely } from "kysely";
import type { Database } from "../database/schema.ts";
import { SandboxError } from "../errors.ts";
import { CLOCK_SETTING } from "./clock.ts";
import { assertBegun, builtInSeed, digestOf, type SeedFile } from "./seed.ts";
import { seedRows } from "./seedRows.ts";
import type { Seed } from "./seedSchema.ts";
import { hasUnhashedPasswords, readSetting, seedStore } from "./settings.ts";

/** What a sandbox begins with. */
export interface SandboxStart {
  readonly isNew: boolean;
  /** The first organization of the seed. */
  readonly organizationId: number;
  /** The seed, where it is at hand: passwords and tokens are kept nowhere in the clear. */
  readonly seed: Seed | null;
  readonly notes: string[];
}

/**
 * Fills empty data from the seed, or knows the data that are there again (details.md, 27).
 *
 * @throws SandboxError `seed_invalid`, `sandbox_data_not_empty`
 */
export async function fillOrKnow(
  database: Kysely<Database>,
  options: Pick<SandboxOptions, "seed" | "now" | "dataDir">,
  deps: Pick<SandboxDeps, "now" | "random">,
): Promise<SandboxStart> {
  const stored = await readSetting(database, "seed_digest");
  if (stored !== null) return know(database, options, stored);
  const now = options.now ?? deps.now();
  const { seed, digest } = await (options.seed ? readSeed(options.seed) : builtInSeed());
  assertBegun(seed, options.seed?.path ?? "built in", now);
  const organizationId = seed.organizations[0]?.id ?? 0;
  await seedStore(
    database,
    seed.organizations.map((organization) => seedRows(organization, now, deps.random)),
    {
      seed_digest: digest,
      first_organization: String(organizationId),
      [CLOCK_SETTING]: String(options.now === null ? 0 : options.now - deps.now()),
    },
  );
  return { isNew: true, organizationId, seed, notes: [] };
}

async function know(
  database: Kysely<Database>,
  { seed: file, dataDir }: Pick<SandboxOptions, "seed" | "dataDir">,
  stored: string,
): Promise<SandboxStart> {
  if (file && digestOf(file.text) !== stored) {
    throw new SandboxError(
      "sandbox_data_not_empty",
      `There are data already in ${dataDir}, and --seed fills only empty data`,
      "Empty them with `sandbox reset`, or use --data <dir> or --ephemeral.",
    );
  }
  const notes = file ? ["The data are from this very seed file already; --seed is ignored."] : [];
  const { seed } = file ? await readSeed(file) : knownSeed(stored);
  if (!seed)
    notes.push("Passwords and tokens are in the seed file that the data came from; they are not kept readable.");
  if (!seed && (await hasUnhashedPasswords(database))) {
    notes.push("Some passwords of the seed were not kept yet; start once more with the same --seed to keep them.");
  }
  return { isNew: false, organizationId: Number(await readSetting(database, "first_organization")), seed, notes };
}

/** Checking a file takes what a start without one does not load. */
async function readSeed(file: { path: string; text: string }): Promise<SeedFile> {
  return (await import("./seedFile.ts")).readSeed(file);
}

function knownSeed(digest: string): { seed: Seed | null } {
  const builtIn = builtInSeed();
  return builtIn.digest === digest ? builtIn : { seed: null };
}

/** How a sandbox is started (cli.md, Sandbox). */
export interface SandboxOptions {
  /** 0 picks a free one. */
  readonly port: number;
  /** `null` keeps nothing. */
  readonly dataDir: string | null;
  readonly seed: { readonly path: string; readonly text: string } | null;
  /** Where the clock begins, milliseconds; `null` for the machine's. */
  readonly now: number | null;
}

/** What a sandbox needs of the process that runs it. */
export interface SandboxDeps {
  /** The machine's clock, milliseconds. */
  now(): number;
  random(bytes: number): Buffer;
  readonly pid: number;
  reach(point: string): void;
  log(line: string): void;
  readonly version: string;
}
