import { type Answer, html } from "../../client/backend.ts";
import { me, subscription } from "../support/builders.ts";
import { ADD, credential, ME, NO_TOKEN, OFFER, ok, person, piped, says } from "./answers.ts";
import type { ErrorCase } from "./stage.ts";

const LOGIN = "login --email admin@northwind.example --password-stdin";
const MFA = ok({ status: "mfa_required", challenge: "c", methods: ["totp"] });
const WRONG_CODE =
  "The one-time code is not right or was used already, or sign-in is paused for 15 minutes after repeated failures";
const GRANT = ok({
  device_code: "d",
  user_code: "WDJB-MJHT",
  verification_uri: "http://127.0.0.1/device",
  expires_in: 900,
});
const NO_ME = says("not_found", "There is no such call here");
const NOT_BY_TOKEN = "An API token cannot add or remove administrators; a signed-in administrator can";
const TOKEN = {
  id: "tok_1",
  name: "ci",
  scopes: ["billing:read"],
  createdAt: null,
  expiresAt: null,
  expiresIn: null,
  last4: "x_ci",
  spendLimit: null,
  createdBy: { email: "admin@northwind.example" },
};
const gbp = (amount: number) => ({ amount, currency: "GBP" });
const BUDGET = { amount: gbp(50_000), period: "month" as const, spent: gbp(40_000), left: gbp(10_000) };
const northwind = { id: 4201, name: "Northwind Labs", role: 0 };

/** What a backend says under `/oauth` (RFC 6749, section 5.2). */
const oauth = (error: string, description?: string): Answer => ({
  status: 400,
  json: { error, error_description: description },
  headers: { "content-type": "application/json" },
});

/** A sign-in that is kept, and has to be renewed first. */
const SIGNED_IN: Pick<ErrorCase, "env" | "world"> = {
  env: NO_TOKEN,
  world: (stage) => ({ credential: credential(stage) }),
};

