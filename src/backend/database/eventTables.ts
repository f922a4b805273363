/** An entry of the audit log. */
export interface EventTable {
  organization_id: number;
  /** Counts the entries of the organization, in the order of their commits. */
  number: number;
  at: number;
  type: string;
  actor: string;
  purchase_id: string | null;
  data_json: string;
}

/** The hash of an entry of the audit log, which depends on all before it (src/contract/README.md, Event log). */
export interface EventHashTable {
  organization_id: number;
  number: number;
  /** 64 hexadecimal digits. */
  hash: string;
}

/** A signed statement of the hash that an entry of the audit log has. */
export interface CheckpointTable {
  organization_id: number;
  number: number;
  hash: string;
  /** Billing clock. */
  at: number;
  key_id: string;
  /** Base64url. */
  signature: string;
}

/** A key that signs checkpoints. It belongs to no organization. */
export interface EventKeyTable {
  /** Counts the keys. */
  number: number;
  id: string;
  /** A JWK, as JSON text. */
  public_key: string;
  /** An encrypted JWK. */
  private_key: string;
}
