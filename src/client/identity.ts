import type { z } from "zod";
import {
  type ApiToken,
  CLIENT_ID,
  type CreatedToken,
  type CreateTokenRequest,
  DEVICE_GRANT,
  type DeviceAuthorization,
  type ExchangeAnswer,
  JWT_TYPE,
  type loginAnswerSchema,
  type Me,
  type SessionTokens,
  TOKEN_EXCHANGE,
  type tokenAnswerSchema,
} from "../contract/identity.ts";
import type { AddTrustRequest, Trust } from "../contract/trusts.ts";
import type { Caller } from "./call.ts";
import { ClientError } from "./errors.ts";
import { outcomeUnknown } from "./outcome.ts";

/** The answer to a right password. */
type LoginAnswer = z.infer<typeof loginAnswerSchema>;

/** A new pair of tokens. */
export type TokenAnswer = z.infer<typeof tokenAnswerSchema>;

/** An identity token, and the trust that it is exchanged by. */
interface ExchangeRequest {
  readonly organizationId: number;
  readonly trust: string;
  readonly identityToken: string;
}

/** The calls about identity and tokens. Every method throws `ClientError`. */
export interface IdentityCalls {
  /** Never repeated. */
  login(credentials: { email: string; password: string }): Promise<LoginAnswer>;
  /** Finishes signing in with a one-time code. Never repeated; `mfa_invalid` leaves the challenge usable. */
  mfa(challenge: string, code: string): Promise<SessionTokens>;
  /** Begins to sign in with a browser (RFC 8628). Never repeated; `sign_in_not_offered` where the backend has no such thing. */
  authorizeDevice(): Promise<DeviceAuthorization>;
  /**
   * Asks once for the tokens of a device code. Throws `authorization_pending`, `slow_down`, `access_denied` and
   * `expired_token` as RFC 8628, section 3.5, means them.
   */
  deviceTokens(deviceCode: string): Promise<TokenAnswer>;
  /** Repeated only while it certainly never left: a refresh token is good for one use. */
  refresh(refreshToken: string): Promise<TokenAnswer>;
  /** Exchanges an identity token for a token of an organization's trust (RFC 8693). */
  exchange(request: ExchangeRequest): Promise<ExchangeAnswer>;
  /** Never repeated. */
  revoke(token: string): Promise<void>;
  me(): Promise<Me>;
  /**
   * Accepts the invitation of an organization; accepting again changes nothing. `outcome_unknown` where an answer was
   * lost and no refusal came after it.
   */
  acceptInvitation(organizationId: number): Promise<Me["organizations"][number]>;
  /** The API tokens that were not revoked, newest first. */
  tokens(organizationId: number): Promise<ApiToken[]>;
  /**
   * Never repeated, and `outcome_unknown` where the answer is lost: then the token may exist, and its secret is lost.
   */
  createToken(organizationId: number, request: CreateTokenRequest): Promise<CreatedToken>;
  /** `outcome_unknown` where an answer was lost and no refusal came after it. */
  revokeApiToken(organizationId: number, tokenId: string): Promise<void>;
  /** The trusts that were not removed, newest first. */
  trusts(organizationId: number): Promise<Trust[]>;
  /** Never repeated, and `outcome_unknown` where the answer is lost: then the trust may exist. */
  addTrust(organizationId: number, request: AddTrustRequest): Promise<Trust>;
  /** `outcome_unknown` where an answer was lost and no refusal came after it. */
  removeTrust(organizationId: number, trustId: string): Promise<void>;
}

/** The calls of `IdentityCalls` at one backend. */
export function identityCalls(caller: Caller): IdentityCalls {
  return { ...sessionCalls(caller), ...deviceCalls(caller), ...tokenCalls(caller), ...trustCalls(caller) };
}

const ACCEPTED_HINT = "See `secureflag-licenses organizations list`. Running the same command again is safe.";

type SessionCalls = "login" | "mfa" | "refresh" | "revoke" | "me" | "acceptInvitation";

