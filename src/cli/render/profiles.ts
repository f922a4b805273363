import type { Profile } from "../commands/run/profiles.ts";
import { clean } from "./clean.ts";
import { fields } from "./table.ts";
import type { View } from "./view.ts";

/** Every profile with its backend, organization and sign-in. */
export function renderProfiles(profiles: readonly Profile[], view: View): string {
  if (profiles.length === 0) return "There is no profile yet; `secureflag-licenses login` makes one.";
  return profiles.map((profile) => renderProfile(profile, view)).join("\n\n");
}

function renderProfile({ name, active, apiUrl, organizationId, email, signedIn }: Profile, view: View): string {
  return fields(
    [
      ["Profile", `${view.style.bold(clean(name))}${active ? " (in use)" : ""}`],
      ["Backend", clean(apiUrl)],
      ["Organization", organizationId === null ? "none set" : String(organizationId)],
      ["Signed in", signedIn ? (email === null ? "yes" : clean(email)) : "no"],
    ],
    view,
  );
}
