import type { Insertable, Kysely } from "kysely";
import type { ApiTokenRow, Database } from "../database/schema.ts";
import { ProblemError } from "../errors.ts";
import { type Change, recordEvent, recordEvents } from "../events/events.ts";

/** An API token with the email of the person who created it. */
export interface ApiTokenWithCreator extends ApiTokenRow {
  readonly email: string;
}

/** How many tokens that still work an organization may have. */
const MOST_TOKENS = 100;

/** A live API token by its hash; `now` by the machine's clock. */
export async function findApiToken(
  database: Kysely<Database>,
  tokenHash: string,
  now: number,
): Promise<ApiTokenRow | undefined> {
  return liveTokens(database, now).selectAll().where("token_hash", "=", tokenHash).executeTakeFirst();
}

function liveTokens(database: Kysely<Database>, now: number) {
  return database
    .selectFrom("api_tokens")
    .where("revoked_at", "is", null)
    .where((where) => where.or([where("expires_at", "is", null), where("expires_at", ">", now)]));
}

/** The API tokens of an organization that were not revoked, newest first. */
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
 * Adds an API token and tells the audit log of it, never more than `MOST_TOKENS` that work, whoever adds at the same
 * time.
 *
 * @param now the machine's clock, milliseconds: tokens expire by it
 * @throws ProblemError `invalid_request`
 */
export async function saveApiToken(
  database: Kysely<Database>,
  token: Insertable<Database["api_tokens"]>,
  change: Change,
  now: number,
): Promise<void> {
  await database.transaction().execute(async (tx) => {
    await lockOrganization(tx, token.organization_id);
    const { count } = await liveTokens(tx, now)
      .select((expression) => expression.fn.countAll<string | number>().as("count"))
      .where("organization_id", "=", token.organization_id)
      .executeTakeFirstOrThrow();
    if (Number(count) >= MOST_TOKENS) {
      throw new ProblemError(
        "invalid_request",
        `This organization has ${MOST_TOKENS} API tokens, the most there may be; revoke one that is not needed`,
      );
    }
    await tx.insertInto("api_tokens").values(token).execute();
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

/** Makes who else adds a token to the organization wait for the end of this transaction. */
async function lockOrganization(tx: Kysely<Database>, organizationId: number): Promise<void> {
  await tx
    .updateTable("organizations")
    .set((expression) => ({ name: expression.ref("name") }))
    .where("id", "=", organizationId)
    .execute();
}

/**
 * Ends an API token at once and tells the audit log of it; one that was revoked already stays as it is.
 *
 * @param now the machine's clock, milliseconds
 * @throws ProblemError `not_found`, for another organization's too
 */
export async function revokeToken(
  database: Kysely<Database>,
  token: { id: string; organizationId: number },
  change: Change,
  now: number,
): Promise<void> {
  await database.transaction().execute(async (tx) => {
    const own = await tx
      .selectFrom("api_tokens")
      .select("name")
      .where("id", "=", token.id)
      .where("organization_id", "=", token.organizationId)
      .executeTakeFirst();
    if (!own) throw new ProblemError("not_found", `There is no API token ${token.id} in this organization`);
    const revoked = await tx
      .updateTable("api_tokens")
      .set({ revoked_at: now })
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
 * Ends the API tokens that a person has in an organization, inside the transaction that removes them: who is added again
 * later begins without the old ones.
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
