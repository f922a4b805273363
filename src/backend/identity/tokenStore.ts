import type { Insertable, Kysely } from "kysely";
import type { ApiTokenRow, Database } from "../database/schema.ts";
import { inTransaction } from "../database/transaction.ts";
import { BackendError } from "../errors.ts";
import { type Change, recordEvent, recordEvents } from "../events/events.ts";

/** An API token with the email of the person who created it. */
export interface ApiTokenWithCreator extends ApiTokenRow {
  readonly email: string;
}

/** How many live tokens an organization may have. */
const MAX_TOKENS = 100;

function liveTokens(database: Kysely<Database>, now: number) {
  return database
    .selectFrom("api_tokens")
    .where("revoked_at", "is", null)
    .where((where) => where.or([where("expires_at", "is", null), where("expires_at", ">", now)]));
}

/** Lists the API tokens of an organization that were not revoked, newest first. */
export async function listApiTokens(
  database: Kysely<Database>,
  organizationId: number,
): Promise<ApiTokenWithCreator[]> {
  return database
    .selectFrom("api_tokens")
    .innerJoin("users", "users.id", "api_tokens.user_id")
    .selectAll("api_tokens")
    .select("users.email")
    .where("organization_id", "=", organizationId)
    .where("revoked_at", "is", null)
    .orderBy((expression) => expression.fn.coalesce("created_at", expression.lit(0)), "desc")
    .orderBy("api_tokens.id")
    .execute();
}

/**
 * Stores an API token with its hash, and records it in the audit log. An organization never has more than `MAX_TOKENS` live ones, also
 * when they are added in parallel.
 *
 * @param change `now` is the machine's clock, milliseconds
 * @throws BackendError `invalid_request`
 */
export async function saveApiToken(
  database: Kysely<Database>,
  token: Insertable<Database["api_tokens"]>,
  tokenHash: string,
  change: Change & { now: number },
): Promise<void> {
  await inTransaction(database, async (tx) => {
    await lockOrganization(tx, token.organization_id);
    const { count } = await liveTokens(tx, change.now)
      .select((expression) => expression.fn.countAll<string | number>().as("count"))
      .where("organization_id", "=", token.organization_id)
      .executeTakeFirstOrThrow();
    if (Number(count) >= MAX_TOKENS) {
      throw new BackendError(
        "invalid_request",
        `This organization has ${MAX_TOKENS} API tokens, the maximum; revoke one first`,
      );
    }
    await tx.insertInto("api_tokens").values(token).execute();
    await tx
      .insertInto("token_index")
      .values({ token_hash: tokenHash, organization_id: token.organization_id, token_id: token.id })
      .execute();
    await recordEvent(tx, {
      organizationId: token.organization_id,
      at: change.at,
      type: "token.created",
      actor: change.actor,
      data: {
        tokenId: token.id,
        name: token.name,
        scopes: JSON.parse(token.scopes_json) as string[],
        expiresAt: token.expires_at,
        limitAmount: token.limit_amount,
        limitLicenses: token.limit_licenses,
      },
    });
  });
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
 * Revokes an API token and records it in the audit log; does nothing if it was revoked before.
 *
 * @param now the machine's clock, milliseconds
 * @throws BackendError `not_found`, also for another organization's token
 */
export async function revokeToken(
  database: Kysely<Database>,
  token: { id: string; organizationId: number },
  change: Change,
  now: number,
): Promise<void> {
  await inTransaction(database, async (tx) => {
    const own = await tx
      .selectFrom("api_tokens")
      .select("name")
      .where("id", "=", token.id)
      .where("organization_id", "=", token.organizationId)
      .executeTakeFirst();
    if (!own) throw new BackendError("not_found", `API token ${token.id} not found in this organization`);
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
      type: "token.revoked",
      actor: change.actor,
      data: { tokenId: token.id, name: own.name },
    });
  });
}

/**
 * Revokes a person's API tokens of an organization, within the transaction that removes the person, so that they do not
 * work again if the person is added again.
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
    .returning(["id", "name"])
    .execute();
  const events = revoked.map(({ id, name }) => ({ type: "token.revoked", data: { tokenId: id, name } }));
  await recordEvents(tx, { ...change, organizationId: person.organizationId }, events);
}
