import pLimit from "p-limit";
import type { z } from "zod";
import { canBuy } from "../../billing/roles.ts";
import {
  ACCESS_TOKEN_TYPE,
  type ExchangeAnswer,
  type TOKEN_EXCHANGE,
  type tokenRequestSchema,
} from "../../contract/identity.ts";
import { inTransaction } from "../database/transaction.ts";
import type { BackendDeps } from "../deps.ts";
import { recordEvent } from "../events/events.ts";
import { type TrustRule, type Verified, verifyIdentityToken } from "./identityToken.ts";
import { createIssuerKeys } from "./issuerKeys.ts";
import { hashToken } from "./secrets.ts";
import { ATTEMPT_WINDOW_MS, attempt } from "./sessions.ts";
import { OauthError } from "./signIn.ts";
import { findTrust, type LiveTrust, saveExchange } from "./tokenStore.ts";
import { newSecret } from "./tokens.ts";

const LIFE_SECONDS = 600;

/** How many refusals are counted at once. A token cannot be guessed: they are counted only to record the first one. */
const MAX_CONCURRENT = 2;

/** The longest part of a token's subject that the audit log keeps. */
const MAX_SUBJECT = 500;

/** The form of an exchange. */
type ExchangeForm = Extract<z.infer<typeof tokenRequestSchema>, { grant_type: typeof TOKEN_EXCHANGE }>;

/** Who asks for an exchange: the network address, and the origin that they reach the backend by. */
interface Asked {
  readonly address: string;
  readonly origin: string;
}

/**
 * Creates the function that exchanges identity tokens (RFC 8693): it returns a token of 10 minutes with the scopes and limits
 * of a trust. Every refusal is the same, so that nobody learns which trusts exist; the organization's audit log says why.
 *
 * @returns a function that throws OauthError `invalid_grant`, and BackendError `unavailable` if the issuer's keys cannot be
 *   read
 */
export function createExchange(deps: BackendDeps): (form: ExchangeForm, asked: Asked) => Promise<ExchangeAnswer> {
  const keys = createIssuerKeys(deps);
  const inTurn = pLimit(MAX_CONCURRENT);

  async function verify(trust: LiveTrust | undefined, token: string, audience: string): Promise<Verified> {
    if (!trust) return { refusal: "no such trust" };
    if (!canBuy(trust.role)) return { refusal: "its creator is no administrator" };
    const rule = JSON.parse(trust.trust_json) as TrustRule;
    return verifyIdentityToken(keys, token, rule, { audience, now: deps.now() });
  }

  return async (form, { address, origin }) => {
    const trust = await findTrust(deps.database, Number(form.organization), form.trust);
    const verified = await verify(trust, form.subject_token, origin);
    if (!trust || "refusal" in verified) {
      // Accounts and addresses are lower case, so that neither is that of a person who signs in.
      const place = { account: `TRUST ${form.organization} ${form.trust}`, address: `TRUST ${address}` };
      await inTurn(() =>
        attempt(deps, place, async (isLocked) => {
          if (!isLocked && trust && "refusal" in verified) {
            await recordFirstRefusal(deps, trust, place.account, verified.refusal);
          }
          return null;
        }),
      );
      throw refused();
    }
    const { claims } = verified;
    const secret = newSecret(deps.random);
    const subject = typeof claims.sub === "string" ? claims.sub.slice(0, MAX_SUBJECT) : null;
    await saveExchange(
      deps.database,
      trust,
      { hash: hashToken(secret), expiresAt: deps.now() + LIFE_SECONDS * 1_000 },
      { actor: actorOf(trust), at: deps.clock.now(), data: { tokenId: trust.id, name: trust.name, subject } },
    );
    return {
      access_token: secret,
      issued_token_type: ACCESS_TOKEN_TYPE,
      token_type: "Bearer",
      expires_in: LIFE_SECONDS,
      scope: (JSON.parse(trust.scopes_json) as string[]).join(" "),
    };
  };
}

/** Records why a trust was refused, once in the window in which failures count, so that nobody can fill the audit log. */
async function recordFirstRefusal(deps: BackendDeps, trust: LiveTrust, account: string, reason: string): Promise<void> {
  const { organization_id: organizationId, id: tokenId, name } = trust;
  const attempts = await deps.database
    .selectFrom("sign_in_attempts")
    .select("id")
    .where("at", ">=", deps.now() - ATTEMPT_WINDOW_MS)
    .where("email_key", "=", account)
    .limit(2)
    .execute();
  if (attempts.length > 1) return;
  const data = { tokenId, name, reason };
  const event = { organizationId, at: deps.clock.now(), type: "trust.refused", actor: actorOf(trust), data };
  await inTransaction(deps.database, (tx) => recordEvent(tx, event));
}

function actorOf({ name }: Pick<LiveTrust, "name">): string {
  return `token ${name}`;
}

function refused(): OauthError {
  return new OauthError("invalid_grant", "The identity token does not match the trust");
}
