import * as z from "zod";
import { integerTextSchema } from "../basics.ts";
import type { Scope } from "../constants.ts";

/** The largest request body of an operation without a limit of its own. */
export const MAX_BODY_BYTES = 64 * 1024;

/** Who may call an operation. */
type Access = Scope | "administrator" | "signed_in" | "public";

/** One call of the contract. The backend's routes, the client's calls and `openapi.json` are made from it. */
export interface Operation {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** With parameters as `{name}`, relative to `BASE_PATH`, or to the root with `atRoot`. */
  readonly path: string;
  readonly atRoot?: true;
  /** Whether only a sandbox has it. */
  readonly sandboxOnly?: true;
  readonly summary: string;
  /**
   * The required scope; `administrator` for the session of an organization administrator (not an API token), `signed_in`
   * for any valid token, `public` for no token.
   */
  readonly access: Access;
  /**
   * Whether the session of a user with one-time codes needs one from the last 15 minutes; `enrolled` also refuses the session
   * of a user without them.
   */
  readonly freshCode?: true | "enrolled";
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodType;
  /** The encoding of the body; JSON by default. */
  readonly bodyType?: "form";
  /** The largest body; `MAX_BODY_BYTES` by default. */
  readonly maxBodyBytes?: number;
  /** The other media type of the answer, by `Accept`. */
  readonly alsoAs?: "application/pdf";
  /** Whether the call requires an `Idempotency-Key`. */
  readonly idempotent?: true;
  /** The bodies of success by HTTP status; `null` is no body. */
  readonly answers: Readonly<Record<number, z.ZodType | null>>;
}

/** The path parameter of an organization. */
export const organizationParams = z.object({ organizationId: integerTextSchema });
