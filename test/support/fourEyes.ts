import { join } from "node:path";
import Libsql from "libsql";
import { SCOPES } from "../../src/contract/constants.ts";
import { runCli } from "./cli.ts";
import { type RunningSandbox, type SandboxSettings, startSandbox } from "./sandbox.ts";
import { ADMIN, organization, PASSWORD, seed, token, user } from "./seed.ts";
import { freshCode } from "./totp.ts";

/** The second administrator; the first is `ADMIN`, whose token `tokenOf` is. */
export const SECOND = "second@northwind.example";

/** The secrets of their one-time codes. */
export const SECRETS: Readonly<Record<string, string>> = {
  [ADMIN]: "JBSWY3DPEHPK3PXP",
  [SECOND]: "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
};

/** Below what one license costs, in minor units. */
const THRESHOLD = 4_000;

/** Sets the threshold of organizations in the data of a sandbox that does not run. */
export function setThreshold(data: string, organizationIds: readonly number[], amount: number): void {
  change(data, `update subscriptions set approval_above = ${amount} where organization_id in (${organizationIds})`);
}

/** Lets every one-time code have been given 16 minutes ago, in the data of a sandbox that does not run. */
export function ageCodes(data: string): void {
  change(data, "update sessions set mfa_at = mfa_at - 960000 where mfa_at is not null");
}

function change(data: string, statement: string): void {
  const database = new Libsql(join(data, "backend.db"));
  database.exec(statement);
  database.close();
}

/** Creates the data of a sandbox whose organization 1, without available licenses, needs a second administrator to buy. */
export async function prepareFourEyes(data: string): Promise<void> {
  const users = Object.entries(SECRETS).map(([email, totpSecret]) => user({ email, totpSecret }));
  const tokens = [token(1, { scopes: [...SCOPES] })];
  const sandbox = await startSandbox({ data, seed: seed(organization(1, { users, tokens, usedLicenses: 25 })) });
  await sandbox.stop();
  setThreshold(data, [1], THRESHOLD);
}

/** Starts a sandbox on data that exists. */
export function startAgain(data: string, more: SandboxSettings = {}): Promise<RunningSandbox> {
  return startSandbox({ ...more, data, now: null });
}

/** A one-time code of an administrator that was not used yet. */
export function codeOf(email: string): Promise<string> {
  return freshCode(SECRETS[email] ?? "");
}

/** Signs an administrator in with a one-time code, and returns the home of the sign-in. */
export async function signInTo(sandbox: RunningSandbox, email: string): Promise<string> {
  const args = ["login", "--email", email, "--password-stdin", "--insecure-storage"];
  const totp = await codeOf(email);
  const env = { SECUREFLAG_API_URL: sandbox.ready.url };
  const { home, exitCode, stderr } = await runCli([...args, "--totp", totp], { env, input: PASSWORD });
  if (exitCode !== 0) throw new TypeError(`sign-in ended ${exitCode}: ${stderr}`);
  return home;
}
