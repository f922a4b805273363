import type { Kysely } from "kysely";
import type { DeviceAuthorization, SessionTokens } from "../../contract/identity.ts";
import type { Database, DeviceGrantRow, UserRow } from "../database/schema.ts";
import { inTransaction } from "../database/transaction.ts";
import type { BackendDeps } from "../deps.ts";
import { BackendError } from "../errors.ts";
import { hashToken } from "./secrets.ts";
import { attempt, startSessionIn } from "./sessions.ts";
import { assertKnownClient, OauthError } from "./signIn.ts";

const LIFE_SECONDS = 600;

const INTERVAL_SECONDS = 5;

/** How long an expired grant is kept, so that device and person learn how it ended. */
export const GRANT_MEMORY_MS = 86_400_000;

/** Letters without vowels, which would make words, and without lookalikes (RFC 8628, section 6.1). */
const LETTERS = "BCDFGHJKLMNPQRSTVWXZ";

const HALF = 4;

/** The account that wrong user codes are counted under: accounts are lower case, so none is the same. */
const USER_CODES = "USER CODES";

type GrantDeps = Pick<BackendDeps, "database" | "now" | "clock" | "random">;

/**
 * Starts a device authorization (RFC 8628, section 3.1). Only hashes of its codes are stored.
 *
 * @param request `address` is the device's network address, `pageOrigin` the origin of the approval page
 * @throws OauthError `invalid_client`
 */
export async function authorizeDevice(
  deps: GrantDeps,
  request: { clientId: string; address: string; pageOrigin: string },
): Promise<DeviceAuthorization> {
  assertKnownClient(request.clientId);
  const now = deps.now();
  const deviceCode = deps.random(32).toString("base64url");
  const userCode = newUserCode(deps.random);
  const grant = {
    device_code_hash: hashToken(deviceCode),
    user_code_hash: hashToken(plain(userCode)),
    client_id: request.clientId,
    address: request.address,
    created_at: now,
    expires_at: now + LIFE_SECONDS * 1000,
    interval_seconds: INTERVAL_SECONDS,
    polled_at: null,
    tries: 0,
    state: "pending",
    user_id: null,
    mfa_at: null,
  } as const;
  // The user code is taken, which is as unlikely as guessing it: draw another one.
  if (!(await saveGrant(deps.database, grant))) return authorizeDevice(deps, request);
  const page = `${request.pageOrigin}/device`;
  return {
    device_code: deviceCode,
    user_code: userCode,
    verification_uri: page,
    verification_uri_complete: `${page}?user_code=${userCode}`,
    expires_in: LIFE_SECONDS,
    interval: INTERVAL_SECONDS,
  };
}

/**
 * Answers a polling device (RFC 8628, sections 3.4 and 3.5). An approved grant gives its tokens once.
 *
 * @throws OauthError `authorization_pending`, `slow_down`, `access_denied`, `expired_token`, `invalid_grant`,
 *   `invalid_client`
 */
export async function pollDevice(
  deps: GrantDeps,
  { deviceCode, clientId }: { deviceCode: string; clientId: string },
): Promise<SessionTokens> {
  assertKnownClient(clientId);
  const grant = await readGrant(deps.database, "device_code_hash", hashToken(deviceCode));
  if (!grant || grant.state === "used" || grant.client_id !== clientId) throw notGranted();
  const now = deps.now();
  if (grant.state === "denied") throw new OauthError("access_denied", "The sign-in was denied");
  if (grant.expires_at <= now) throw new OauthError("expired_token", "The sign-in expired before it was approved");
  if (grant.state === "pending") {
    if (await notePoll(deps.database, grant, now)) {
      throw new OauthError("authorization_pending", "The sign-in has not been approved yet");
    }
    throw new OauthError("slow_down", "Polling too often; the interval is 5 seconds longer from now on");
  }
  return inTransaction(deps.database, async (tx) => {
    const taken = await takeGrant(tx, grant);
    if (!taken || taken.user_id === null) throw notGranted();
    return startSessionIn({ ...deps, database: tx }, taken.user_id, taken.mfa_at);
  });
}

/**
 * Finds the pending grant of a user code. Wrong codes count per address: after 5 in 15 minutes all are refused.
 *
 * @param userCode as typed; case, spaces and dashes do not matter
 * @param address the network address of the request
 * @throws BackendError `not_found` if it is unknown, expired or decided; `rate_limited`
 */
export async function findGrant(deps: GrantDeps, userCode: string, address: string): Promise<DeviceGrantRow> {
  const grant = await attempt(deps, { account: USER_CODES, address }, async (isLocked) => {
    if (isLocked) throw tooManyCodes();
    return (await readGrant(deps.database, "user_code_hash", hashToken(plain(userCode)))) ?? null;
  });
  if (grant === null) {
    throw new BackendError("not_found", "No sign-in has this code; compare it with the one in your terminal");
  }
  if (grant.state !== "pending" || grant.expires_at <= deps.now()) throw isOver(grant);
  return grant;
}

/** Formats a user code as the device shows it, `XXXX-XXXX`. */
export function formatUserCode(userCode: string): string {
  const letters = plain(userCode);
  return `${letters.slice(0, HALF)}-${letters.slice(HALF)}`;
}

/**
 * Approves a grant for a user.
 *
 * @param mfaAt when the user gave a one-time code, machine milliseconds; `null` for a user without
 * @throws BackendError `not_found` if it was decided in the meantime or has expired
 */
export function approveGrant(
  deps: GrantDeps,
  grant: DeviceGrantRow,
  user: UserRow,
  mfaAt: number | null,
): Promise<void> {
  return decide(deps, grant, { state: "approved", user_id: user.id, mfa_at: mfaAt });
}

