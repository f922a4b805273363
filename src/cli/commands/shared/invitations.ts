import { roleName } from "../../../billing/roles.ts";
import type { Me } from "../../../contract/identity.ts";
import type { Context } from "../../context.ts";
import { clean } from "../../render/clean.ts";
import { shorten } from "../../render/shorten.ts";
import { note, type OutputOptions } from "./output.ts";

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
