/** The path under which every call of the contract lives, except those marked `atRoot`. */
export const BASE_PATH = "/rest/management/v2";

/** What a token may do. A session has all of them, and the person's role still decides. */
export const SCOPES = ["billing:read", "billing:purchase", "users:read", "users:write"] as const;

/** One of the scopes. */
export type Scope = (typeof SCOPES)[number];

/** The longest lifetime of an API token, in days. */
export const MAX_TOKEN_DAYS = 366;

/** The lifetime of an API token unless another one is given, in days. */
export const DEFAULT_TOKEN_DAYS = 90;

/** What a trust's tokens are called: this and the name of the trust. */
export const TRUST_PREFIX = "trust:";

/** What an organization can assign to the users who are added to it. */
export const ASSIGNMENT_STRATEGIES = ["NONE", "INITIAL_PLAN", "INITIAL_PATH", "INITIAL_LABS"] as const;

/** One of the assignment strategies. */
export type AssignmentStrategy = (typeof ASSIGNMENT_STRATEGIES)[number];

/** How far one call moves a sandbox's clock, so that the call ends before a client times out. */
export const MAX_CLOCK_YEARS = 25;

/** The days of `MAX_CLOCK_YEARS`, counting as many leap days as they can have. */
export const MAX_CLOCK_DAYS = 9_132;

/** What a report can be grouped by: who bought, the API token they used, or the purchase order. */
export const REPORT_KEYS = ["buyer", "token", "po"] as const;

/** What a report can be grouped by. */
export type ReportKey = (typeof REPORT_KEYS)[number];

/** The most months of a report. */
export const MAX_REPORT_MONTHS = 120;
