/** What a token may do (contract.md). A session of a signed-in person has all of them; the role still decides. */
export const SCOPES = ["billing:read", "billing:purchase", "users:read", "users:write"] as const;

/** One of the scopes. */
export type Scope = (typeof SCOPES)[number];

/** The longest that an API token lives, in days, and how long unless it is said. */
export const TOKEN_DAYS = { longest: 366, usual: 90 } as const;
