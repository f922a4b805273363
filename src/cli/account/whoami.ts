import type { Command } from "commander";
import type { Money } from "../../billing/money.ts";
import { roleName } from "../../billing/roles.ts";
import { isMissing } from "../../client/missing.ts";
import type { Me } from "../../contract/identity.ts";
import { type Mode, modeFields, modeOf } from "../../contract/mode.ts";
import type { SignIn } from "../connection/client.ts";
import { connect } from "../connection/connect.ts";
import type { SettingSource, Target } from "../connection/target.ts";
import type { Context } from "../context.ts";
import { CliError } from "../errors.ts";
import { addCommand, type GlobalOptions, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { note, type OutputOptions, printResult, type View, warn } from "../kit/output.ts";
import { withSpinner } from "../kit/spinner.ts";
import { type Column, fields, list } from "../kit/table.ts";
import { clean, shorten } from "../kit/text.ts";
import { instant, licenses, moneyText } from "../kit/words.ts";
import { tokenWarning } from "../subscription/status.ts";

/** Registers `whoami`. */
export function register(program: Command, context: Context, run: Run<GlobalOptions> = runWhoami): void {
  addCommand(program, {
    name: "whoami",
    examples: ["whoami", "whoami --json"],
  }).action((_flags: unknown, command: Command) => interruptible(context, () => run(readGlobals(command), context)));
}

/** Prints who is signed in, where, and with what token. */
export async function runWhoami(options: GlobalOptions, context: Context): Promise<void> {
  const { client, target, signIn } = await connect(context, options, "public");
  const me = await withSpinner(context, options, "Checking who is signed in", client.me()).catch((error: unknown) => {
    throw isMissing(error) ? unknownIdentity(error) : error;
  });
  const identity = identityOf(me, target, signIn.source);
  await printResult<"whoami">(context, options, identity, async (view) => {
    const unused = isOfEnvironment(signIn.source) ? await storedProfile(context, target.profileName) : null;
    return renderIdentity(identity, view, unused);
  });
  const warning = tokenWarning(me.token);
  if (warning !== null) warn(context, options, warning);
  noteInvitations(context, options, me);
}

/** The profile if it has a stored sign-in, which is not used. A file that cannot be read is no reason to fail. */
async function storedProfile(context: Context, name: string): Promise<string | null> {
  const store = await context.credentials();
  return (await store.place(name).catch(() => null)) && name;
}

function unknownIdentity(cause: unknown): CliError {
  return new CliError("unexpected_answer", "This backend does not report who is signed in", {
    hint: "It has no GET /me. Other commands work if you pass --org <id>.",
    cause,
  });
}

/** The output of `whoami --json`. */
export interface Identity {
  readonly user: Me["user"];
  readonly organization: { readonly id: number; readonly name: string } | null;
  /** Whether payments move money; `null` if the backend leaves it out. */
  readonly mode: Mode | null;
  readonly livemode: boolean | null;
  readonly apiUrl: string;
  readonly apiUrlSource: SettingSource;
  readonly profile: string | null;
  readonly token: { readonly source: SignIn["source"] } & Me["token"];
}

/** Builds the output of `whoami`. The organization is the one that is set, otherwise the only one. */
export function identityOf(me: Me, target: Target, source: SignIn["source"]): Identity {
  const set = target.organizationId;
  const [first, second] = me.organizations;
  const found = set === null ? (second ? undefined : first) : me.organizations.find(({ id }) => id === set);
  const { name, scopes, expiresAt, last4, spendLimit } = me.token;
  return {
    user: me.user,
    organization: found ? { id: found.id, name: found.name } : null,
    ...identityMode(me),
    apiUrl: target.apiUrl,
    apiUrlSource: target.apiUrlSource,
    profile: target.profile === null ? null : target.profileName,
    token: { source, name, scopes, expiresAt, last4, spendLimit },
  };
}

/** Unlike a purchase, a sign-in costs nothing: a backend that leaves its mode out is not called live. */
function identityMode(me: Me): Pick<Identity, "livemode" | "mode"> {
  const isUnknown = me.mode === undefined && me.livemode === undefined;
  return isUnknown ? { livemode: null, mode: null } : modeFields(modeOf(me));
}

const API_URL_SOURCES: Readonly<Record<Identity["apiUrlSource"], string>> = {
  flag: "from --api-url",
  environment: "from SECUREFLAG_API_URL",
  profile: "from the profile",
  default: "the default",
};

const TOKEN_SOURCES: Readonly<Record<SignIn["source"], string>> = {
  environment: "from SECUREFLAG_API_TOKEN",
  token_file: "from SECUREFLAG_API_TOKEN_FILE",
  keyring: "from the keyring",
  file: "from the file",
  trust: "in exchange for the job's identity token",
};

/** Whether a token is used before any stored sign-in. */
function isOfEnvironment(source: SignIn["source"]): boolean {
  return source === "environment" || source === "token_file";
}

/**
 * Renders who is signed in, where, and with what token.
 *
 * @param unused the profile whose stored sign-in is not used because the environment has a token
 */
export function renderIdentity(identity: Identity, view: View, unused: string | null = null): string {
  const { user, organization, token } = identity;
  const source = TOKEN_SOURCES[token.source] + (isOfEnvironment(token.source) ? insteadOf(unused) : "");
  const name = token.name === null ? "sign-in" : clean(token.name);
  return fields(
    [
      ["User", view.style.bold(clean(user.email))],
      ["Role", clean(user.roleName)],
      ["Organization", organization ? `${clean(organization.name)} (${organization.id})` : "not set"],
      ["Mode", identity.mode && view.style.bold(identity.mode.toUpperCase())],
      ["Backend", `${clean(identity.apiUrl)}\n${API_URL_SOURCES[identity.apiUrlSource]}`],
      ["Profile", identity.profile && clean(identity.profile)],
      ["Token", `${name}, ending in ${clean(token.last4)}, ${source}`],
      ["Scopes", token.scopes.length > 0 ? token.scopes.map((scope) => clean(scope)).join(", ") : "none"],
      ["Expires", expiry(token)],
      ["Limit", spendLimit(token.spendLimit)],
    ],
    view,
  );
}

function insteadOf(profile: string | null): string {
  return profile === null ? "" : `, instead of the sign-in of profile ${clean(profile)}`;
}

const LIST: readonly Column[] = [
  { head: "ID", align: "right" },
  { head: "Name", cutTo: 20 },
  { head: "Role" },
  { head: "Status" },
];

type Membership = Me["organizations"][number];

/** Renders the organizations that a user belongs to, and below them those that invite the user. */
export function renderOrganizations(
  organizations: readonly Membership[],
  view: View,
  invitations: readonly Membership[] = [],
): string {
  if (organizations.length + invitations.length === 0) return "You do not belong to an organization.";
  const rows = [
    ...organizations.map((organization) => membershipCells(organization, "member")),
    ...invitations.map((organization) => membershipCells(organization, "invited")),
  ];
  return list(LIST, rows, view) ?? rows.map((row) => renderMembership(row, view)).join("\n\n");
}

function membershipCells({ id, name, role }: Membership, status: string): [string, string, string, string] {
  return [String(id), clean(name), roleName(role), status];
}

/** One organization on a narrow terminal, wrapped and never cut. */
function renderMembership([id, name, role, status]: readonly [string, string, string, string], view: View): string {
  return fields(
    [
      ["Organization", name],
      ["ID", id],
      ["Role", role],
      ["Status", status],
    ],
    view,
  );
}

/** Renders an accepted invitation. */
export function renderAcceptedInvitation({ id, name, role }: Me["organizations"][number]): string {
  return `You joined ${clean(name)} (${id}) as ${roleName(role)}.`;
}

/** A stored sign-in has a refresh token, so nobody has to act when it expires. */
function expiry({ source, name, expiresAt }: Identity["token"]): string {
  if (expiresAt === null) return "never";
  return !isOfEnvironment(source) && name === null ? "renewed automatically" : instant(expiresAt);
}

/** Renders the monthly limits of a token and what is left, one per line; `null` without a limit. */
export function spendLimit(limit: Me["token"]["spendLimit"]): string | null {
  if (limit === null) return null;
  const money = (amount: Money | null, left: Money | null) =>
    amount && `${moneyText(amount)} a month${left ? `, ${moneyText(left)} left` : ""}`;
  const count = limit.licenses === null ? null : `${licenses(limit.licenses)} a month, ${limit.licensesLeft ?? 0} left`;
  return [money(limit.amount, limit.amountLeft), count].filter(Boolean).join("\n");
}

const MAX_NOTES = 3;

/** Notes on stderr which organizations invite the signed-in user, and how to accept. */
export function noteInvitations(context: Context, options: OutputOptions, { invitations = [] }: Me): void {
  for (const { id, name, role } of invitations.slice(0, MAX_NOTES)) {
    const accept = `Accept with \`secureflag-licenses organizations accept ${id}\`.`;
    note(context, options, `${shorten(clean(name))} (${id}) invited you as ${roleName(role)}. ${accept}`);
  }
  if (invitations.length <= MAX_NOTES) return;
  const more = invitations.length - MAX_NOTES;
  note(context, options, `${more} more invitations. See \`secureflag-licenses organizations list\`.`);
}