function sessionCalls(caller: Caller): Pick<IdentityCalls, SessionCalls> {
  return {
    login: async (body) => (await caller.call("login", { body, repeat: "never" })).value,
    mfa: async (challenge, code) => (await caller.call("mfa", { body: { challenge, code }, repeat: "never" })).value,
    refresh: async (refreshToken) => {
      const body = { grant_type: "refresh_token", refresh_token: refreshToken, client_id: CLIENT_ID };
      return sessionOf((await caller.call("token", { body, repeat: "unsent" })).value);
    },
    revoke: async (token) => {
      await caller.call("revokeToken", { body: { token }, repeat: "never" });
    },
    me: async () => (await caller.call("me", { repeat: "transient" })).value,
    acceptInvitation: async (organizationId) => {
      const input = { params: { organizationId }, repeat: "transient" } as const;
      const { value } = await caller.change("acceptInvitation", input, ACCEPTED_HINT);
      if (value.id === organizationId) return value;
      const message = `The backend was asked for organization ${organizationId} and answered with ${value.id}`;
      throw outcomeUnknown(new ClientError("unexpected_answer", message), ACCEPTED_HINT);
    },
  };
}

function deviceCalls(caller: Caller): Pick<IdentityCalls, "authorizeDevice" | "deviceTokens"> {
  return {
    authorizeDevice: async () => {
      const body = { client_id: CLIENT_ID };
      return (await caller.call("deviceAuthorization", { body, repeat: "never" })).value;
    },
    deviceTokens: async (deviceCode) => {
      const body = { grant_type: DEVICE_GRANT, device_code: deviceCode, client_id: CLIENT_ID };
      return sessionOf((await caller.call("token", { body, repeat: "never" })).value);
    },
  };
}

/** A pair of tokens: `POST /oauth/token` answers an exchange with a single one. */
function sessionOf(answer: TokenAnswer | ExchangeAnswer): TokenAnswer {
  if ("refresh_token" in answer) return answer;
  throw new ClientError("unexpected_answer", "The backend answered without a refresh token");
}

const CREATED_HINT = "If `secureflag-licenses tokens list` shows it, revoke it: its secret is lost.";
const REVOKED_HINT = "See `secureflag-licenses tokens list`. Running the same command again is safe.";

function tokenCalls(caller: Caller): Pick<IdentityCalls, "tokens" | "createToken" | "revokeApiToken"> {
  return {
    tokens: async (organizationId) =>
      (await caller.call("listTokens", { params: { organizationId }, repeat: "transient" })).value.items,
    createToken: async (organizationId, body) =>
      (await caller.change("createToken", { params: { organizationId }, body, repeat: "never" }, CREATED_HINT)).value,
    revokeApiToken: async (organizationId, tokenId) => {
      const params = { organizationId, tokenId };
      await caller.change("revokeApiToken", { params, repeat: "transient" }, REVOKED_HINT);
    },
  };
}

const ADDED_HINT = "See `secureflag-licenses tokens trust list` before you add it again.";
const REMOVED_HINT = "See `secureflag-licenses tokens trust list`. Running the same command again is safe.";

function trustCalls(caller: Caller): Pick<IdentityCalls, "exchange" | "trusts" | "addTrust" | "removeTrust"> {
  return {
    exchange: async ({ organizationId, trust, identityToken }) => {
      const body = {
        grant_type: TOKEN_EXCHANGE,
        subject_token: identityToken,
        subject_token_type: JWT_TYPE,
        organization: String(organizationId),
        trust,
      };
      const { value } = await caller.call("token", { body, repeat: "transient" });
      if ("issued_token_type" in value) return value;
      throw new ClientError("unexpected_answer", "The backend answered an exchange with another kind of token");
    },
    trusts: async (organizationId) =>
      (await caller.call("listTrusts", { params: { organizationId }, repeat: "transient" })).value.items,
    addTrust: async (organizationId, body) =>
      (await caller.change("addTrust", { params: { organizationId }, body, repeat: "never" }, ADDED_HINT)).value,
    removeTrust: async (organizationId, trustId) => {
      const params = { organizationId, trustId };
      await caller.change("removeTrust", { params, repeat: "transient" }, REMOVED_HINT);
    },
  };
}