/**
 * Denies a grant.
 *
 * @throws BackendError `not_found` if it was decided in the meantime or has expired
 */
export function denyGrant(deps: GrantDeps, grant: DeviceGrantRow): Promise<void> {
  return decide(deps, grant, { state: "denied", user_id: null, mfa_at: null });
}

/** Counts a wrong sign-in under a user code; the fifth denies the grant (src/backend/README.md, Sign-in). */
export function countWrongSignIn(deps: GrantDeps, grant: DeviceGrantRow): Promise<void> {
  return noteWrongSignIn(deps.database, grant);
}

async function decide(deps: GrantDeps, grant: DeviceGrantRow, decision: Decision): Promise<void> {
  if (await decideGrant(deps.database, grant, decision, deps.now())) return;
  throw isOver((await readGrant(deps.database, "device_code_hash", grant.device_code_hash)) ?? grant);
}

/** Draws 8 letters. Bytes beyond a multiple of the alphabet's size are rejected, so that all letters are equally likely. */
function newUserCode(random: (bytes: number) => Buffer): string {
  const fair = 256 - (256 % LETTERS.length);
  const letters: string[] = [];
  while (letters.length < 2 * HALF) {
    for (const byte of random(2 * HALF)) if (byte < fair) letters.push(LETTERS.charAt(byte % LETTERS.length));
  }
  return formatUserCode(letters.join("").slice(0, 2 * HALF));
}

function plain(userCode: string): string {
  return userCode.replace(/[\s-]/g, "").toUpperCase();
}

function isOver(grant: DeviceGrantRow): BackendError {
  const what = { pending: "has expired", denied: "was denied", approved: "was used already", used: "was used already" };
  return new BackendError("not_found", `This code ${what[grant.state]}; run the command again for a new one`);
}

function tooManyCodes(): BackendError {
  return new BackendError(
    "rate_limited",
    "Too many wrong codes from this address; try again in 15 minutes",
    {},
    { "Retry-After": "900" },
  );
}

function notGranted(): OauthError {
  return new OauthError("invalid_grant", "Unknown or used device code; sign in again");
}

/** How many wrong sign-ins deny a grant. */
const MAX_WRONG_SIGN_INS = 5;

/** How much `slow_down` lengthens the polling interval (RFC 8628, section 3.5). */
const SLOWER_SECONDS = 5;

/** A person's decision. */
type Decision = Pick<DeviceGrantRow, "user_id" | "mfa_at"> & { readonly state: "approved" | "denied" };

/**
 * Stores a new grant.
 *
 * @returns `false` if the user code is taken
 */
async function saveGrant(database: Kysely<Database>, grant: DeviceGrantRow): Promise<boolean> {
  const saved = await database
    .insertInto("device_grants")
    .values(grant)
    .onConflict((conflict) => conflict.column("user_code_hash").doNothing())
    .returning("device_code_hash")
    .executeTakeFirst();
  return saved !== undefined;
}

/** Reads the grant of a device code or a user code, in any state. */
async function readGrant(
  database: Kysely<Database>,
  by: "device_code_hash" | "user_code_hash",
  hash: string,
): Promise<DeviceGrantRow | undefined> {
  return database.selectFrom("device_grants").selectAll().where(by, "=", hash).executeTakeFirst();
}

/**
 * Records a poll. Polling before the interval has passed lengthens the interval.
 *
 * @returns whether the device waited for the interval
 */
async function notePoll(database: Kysely<Database>, grant: DeviceGrantRow, now: number): Promise<boolean> {
  const inTime = await database
    .updateTable("device_grants")
    .set({ polled_at: now })
    .where("device_code_hash", "=", grant.device_code_hash)
    .where(({ eb, or, ref }) =>
      or([eb("polled_at", "is", null), eb(eb("polled_at", "+", eb(ref("interval_seconds"), "*", 1000)), "<=", now)]),
    )
    .executeTakeFirst();
  if (Number(inTime.numUpdatedRows) === 1) return true;
  await database
    .updateTable("device_grants")
    .set((expression) => ({ polled_at: now, interval_seconds: expression("interval_seconds", "+", SLOWER_SECONDS) }))
    .where("device_code_hash", "=", grant.device_code_hash)
    .execute();
  return false;
}

/** Stores a decision, unless the grant is decided or expired. */
async function decideGrant(
  database: Kysely<Database>,
  grant: DeviceGrantRow,
  decision: Decision,
  now: number,
): Promise<boolean> {
  const decided = await database
    .updateTable("device_grants")
    .set(decision)
    .where("device_code_hash", "=", grant.device_code_hash)
    .where("state", "=", "pending")
    .where("expires_at", ">", now)
    .executeTakeFirst();
  return Number(decided.numUpdatedRows) === 1;
}

/** Uses up an approved grant; of parallel calls, one gets it. */
async function takeGrant(
  tx: Kysely<Database>,
  grant: DeviceGrantRow,
): Promise<Pick<DeviceGrantRow, "user_id" | "mfa_at"> | undefined> {
  return tx
    .updateTable("device_grants")
    .set({ state: "used" })
    .where("device_code_hash", "=", grant.device_code_hash)
    .where("state", "=", "approved")
    .returning(["user_id", "mfa_at"])
    .executeTakeFirst();
}

/** Counts a wrong sign-in, and denies the grant at the maximum. */
async function noteWrongSignIn(database: Kysely<Database>, grant: DeviceGrantRow): Promise<void> {
  const pending = database
    .updateTable("device_grants")
    .where("device_code_hash", "=", grant.device_code_hash)
    .where("state", "=", "pending");
  await pending.set((expression) => ({ tries: expression("tries", "+", 1) })).execute();
  await pending.set({ state: "denied" }).where("tries", ">=", MAX_WRONG_SIGN_INS).execute();
}
