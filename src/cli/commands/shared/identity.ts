import type { Me } from "../../../contract/identity.ts";
import type { SignIn } from "./signIn.ts";
import type { SettingSource, Target } from "./target.ts";

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
