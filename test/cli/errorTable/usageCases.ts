import { type Answer, problem } from "../../client/backend.ts";
import { user } from "../support/builders.ts";
import { ADD, NO_TOKEN, OFFER, ok, READ, says } from "./answers.ts";
import type { ErrorCase } from "./stage.ts";

const LOGIN = "login --email admin@northwind.example --password-stdin";
const TWO_USERS: readonly Answer[] = [ok([user(), user({ idUser: 8, email: "Ada@northwind.example" })]), ok([])];

/** What was typed, or is set, and cannot be used (exit code 2). */
export const USAGE_CASES: readonly ErrorCase[] = [
  ...[
    { line: "sttus" },
    { line: "status --jsn" },
    { line: "status now" },
    { line: "purchases" },
    { line: "help nothing" },
    { line: "status --token t" },
    { line: "login --password p" },
    { line: "status --api-url api.secureflag.com" },
    { line: "status", when: "SECUREFLAG_PROFILE=__proto__", env: { SECUREFLAG_PROFILE: "__proto__" } },
    { line: "status", when: "SECUREFLAG_ORGANIZATION=northwind", env: { SECUREFLAG_ORGANIZATION: "northwind" } },
    { line: "buy" },
    { line: "buy five" },
    { line: "buy 5" },
    { line: "buy 5 --from quote.json" },
    { line: "buy --from quote.json --idempotency-key k" },
    { line: "buy 5 --yes --max-total £500" },
    { line: "buy 5 --yes --max-total 500.001", answers: OFFER },
    { line: "buy 5 --yes --totp secret" },
    { line: "top-up --yes" },
    { line: "quote" },
    { line: "quote 5 --compare 1,5" },
    { line: "quote 5 --force" },
    { line: "licenses reduce" },
    { line: "licenses reduce 20 --cancel" },
    { line: "licenses reduce 20" },
    { line: "purchases list --from 2026-02-01 --to 2026-01-01" },
    { line: "purchases list --all --limit 5" },
    { line: "purchases receipt pur_1 --force" },
    { line: "purchases cancel pur_1" },
    { line: "users add --email ada@northwind.example" },
    { line: `${ADD} --no-training` },
    { line: "users remove ada@northwind.example" },
    { line: "users remove ada@northwind.example --yes", when: "two users have it", answers: TWO_USERS },
    { line: "tokens create --name ci --scopes billing" },
    { line: "tokens create --name ci --scopes billing:read --max-spend 500.001", answers: [READ] },
    { line: "tokens revoke tok_1" },
    { line: "login", env: NO_TOKEN },
    { line: "login --password-stdin", env: NO_TOKEN },
    { line: "login --email admin@northwind.example", env: NO_TOKEN },
    { line: LOGIN, when: "nothing on stdin", env: NO_TOKEN },
    { line: "login --with-token", when: "nothing on stdin", env: NO_TOKEN },
    { line: "sandbox clock advance" },
    { line: "sandbox reset" },
  ].map((each): ErrorCase => ({ code: "invalid_usage", ...each })),
  {
    code: "invalid_request",
    line: "tokens create --name ci --scopes billing:read --expires 90d",
    answers: [
      says(
        "invalid_request",
        "This organization has 100 API tokens, the most there may be; revoke one that is not needed",
      ),
    ],
  },
  { code: "invalid_request", line: "licenses reduce 30 --yes", answers: [READ] },
  { code: "invalid_request", line: "licenses reduce 20 --yes", answers: [READ] },
  { code: "invalid_request", line: `${ADD} --dry-run`, answers: [ok([user()]), ok([])] },
  {
    code: "invalid_request",
    line: "users remove ada@northwind.example --yes",
    answers: [ok([user()]), ok([]), says("invalid_request", "Nobody can remove themselves")],
  },
  {
    code: "not_found",
    line: "purchases show pur_9",
    answers: [says("not_found", "There is no purchase pur_9 in organization 4201")],
  },
  { code: "not_found", line: "users remove tim@northwind.example --yes", answers: [ok([user()]), ok([])] },
  { code: "not_found", line: "tokens revoke tok_9 --dry-run", answers: [ok({ items: [], next: null })] },
  { code: "insecure_url", line: "status --api-url http://billing.northwind.example" },
  {
    code: "insecure_url",
    when: "HTTPS_PROXY=socks5://proxy",
    line: "status --api-url https://billing.northwind.example",
    env: { HTTPS_PROXY: "socks5://proxy" },
  },
  {
    code: "insecure_tls",
    when: "NODE_TLS_REJECT_UNAUTHORIZED=0",
    line: "status",
    env: { NODE_TLS_REJECT_UNAUTHORIZED: "0" },
  },
  { code: "profile_unknown", line: "status --profile staging" },
  { code: "profile_unknown", when: "without any", line: "profiles use staging" },
  {
    code: "profile_unknown",
    line: "profiles use staging",
    world: ({ apiUrl }) => ({ profiles: { production: { apiUrl, organizationId: null, email: null } } }),
  },
  {
    code: "clock_moves_forward_only",
    line: "sandbox clock advance --to 2020-01-01",
    answers: [says("clock_moves_forward_only", "The clock is at 2026-11-22T10:00:00.000Z and never moves back")],
  },
  { code: "not_a_sandbox", line: "sandbox clock show --api-url https://billing.northwind.example" },
  { code: "not_a_sandbox", line: "sandbox clock show", answers: [problem(404, "not_found")] },
];
