import type { Kysely } from "kysely";
import type { DeviceAuthorization, SessionTokens } from "../../contract/identity.ts";
import type { Database, DeviceGrantRow, UserRow } from "../database/schema.ts";
import type { BackendDeps } from "../deps.ts";
import { ProblemError } from "../errors.ts";
import { hashToken } from "./secrets.ts";
import { attempt, startSession } from "./sessions.ts";
import { assertKnownClient, OauthError } from "./signIn.ts";

const LIFE_SECONDS = 600;

const INTERVAL_SECONDS = 5;

/** How long an ended one is remembered, so that a device and a person learn how it ended. */
const REMEMBERED_MS = 86_400_000;

/** Letters that are neither vowels, which make words, nor mistaken for one another (RFC 8628, section 6.1). */
const LETTERS = "BCDFGHJKLMNPQRSTVWXZ";

const HALF = 4;

/** Where wrong user codes are counted: in capitals, so that no account in lower case is the same. */
const USER_CODES = "USER CODES";

type GrantDeps = Pick<BackendDeps, "database" | "now" | "random">;

/**
 * Begins to sign a device in (RFC 8628, section 3.1). Only hashes of its codes are kept.
 *
 * @param request `address` is where the device asks from, `pageOrigin` where the person finds the approval page
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
  // Somebody else has the same user code, which is as likely as it is to be guessed: another one is drawn.
  if (!(await saveGrant(deps.database, grant, now - REMEMBERED_MS))) return authorizeDevice(deps, request);
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
 * Answers a device that asks whether its person has approved (RFC 8628, sections 3.4 and 3.5): the tokens, once.
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
  if (grant.expires_at <= now) throw new OauthError("expired_token", "The time to approve the sign-in is over");
  if (grant.state === "pending") {
    if (await notePoll(deps.database, grant, now)) {
      throw new OauthError("authorization_pending", "The sign-in is not approved yet");
    }
    throw new OauthError("slow_down", "This asks too often; the interval is 5 seconds longer from now on");
  }
  return deps.database.transaction().execute(async (tx) => {
    const taken = await takeGrant(tx, grant);
    if (!taken || taken.user_id === null) throw notGranted();
    return startSession({ ...deps, database: tx }, taken.user_id, taken.mfa_at);
  });
}

/**
 * Finds what a user code asks to approve. Wrong ones are counted by address: after 5 in 15 minutes none is taken.
 *
 * @param userCode as it was typed; case, spaces and dashes do not matter
 * @param address where the request came from
 * @throws ProblemError `not_found` for one that is unknown, over or decided, `rate_limited`
 */
export async function findGrant(deps: GrantDeps, userCode: string, address: string): Promise<DeviceGrantRow> {
  const grant = await attempt(deps, { account: USER_CODES, address }, async (isLocked) => {
    if (isLocked) throw tooManyCodes();
    return (await readGrant(deps.database, "user_code_hash", hashToken(plain(userCode)))) ?? null;
  });
  if (grant === null) {
    throw new ProblemError("not_found", "There is no sign-in with this code; compare it with the one in your terminal");
  }
  if (grant.state !== "pending" || grant.expires_at <= deps.now()) throw isOver(grant);
  return grant;
}

/** A user code as the device shows it, `XXXX-XXXX`, however it was typed. */
export function writtenUserCode(userCode: string): string {
  const letters = plain(userCode);
  return `${letters.slice(0, HALF)}-${letters.slice(HALF)}`;
}

/**
 * Lets the device sign in as a user; `mfaAt` is when the page took their one-time code.
 *
 * @throws ProblemError `not_found` where it was decided meanwhile, or its time is over
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
 * Keeps the device from signing in.
 *
 * @throws ProblemError `not_found` where it was decided meanwhile, or its time is over
 */
export function denyGrant(deps: GrantDeps, grant: DeviceGrantRow): Promise<void> {
  return decide(deps, grant, { state: "denied", user_id: null, mfa_at: null });
}

