import * as z from "zod";
import { integerTextSchema } from "../basics.ts";
import type { Scope } from "../scopes.ts";

/** The largest request body where an operation does not say otherwise (security.md, Hostile input). */
export const MAX_BODY_BYTES = 64 * 1024;

/** Who may make a call. */
type Access = Scope | "administrator" | "signed_in" | "public";

/** One call of the contract. The backend registers its routes from these, the client calls by them, OpenAPI shows them. */
export interface Operation {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** With parameters as `{name}`, below `BASE_PATH` or below the root. */
  readonly path: string;
  readonly atRoot?: true;
  readonly summary: string;
  /**
   * The scope that a token needs; `administrator` for the session of a signed-in organization administrator (no API
   * token), `signed_in` for any live token, `public` for none.
   */
  readonly access: Access;
  /** Whether a session of a user with one-time codes needs one of the last 15 minutes (details.md, 17). */
  readonly freshCode?: true;
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodType;
  /** How the body travels: JSON unless said. */
  readonly bodyType?: "form";
  /** The largest body: `MAX_BODY_BYTES` unless said. */
  readonly maxBodyBytes?: number;
  /** Another form that the answer takes where `Accept` asks for it. */
  readonly alsoAs?: "application/pdf";
  /** Whether the call needs an `Idempotency-Key`. */
  readonly idempotent?: true;
  /** Statuses of success with their bodies; `null` is no body. */
  readonly answers: Readonly<Record<number, z.ZodType | null>>;
}

/** The organization in a path. */
export const organizationParams = z.object({ organizationId: integerTextSchema });