/** Who somebody is, where, and what they may do (exit codes 2 to 5). */
export const SIGN_IN_CASES: readonly ErrorCase[] = [
  { code: "sign_in_not_offered", line: "login --web", env: NO_TOKEN, answers: [html(404)] },
  {
    code: "organization_required",
    line: "status",
    env: { SECUREFLAG_ORGANIZATION: "" },
    answers: [ok(me({ organizations: [northwind, { id: 4202, name: "Southwind Labs", role: 0 }] }))],
  },
  {
    code: "organization_required",
    when: "a user without organizations",
    line: "status",
    env: { SECUREFLAG_ORGANIZATION: "" },
    answers: [ok(me({ organizations: [] }))],
  },
  {
    code: "organization_required",
    when: "an invited user without organizations",
    line: "status",
    env: { SECUREFLAG_ORGANIZATION: "" },
    answers: [ok(me({ organizations: [], invitations: [northwind] }))],
  },
  {
    code: "forbidden",
    when: "an API token that adds an administrator",
    line: `${ADD} --role administrator`,
    answers: [says("forbidden", NOT_BY_TOKEN)],
  },
  {
    code: "forbidden",
    when: "an API token that accepts an invitation",
    line: "organizations accept 4201",
    answers: [says("forbidden", "Invitations are accepted by a signed-in person, not with an API token")],
  },
  {
    code: "not_found",
    when: "no invitation",
    line: "organizations accept 4201",
    answers: [says("not_found", "There is no invitation to organization 4201")],
  },
  {
    code: "organization_required",
    when: "a backend that does not report it",
    line: "status",
    env: { SECUREFLAG_ORGANIZATION: "" },
    answers: [NO_ME],
  },
  {
    code: "organization_required",
    when: "not signed in",
    line: "sandbox clock advance --to-renewal",
    env: { ...NO_TOKEN, SECUREFLAG_ORGANIZATION: "" },
  },
  {
    code: "keyring_unavailable",
    line: "login --with-token",
    env: NO_TOKEN,
    world: () => ({ hasKeyring: false, input: "sfl_1" }),
  },
  {
    code: "keyring_locked",
    line: "login --with-token",
    env: NO_TOKEN,
    world: () => ({ hasKeyring: false, isKeyringLocked: true, input: "sfl_1" }),
  },
  {
    code: "declined_by_person",
    when: "No to the credentials file",
    line: "login --with-token",
    env: NO_TOKEN,
    world: () => ({ hasKeyring: false, input: "sfl_1", isTerminal: true, answers: [false] }),
  },
  {
    code: "declined_by_person",
    line: "tokens revoke tok_1",
    answers: [ok({ items: [TOKEN], next: null })],
    world: person(false),
  },
  { code: "not_signed_in", line: "status", env: NO_TOKEN },
  { code: "not_signed_in", when: "without settings", line: "buy 5", env: { ...NO_TOKEN, SECUREFLAG_API_URL: "" } },
  { code: "not_signed_in", when: "a token and no backend", line: "quote 5", env: { SECUREFLAG_API_URL: "" } },
  {
    code: "users_not_offered",
    when: "a token and no backend",
    line: "users remove a@b.co --yes",
    env: { SECUREFLAG_API_URL: "" },
  },
  {
    code: "not_signed_in",
    when: "login without settings",
    line: "login",
    env: { ...NO_TOKEN, SECUREFLAG_API_URL: "" },
  },
  {
    code: "sign_in_not_offered",
    when: "at SecureFlag's API",
    line: "login --api-url https://api.secureflag.com/rest/management/v2",
    env: NO_TOKEN,
  },
  {
    code: "organization_required",
    when: "without settings",
    line: "login --with-token",
    env: { ...NO_TOKEN, SECUREFLAG_API_URL: "", SECUREFLAG_ORGANIZATION: "" },
  },
  {
    code: "not_signed_in",
    when: "signed in elsewhere",
    line: "status --api-url https://billing.northwind.example",
    ...SIGNED_IN,
  },
  {
    code: "unauthenticated",
    line: "status",
    answers: [says("unauthenticated", "The token is not valid here, or it has expired or was revoked")],
  },
  {
    code: "unauthenticated",
    when: "SecureFlag's own error",
    line: "users list",
    answers: [ok({ result: null, error: true, errorMsg: "unauthorized" })],
  },
  {
    code: "unauthenticated",
    when: "SECUREFLAG_API_TOKEN=tökén",
    line: "status",
    env: { SECUREFLAG_API_TOKEN: "tökén" },
  },
  {
    code: "unauthenticated",
    when: "a token over 8 KB",
    line: "status",
    env: { SECUREFLAG_API_TOKEN: "t".repeat(8193) },
  },
  {
    code: "unauthenticated",
    when: "an expired sign-in",
    line: "status",
    ...SIGNED_IN,
    answers: [oauth("invalid_grant", "The sign-in has ended")],
  },
  {
    code: "unauthenticated",
    line: LOGIN,
    env: NO_TOKEN,
    world: piped("wrong"),
    answers: [
      says(
        "unauthenticated",
        "The email or the password is not right, or sign-in is paused for 15 minutes after repeated failures",
      ),
    ],
  },
  {
    code: "not_signed_in",
    when: "an identity token without a trust",
    line: "status",
    env: { ...NO_TOKEN, SECUREFLAG_ID_TOKEN: "ey.x.y" },
  },
  {
    code: "not_signed_in",
    when: "a trust without an identity token",
    line: "status",
    env: { ...NO_TOKEN, SECUREFLAG_TRUST: "nightly" },
  },
  {
    code: "not_signed_in",
    when: "a trust in a job on GitHub that may not have an identity token",
    line: "status",
    env: { ...NO_TOKEN, SECUREFLAG_TRUST: "nightly", GITHUB_ACTIONS: "true" },
  },
  {
    code: "organization_required",
    when: "a trust",
    line: "status",
    env: { ...NO_TOKEN, SECUREFLAG_ORGANIZATION: "", SECUREFLAG_TRUST: "nightly", SECUREFLAG_ID_TOKEN: "ey.x.y" },
  },
  {
    code: "unauthenticated",
    when: "an identity token that does not match",
    line: "status",
    env: { ...NO_TOKEN, SECUREFLAG_TRUST: "nightly", SECUREFLAG_ID_TOKEN: "ey.x.y" },
    answers: [oauth("invalid_grant", "The identity token does not match the trust")],
  },
  {
    code: "not_found",
    when: "no trust of this name",
    line: "tokens trust remove nightly --yes",
    answers: [ok({ items: [], next: null })],
  },
  { code: "unauthenticated", when: "a gateway", line: "status", answers: [html(401)] },
  { code: "forbidden", when: "a gateway", line: "status", answers: [html(403)] },
  { code: "mfa_required", line: LOGIN, env: NO_TOKEN, world: piped("right"), answers: [MFA] },
  {
    code: "mfa_required",
    line: "tokens create --name ci --scopes billing:read",
    answers: [says("mfa_required", "This needs a one-time code given in the last 15 minutes")],
  },
  {
    code: "mfa_invalid",
    line: `${LOGIN} --totp 123456`,
    env: NO_TOKEN,
    world: piped("right"),
    answers: [MFA, says("mfa_invalid", WRONG_CODE)],
  },
  { code: "access_denied", line: "login --web", env: NO_TOKEN, answers: [GRANT, oauth("access_denied")] },
  { code: "expired_token", line: "login --web", env: NO_TOKEN, answers: [GRANT, oauth("expired_token")] },
  // Only a backend that mixes up its grants says these two where nobody waits for a browser.
  { code: "authorization_pending", line: "status", ...SIGNED_IN, answers: [oauth("authorization_pending")] },
  { code: "slow_down", line: "status", ...SIGNED_IN, answers: [oauth("slow_down")] },
  {
    code: "forbidden",
    line: "status",
    answers: [
      says(
        "forbidden",
        "This needs the role organization administrator; tim@northwind.example is team manager of Northwind Labs",
      ),
    ],
  },
  {
    code: "forbidden",
    line: "tokens list",
    answers: [says("forbidden", "API tokens are managed by a signed-in person, not by an API token")],
  },
  {
    code: "insufficient_scope",
    line: ADD,
    answers: [says("insufficient_scope", "This needs a token with the scope users:write")],
  },
  {
    code: "insufficient_scope",
    line: "buy 5 --dry-run",
    answers: [...OFFER, ok(me({ token: { ...me().token, scopes: ["billing:read"] } }))],
  },
  { code: "spending_limit_required", line: "mcp --allow-buy", when: "the token has no limit", answers: [ME] },
  {
    code: "spending_limit_required",
    line: "mcp --allow-buy",
    when: "a person is signed in",
    answers: [ok(me({ token: { ...me().token, name: null } }))],
  },
  {
    code: "spend_limit_exceeded",
    line: "buy 5 --yes",
    answers: [
      ...OFFER,
      says(
        "spend_limit_exceeded",
        'This purchase costs £244.10, and the token "ci" has £100.00 left of its £500.00 this month',
      ),
    ],
  },
  {
    code: "spend_limit_exceeded",
    line: "buy 5 --dry-run",
    answers: [
      ...OFFER,
      ok(
        me({
          token: {
            ...me().token,
            spendLimit: { amount: null, amountLeft: null, licenses: 10, licensesLeft: 3 },
          },
        }),
      ),
    ],
  },
  { code: "budget_exceeded", line: "buy 5 --yes", answers: [ok(subscription({ budget: BUDGET })), ...OFFER.slice(1)] },
  {
    code: "mfa_not_enrolled",
    line: "organizations policy set --budget none",
    answers: [ok(subscription()), says("mfa_not_enrolled", "ada@northwind.example has no authenticator app")],
  },
  {
    code: "needs_two_administrators",
    line: "organizations policy set --approval-above 500",
    answers: [
      ok(subscription()),
      says("needs_two_administrators", "The organization has only one administrator, and approvals need two"),
    ],
  },
  { code: "unexpected_answer", when: "a backend that does not report it", line: "whoami", answers: [NO_ME] },
];
