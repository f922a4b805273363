import type { Insertable, Kysely } from "kysely";
import { TRUST_PREFIX } from "../../contract/constants.ts";
import type { ApiTokenRow, Database } from "../database/schema.ts";
import { inTransaction } from "../database/transaction.ts";
import { BackendError } from "../errors.ts";
import { type Change, recordEvent, recordEvents } from "../events/events.ts";

/** An API token with the email of the person who created it. */
export interface ApiTokenWithCreator extends ApiTokenRow {
  readonly email: string;
}

/** An API token, or a trust by which such tokens are issued. */
type TokenKind = "token" | "trust";

const IS_KIND = { token: "is", trust: "is not" } as const;

/** What the audit log calls that one is revoked. */
const REVOCATIONS = { token: "token.revoked", trust: "trust.removed" } as const;

/** How many live tokens and trusts an organization may have. */
const MAX_TOKENS = 100;

function liveTokens(database: Kysely<Database>, now: number) {
  return database
    .selectFrom("api_tokens")
    .where("revoked_at", "is", null)
    .where((where) => where.or([where("expires_at", "is", null), where("expires_at", ">", now)]));
}

/** Lists the API tokens, or the trusts, of an organization that were not revoked, newest first. */
export async function listApiTokens(
  database: Kysely<Database>,
  organizationId: number,
  kind: TokenKind,
): Promise<ApiTokenWithCreator[]> {
  return database
    .selectFrom("api_tokens")
    .innerJoin("users", "users.id", "api_tokens.user_id")
    .selectAll("api_tokens")
    .select("users.email")
    .where("organization_id", "=", organizationId)
    .where("revoked_at", "is", null)
    .where("trust_json", IS_KIND[kind], null)
    .orderBy((expression) => expression.fn.coalesce("created_at", expression.lit(0)), "desc")
    .orderBy("api_tokens.id")
    .execute();
}

/**
 * Stores an API token with its hash, or a trust without one, and records it in the audit log. An organization never has more
 * than `MAX_TOKENS` live ones, nor two trusts of a name, also when they are added in parallel.
 *
 * @param change `now` is the machine's clock, milliseconds
 * @throws BackendError `invalid_request`
 */
export async function saveApiToken(
  database: Kysely<Database>,
  token: Insertable<Database["api_tokens"]>,
  tokenHash: string | null,
  change: Change & { now: number },
): Promise<void> {
  const trust = token.trust_json ? (JSON.parse(token.trust_json) as Record<string, unknown>) : null;
  await inTransaction(database, async (tx) => {
    await lockOrganization(tx, token.organization_id);
    const { count } = await liveTokens(tx, change.now)
      .select((expression) => expression.fn.countAll<string | number>().as("count"))
      .where("organization_id", "=", token.organization_id)
      .executeTakeFirstOrThrow();
    if (Number(count) >= MAX_TOKENS) {
      throw new BackendError(
        "invalid_request",
        `This organization has ${MAX_TOKENS} API tokens and trusts, the maximum; revoke one first`,
      );
    }
    if (trust !== null) await assertNameIsFree(tx, token);
    await tx.insertInto("api_tokens").values(token).execute();
    if (tokenHash !== null) {
      await tx
        .insertInto("token_index")
        .values({ token_hash: tokenHash, organization_id: token.organization_id, token_id: token.id })
        .execute();
    }
    await recordEvent(tx, {
      organizationId: token.organization_id,
      at: change.at,
      type: trust === null ? "token.created" : "trust.added",
      actor: change.actor,
      data: {
        tokenId: token.id,
        name: token.name,
        scopes: JSON.parse(token.scopes_json) as string[],
        expiresAt: token.expires_at,
        limitAmount: token.limit_amount,
        limitLicenses: token.limit_licenses,
        ...trust,
      },
    });
  });
}

/** @throws BackendError `invalid_request` */
async function assertNameIsFree(
  tx: Kysely<Database>,
  trust: Pick<Insertable<Database["api_tokens"]>, "organization_id" | "name">,
): Promise<void> {
  const same = await tx
    .selectFrom("api_tokens")
    .select("id")
    .where("organization_id", "=", trust.organization_id)
    .where("name", "=", trust.name)
    .where("revoked_at", "is", null)
    .where("trust_json", IS_KIND.trust, null)
    .executeTakeFirst();
  if (!same) return;
  const message = `This organization already has the trust ${trust.name.slice(TRUST_PREFIX.length)}; remove it first`;
  throw new BackendError("invalid_request", message, { errors: [{ path: "name", message }] });
}

