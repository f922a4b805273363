import { createHash } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import pLimit from "p-limit";
import { findUser, savePasswordHash } from "../../../src/backend/identity/memberships.ts";
import type { Passwords } from "../../../src/backend/identity/secrets.ts";
import { BASE_PATH } from "../../../src/contract/constants.ts";
import { PASSWORD } from "../../support/seed.ts";
import { codeAt } from "../../support/totp.ts";
import { call, organization, startBackend, type TestBackend } from "./backend.ts";
import type { StoreKind } from "./stores.ts";

/** The secret of RFC 6238, appendix B: the ASCII text 12345678901234567890. */
export const SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

/** The time step of one-time codes, milliseconds. */
export const STEP = 30_000;

/** An organization with one administrator without one-time codes (`plain`) and one with them (`codes`). */
export interface People extends TestBackend {
  readonly organizationId: number;
  readonly plain: string;
  readonly codes: string;
  /** The hash of each password check so far, `null` if there was no user. */
  readonly checked: (string | null)[];
}

/** Fast passwords, checked in one turn of the event loop. `checked` collects the hash of each check. */
export function quickPasswords(checked: (string | null)[] = []): Passwords {
  const quickHash = (password: string) => createHash("sha256").update(password).digest("hex");
  return {
    waiting: () => 0,
    inTurn: pLimit(2),
    hash: async (password) => quickHash(password),
    verify: async (password, hash) => {
      checked.push(hash);
      await setImmediate();
      return hash === quickHash(password);
    },
  };
}

/** Starts a backend with people and fast passwords. */
export async function startWithPeople(dialect: StoreKind = "sqlite"): Promise<People> {
  const checked: (string | null)[] = [];
  const quick = quickPasswords(checked);
  const backend = await startBackend(dialect, quick);
  const made = organization();
  const plain = made.users[0]?.email ?? "";
  const codes = `codes@organization-${made.id}.test`;
  for (const user of made.users.slice(0, 1)) made.users.push({ ...user, email: codes, totpSecret: SECRET });
  await backend.addOrganization(made);
  for (const email of [plain, codes]) {
    await savePasswordHash(backend.deps.database, await idOf(backend, email), await quick.hash(PASSWORD));
  }
  return { ...backend, organizationId: made.id, plain, codes, checked };
}

/** The ID of a user. */
export async function idOf({ deps }: Pick<TestBackend, "deps">, email: string): Promise<number> {
  return (await findUser(deps.database, email))?.id ?? 0;
}

/** The current code of `SECRET`, or the one `steps` later. */
export function code({ clocks }: Pick<TestBackend, "clocks">, steps = 0): string {
  return codeAt(SECRET, clocks.machine + steps * STEP);
}

/** A code that is wrong now and two steps before and after. */
export function wrongCode(backend: Pick<TestBackend, "clocks">): string {
  const right = [-2, -1, 0, 1, 2].map((steps) => code(backend, steps));
  return ["000000", "111111", "222222", "333333", "444444", "555555"].find((one) => !right.includes(one)) ?? "";
}

/** `POST /auth/login`. */
export function login(backend: TestBackend, email: string, more: { password?: string; address?: string } = {}) {
  const { password = PASSWORD, address = "192.0.2.1" } = more;
  return call(backend, "POST", "/auth/login", { body: { email, password }, address });
}

/** `POST /auth/mfa`. */
export function answer(backend: TestBackend, challenge: string, given: string, address = "192.0.2.1") {
  return call(backend, "POST", "/auth/mfa", { body: { challenge, code: given }, address });
}

/** Signs in up to the challenge for a one-time code. */
export async function challengeOf(people: People, address?: string): Promise<string> {
  return (await login(people, people.codes, address ? { address } : {})).body.challenge;
}

/** Signs a person in, with the current one-time code if they have them. */
export async function signedIn(people: People, email: string) {
  const first = await login(people, email);
  const done = email === people.codes ? await answer(people, first.body.challenge, code(people)) : first;
  return done.body as { accessToken: string; refreshToken: string };
}

/** Posts a form to one of the `/oauth` calls. */
export async function form(backend: TestBackend, path: string, fields: Record<string, string>) {
  const response = await backend.app.inject({
    method: "POST",
    url: `${BASE_PATH}/oauth/${path}`,
    headers: { "content-type": "application/x-www-form-urlencoded" },
    payload: new URLSearchParams(fields).toString(),
  });
  return {
    status: response.statusCode,
    headers: response.headers,
    body: response.body === "" ? null : response.json(),
  };
}

/** Exchanges a refresh token. */
export function refresh(backend: TestBackend, refreshToken: string) {
  return form(backend, "token", { grant_type: "refresh_token", refresh_token: refreshToken });
}
