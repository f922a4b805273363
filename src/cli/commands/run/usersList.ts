import type { Context } from "../../context.ts";
import { readAllUsers, readUsers } from "../../users/pages.ts";
import { connect } from "../shared/connect.ts";
import { printResult } from "../shared/output.ts";
import { withSpinner } from "../shared/spinner.ts";
import type { ListUsersOptions } from "../users.ts";

const DEFAULT_LIMIT = 100;

/** Prints the organization's users in the backend's order, and says on stderr when there are more. */
export async function run(options: ListUsersOptions, context: Context): Promise<void> {
  const { client, organizationId } = await connect(context, options, "public");
  const reading = organizationId().then(async (id) =>
    options.all
      ? { users: await readAllUsers(client, id), hasMore: false }
      : await readUsers(client, id, DEFAULT_LIMIT),
  );
  const { users, hasMore } = await withSpinner(context, options, "Reading users", reading);
  await printResult(context, options, "users list", users, async (view) => {
    const { renderUsers, usersCsv } = await import("../../render/users.ts");
    return options.csv ? usersCsv(users) : renderUsers(users, view);
  });
  if (hasMore && !options.quiet) context.io.note(`There are more than ${users.length}: use --all.\n`);
}
