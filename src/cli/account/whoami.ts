import type { Command } from "commander";
import type { Money } from "../../billing/money.ts";
import { roleName } from "../../billing/roles.ts";
import { isMissing } from "../../client/missing.ts";
import type { Me } from "../../contract/identity.ts";
import type { SignIn } from "../connection/client.ts";
import { connect } from "../connection/connect.ts";
import type { SettingSource, Target } from "../connection/target.ts";
import type { Context } from "../context.ts";
import { CliError } from "../errors.ts";
import { addCommand, type GlobalOptions, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { note, type OutputOptions, printResult, type View, warn } from "../kit/output.ts";
import { withSpinner } from "../kit/spinner.ts";
import { columns, fields } from "../kit/table.ts";
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
  const me = await withSpinner(context, options, "Asking who you are", client.me()).catch((error: unknown) => {
    throw isMissing(error) ? untold(error) : error;
  });
  const identity = identityOf(me, target, signIn.source);
  await printResult<"whoami">(context, options, identity, async (view) => {
    const beaten = signIn.source === "environment" ? await storedProfile(context, target.profileName) : null;
    return renderIdentity(identity, view, beaten);
  });
  const warning = tokenWarning(me.token);
  if (warning !== null) warn(context, options, warning);
  noteInvitations(context, options, me);
}

/** The profile, if it has a sign-in that is not used. What cannot be read does not matter to who is signed in. */
async function storedProfile(context: Context, name: string): Promise<string | null> {
  const store = await context.credentials();
  return (await store.read(name).catch(() => null)) && name;
}

function untold(cause: unknown): CliError {
  return new CliError("unexpected_answer", "This backend does not tell who is signed in", {
    hint: "It has no GET /me. Commands that are told the organization, by --org <id>, work all the same.",
    cause,
  });
}

/** What `whoami --json` prints (cli.md). */
export interface Identity {
  readonly user: Me["user"];
  readonly organization: { readonly id: number; readonly name: string } | null;
  readonly apiUrl: string;
  readonly apiUrlSource: SettingSource;
  readonly profile: string | null;
  readonly token: { readonly source: SignIn["source"] } & Me["token"];
}

/** Who is signed in and which settings won; the organization is the set one, else the only one. */
export function identityOf(me: Me, target: Target, source: SignIn["source"]): Identity {
  const set = target.organizationId;
  const [first, second] = me.organizations;
  const found = set === null ? (second ? undefined : first) : me.organizations.find(({ id }) => id === set);
  const { name, scopes, expiresAt, last4, spendLimit } = me.token;
  return {
    user: me.user,
    organization: found ? { id: found.id, name: found.name } : null,
    apiUrl: target.apiUrl,
    apiUrlSource: target.apiUrlSource,
    profile: target.profile === null ? null : target.profileName,
    token: { source, name, scopes, expiresAt, last4, spendLimit },
  };
}

const API_URL_SOURCES: Readonly<Record<Identity["apiUrlSource"], string>> = {
  flag: "from --api-url",
  environment: "from SECUREFLAG_API_URL",
  profile: "from the profile",
  default: "the default",
};

/**
 * Who is signed in, where, with what token.
 *
 * @param beaten the profile whose stored sign-in is not used because the environment has a token
 */
export function renderIdentity(identity: Identity, view: View, beaten: string | null = null): string {
  const { user, organization, token } = identity;
  const source =
    token.source === "environment" ? `from SECUREFLAG_API_TOKEN${over(beaten)}` : `from the ${token.source}`;
  const name = token.name === null ? "sign-in" : `token ${clean(token.name)}`;
  return fields(
    [
      ["User", view.style.bold(clean(user.email))],
      ["Role", clean(user.roleName)],
      ["Organization", organization ? `${clean(organization.name)} (${organization.id})` : "none set"],
      ["Backend", `${clean(identity.apiUrl)}\n${API_URL_SOURCES[identity.apiUrlSource]}`],
      ["Profile", identity.profile && clean(identity.profile)],
      ["Token", `${name} ending in ${clean(token.last4)}, ${source}`],
      ["Scopes", token.scopes.length > 0 ? token.scopes.map((scope) => clean(scope)).join(", ") : "none"],
      ["Expires", expiry(token)],
      ["Limit", spendLimit(token.spendLimit)],
    ],
    view,
  );
}

function over(profile: string | null): string {
  return profile === null ? "" : `, which wins over the sign-in of profile ${clean(profile)}`;
}

/**
 * Organizations that a user belongs to, and below them those that invite the user.
 *
 * @param invitations those that wait to be accepted
 */
export function renderOrganizations(
  organizations: Me["organizations"],
  view: View,
  invitations: Me["invitations"] = [],
): string {
  const own = organizations.length === 0 ? "You belong to no organization." : organizationTable(organizations, view);
  if (invitations.length === 0) return own;
  const how = "Invitations. Accept one with:\n`secureflag-licenses organizations accept <id>`";
  return `${own}\n\n${how}\n\n${organizationTable(invitations, view)}`;
}

function organizationTable(organizations: Me["organizations"], view: View): string {
  const rows = organizations.map(({ id, name, role }) => [String(id), clean(name), roleName(role)]);
  return columns(["Id", "Name", "Role"], rows, [10, 20, 26], view);
}

/** An organization whose invitation was accepted. */
export function renderAcceptedInvitation({ id, name, role }: Me["organizations"][number]): string {
  return `You joined ${clean(name)} (${id}) as ${roleName(role)}.`;
}

/** A sign-in that is kept here has a refresh token, so that its end is nothing to act on. */
function expiry({ source, name, expiresAt }: Identity["token"]): string {
  if (expiresAt === null) return "never";
  return source !== "environment" && name === null ? "renewed by itself while it is used" : instant(expiresAt);
}

/** What a token may spend in a month and what is left of it, a line each; `null` without a limit. */
export function spendLimit(limit: Me["token"]["spendLimit"]): string | null {
  if (limit === null) return null;
  const money = (amount: Money | null, left: Money | null) =>
    amount && `${moneyText(amount)} a month${left ? `, ${moneyText(left)} left` : ""}`;
  const count = limit.licenses === null ? null : `${licenses(limit.licenses)} a month, ${limit.licensesLeft ?? 0} left`;
  return [money(limit.amount, limit.amountLeft), count].filter(Boolean).join("\n");
}

const MAX_NOTES = 3;

/** Notes on stderr that organizations invite the person who is signed in, and how to accept. */
export function noteInvitations(context: Context, options: OutputOptions, { invitations = [] }: Me): void {
  for (const { id, name, role } of invitations.slice(0, MAX_NOTES)) {
    const accept = `Accept with \`secureflag-licenses organizations accept ${id}\`.`;
    note(context, options, `${shorten(clean(name))} (${id}) invites you as ${roleName(role)}. ${accept}`);
  }
  if (invitations.length <= MAX_NOTES) return;
  const more = invitations.length - MAX_NOTES;
  note(context, options, `${more} more invitations: see \`secureflag-licenses organizations list\`.`);
}