/** Counts a wrong sign-in under a user code; the fifth denies it (security.md, Signing in). */
export function countWrongSignIn(deps: GrantDeps, grant: DeviceGrantRow): Promise<void> {
  return noteWrongSignIn(deps.database, grant);
}

async function decide(deps: GrantDeps, grant: DeviceGrantRow, decision: Decision): Promise<void> {
  if (await decideGrant(deps.database, grant, decision, deps.now())) return;
  throw isOver((await readGrant(deps.database, "device_code_hash", grant.device_code_hash)) ?? grant);
}

/** Eight letters in two halves; a byte beyond a multiple of their number is drawn again, so that all are as likely. */
function newUserCode(random: (bytes: number) => Buffer): string {
  const fair = 256 - (256 % LETTERS.length);
  const letters: string[] = [];
  while (letters.length < 2 * HALF) {
    for (const byte of random(2 * HALF)) if (byte < fair) letters.push(LETTERS.charAt(byte % LETTERS.length));
  }
  return writtenUserCode(letters.join("").slice(0, 2 * HALF));
}

function plain(userCode: string): string {
  return userCode.replace(/[\s-]/g, "").toUpperCase();
}

function isOver(grant: DeviceGrantRow): ProblemError {
  const what = { pending: "has expired", denied: "was denied", approved: "was used already", used: "was used already" };
  return new ProblemError("not_found", `This code ${what[grant.state]}; run the command again for a new one`);
}

function tooManyCodes(): ProblemError {
  return new ProblemError(
    "rate_limited",
    "Too many wrong codes came from here; wait 15 minutes and try again",
    {},
    { "Retry-After": "900" },
  );
}

function notGranted(): OauthError {
  return new OauthError("invalid_grant", "This device code is not known or was used already; sign in again");
}

/** How many wrong sign-ins under one user code end it (security.md, Signing in). */
const MOST_WRONG_SIGN_INS = 5;

/** What a device that polls too soon has to wait from then on, more than before (RFC 8628, section 3.5). */
const SLOWER_SECONDS = 5;

/** How a person decided. */
type Decision = Pick<DeviceGrantRow, "user_id" | "mfa_at"> & { readonly state: "approved" | "denied" };

/**
 * Keeps a new device authorization and forgets those that ended before `oldest` (machine milliseconds).
 *
 * @returns false where another one has the same user code
 */
async function saveGrant(database: Kysely<Database>, grant: DeviceGrantRow, oldest: number): Promise<boolean> {
  await database.deleteFrom("device_grants").where("expires_at", "<", oldest).execute();
  const saved = await database
    .insertInto("device_grants")
    .values(grant)
    .onConflict((conflict) => conflict.column("user_code_hash").doNothing())
    .returning("device_code_hash")
    .executeTakeFirst();
  return saved !== undefined;
}

/** The device authorization of a device code or a user code, in whatever state. */
async function readGrant(
  database: Kysely<Database>,
  by: "device_code_hash" | "user_code_hash",
  hash: string,
): Promise<DeviceGrantRow | undefined> {
  return database.selectFrom("device_grants").selectAll().where(by, "=", hash).executeTakeFirst();
}

/**
 * Notes that a device polls. One that comes sooner than its interval has a longer one from then on.
 *
 * @returns whether it came in time
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

/** Writes down what the person decided, if nobody has decided and the time is not over. */
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

/** Spends an approved device authorization; of several at once, one gets it. */
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

/** Counts a wrong sign-in under a user code; the last one that is allowed denies it. */
async function noteWrongSignIn(database: Kysely<Database>, grant: DeviceGrantRow): Promise<void> {
  const pending = database
    .updateTable("device_grants")
    .where("device_code_hash", "=", grant.device_code_hash)
    .where("state", "=", "pending");
  await pending.set((expression) => ({ tries: expression("tries", "+", 1) })).execute();
  await pending.set({ state: "denied" }).where("tries", ">=", MOST_WRONG_SIGN_INS).execute();
}
