import type { Generated } from "kysely";

/**
 * A person, who signs in once for all of their organizations; what an organization sees of them is in its membership.
 * `password_hash` is null until a seed's password is hashed, and empty without a password.
 */
export interface UserTable {
  id: Generated<number>;
  /** Unused, because SQLite cannot drop a unique column. */
  uuid: string;
  email: string;
  /** `emailKey` of the email. */
  email_key: string;
  password_hash: string | null;
  totp_secret: string | null;
}

/** A person in one organization, with what that organization entered. Nothing is shared with other organizations. */
export interface MemberTable {
  /** The `idUser` that the organization sees. */
  id: Generated<number>;
  organization_id: number;
  user_id: number;
  uuid: string;
  email: string;
  first_name: string | null;
  last_name: string | null;
  role: number;
  admin_no_training: number;
  status: "ACTIVE" | "INVITED" | "REMOVED";
  joined_at: number | null;
  /** When they were last added, billing clock; `null` if that is not known. */
  added_at: Generated<number | null>;
  /** When the person last signed in since they belong to the organization, billing clock. */
  last_login: Generated<number | null>;
  /** The organization's strategy when they were last added. */
  assignment_strategy: string;
  /** 0 while a person of another organization is only invited, who takes a license and has no access. */
  accepted: number;
  /** Since when they are an administrator without a break, billing clock; `null` for one from before this was kept. */
  administrator_since: Generated<number | null>;
  /** When they were last an administrator, if they no longer are. */
  administrator_until: Generated<number | null>;
}

/** An API token, or a trust that identity tokens are exchanged for such tokens by. It belongs to one organization. */
export interface ApiTokenTable {
  id: string;
  organization_id: number;
  user_id: number;
  name: string;
  scopes_json: string;
  expires_at: number | null;
  revoked_at: number | null;
  limit_amount: number | null;
  limit_licenses: number | null;
  created_at: number | null;
  last4: string | null;
  /** Of a trust: what an identity token must say, a `TrustRule`; `null` of a token. */
  trust_json: Generated<string | null>;
}

/** Where the token of a hash is. */
export interface TokenIndexTable {
  token_hash: string;
  organization_id: number;
  token_id: string;
  /** When a token that was exchanged by a trust expires, machine clock; `null` for the token's own expiry. */
  expires_at: Generated<number | null>;
}

/** A session. After a rotation the previous refresh token works once more for a minute (src/backend/README.md, Sign-in). */
export interface SessionTable {
  id: string;
  user_id: number;
  access_hash: string;
  access_expires_at: number;
  refresh_hash: string;
  refresh_expires_at: number;
  previous_refresh_hash: string | null;
  rotated_at: number | null;
  revoked_at: number | null;
  /** When the person last entered a one-time code. */
  mfa_at: number | null;
}

/**
 * Proof of a step of signing in: `mfa` of the right password, `page` of a complete sign-in on a page; `setup` lets a new
 * administrator choose a password.
 */
export interface TicketTable {
  ticket_hash: string;
  user_id: number;
  kind: "mfa" | "page" | "setup";
  tries: number;
  mfa_at: number | null;
  expires_at: number;
}

/** A device authorization (RFC 8628). `used` is approved and exchanged for tokens. Instants are by the machine's clock. */
export interface DeviceGrantTable {
  device_code_hash: string;
  user_code_hash: string;
  client_id: string;
  address: string;
  created_at: number;
  expires_at: number;
  interval_seconds: number;
  polled_at: number | null;
  /** Failed sign-ins with its user code. */
  tries: number;
  state: "pending" | "approved" | "denied" | "used";
  user_id: number | null;
  mfa_at: number | null;
}