/** Makes parallel transactions that add tokens wait for this one. */
async function lockOrganization(tx: Kysely<Database>, organizationId: number): Promise<void> {
  await tx
    .updateTable("organizations")
    .set((expression) => ({ name: expression.ref("name") }))
    .where("id", "=", organizationId)
    .execute();
}

/**
 * Revokes an API token, or removes a trust, and records it in the audit log; does nothing if it was done before.
 *
 * @param now the machine's clock, milliseconds
 * @throws BackendError `not_found`, also for another organization's token
 */
export async function revokeToken(
  database: Kysely<Database>,
  token: { id: string; organizationId: number; kind: TokenKind },
  change: Change,
  now: number,
): Promise<void> {
  await inTransaction(database, async (tx) => {
    const own = await tx
      .selectFrom("api_tokens")
      .select("name")
      .where("id", "=", token.id)
      .where("organization_id", "=", token.organizationId)
      .where("trust_json", IS_KIND[token.kind], null)
      .executeTakeFirst();
    const noun = token.kind === "token" ? "API token" : "Trust";
    if (!own) throw new BackendError("not_found", `${noun} ${token.id} not found in this organization`);
    const revoked = await tx
      .updateTable("api_tokens")
      .set({ revoked_at: now })
      .where("organization_id", "=", token.organizationId)
      .where("id", "=", token.id)
      .where("revoked_at", "is", null)
      .executeTakeFirst();
    if (Number(revoked.numUpdatedRows) === 0) return;
    await recordEvent(tx, {
      organizationId: token.organizationId,
      at: change.at,
      type: REVOCATIONS[token.kind],
      actor: change.actor,
      data: { tokenId: token.id, name: own.name },
    });
  });
}

/**
 * Revokes a person's API tokens and trusts of an organization, within the transaction that removes the person, so that they
 * do not work again if the person is added again.
 *
 * @param now the machine's clock, milliseconds
 */
export async function revokeTokensOf(
  tx: Kysely<Database>,
  person: { id: number; organizationId: number },
  change: Change,
  now: number,
): Promise<void> {
  const revoked = await tx
    .updateTable("api_tokens")
    .set({ revoked_at: now })
    .where("organization_id", "=", person.organizationId)
    .where("user_id", "=", person.id)
    .where("revoked_at", "is", null)
    .returning(["id", "name", "trust_json"])
    .execute();
  const events = revoked.map(({ id, name, trust_json }) => ({
    type: REVOCATIONS[trust_json === null ? "token" : "trust"],
    data: { tokenId: id, name },
  }));
  await recordEvents(tx, { ...change, organizationId: person.organizationId }, events);
}

/** A trust that is in force, with what its creator is. */
export interface LiveTrust extends ApiTokenWithCreator {
  readonly trust_json: string;
  /** The creator's role in the organization now. */
  readonly role: number;
}

/** Finds a trust by its name, if it was not removed and its creator is still a member of the organization. */
export async function findTrust(
  database: Kysely<Database>,
  organizationId: number,
  name: string,
): Promise<LiveTrust | undefined> {
  const found = await database
    .selectFrom("api_tokens as t")
    .innerJoin("members as m", (join) =>
      join.onRef("m.organization_id", "=", "t.organization_id").onRef("m.user_id", "=", "t.user_id"),
    )
    .selectAll("t")
    .select(["m.email", "m.role"])
    .where("t.organization_id", "=", organizationId)
    .where("t.name", "=", `${TRUST_PREFIX}${name}`)
    .where("t.revoked_at", "is", null)
    .where("t.trust_json", IS_KIND.trust, null)
    .where("m.status", "!=", "REMOVED")
    .where("m.accepted", "=", 1)
    .executeTakeFirst();
  return found?.trust_json ? { ...found, trust_json: found.trust_json } : undefined;
}

/** Stores the hash of a token that an identity token was exchanged for, and records the exchange in the audit log. */
export async function saveExchange(
  database: Kysely<Database>,
  trust: ApiTokenRow,
  token: { hash: string; expiresAt: number },
  change: Change & { data: Readonly<Record<string, unknown>> },
): Promise<void> {
  await inTransaction(database, async (tx) => {
    const { organization_id, id: token_id } = trust;
    await tx
      .insertInto("token_index")
      .values({ token_hash: token.hash, organization_id, token_id, expires_at: token.expiresAt })
      .execute();
    await recordEvent(tx, { ...change, organizationId: organization_id, type: "trust.exchanged" });
  });
}
