import type { Client } from "../../client/client.ts";
import type { Context } from "../context.ts";
import type { GlobalOptions } from "../kit/command.ts";
import { clean } from "../kit/text.ts";
import { type OneTimeCodeOptions, oneTimeCodes } from "./oneTimeCode.ts";

/** Who a command acts as. */
export interface SignIn {
  readonly source: "environment" | "token_file" | "keyring" | "file" | "trust";
  /** Whether a person signed in, and may be asked for a one-time code, unlike with an API token. */
  readonly isSession: boolean;
  /** Known for a stored sign-in. */
  readonly email: string | null;
  /** A token that has not expired as far as is known here. */
  accessToken(client: RefreshingClient): Promise<string>;
  /** A new token after the backend refused the old one, or `null` if it cannot be renewed. */
  renewToken(client: RefreshingClient): Promise<string | null>;
}

/** What a sign-in needs of the client. */
export type RefreshingClient = Pick<Client, "refresh" | "exchange">;

/**
 * A client for a target. Without a sign-in it can make the calls that need none. Calls that need a one-time code ask
 * for it where a person's sign-in is used.
 */
export async function createTargetClient(
  context: Context,
  options: OneTimeCodeOptions & Pick<GlobalOptions, "timeoutMs">,
  apiUrl: string,
  signIn: TokenSource | null,
): Promise<Client> {
  const client: Client = await context.createClient({
    apiUrl,
    accessToken: async () => signIn?.accessToken(client) ?? null,
    ...(signIn && { renewToken: () => signIn.renewToken(client) }),
    ...(signIn?.isSession && { oneTimeCode: oneTimeCodes(context, options) }),
    timeoutMs: options.timeoutMs,
    env: context.env,
    now: context.clock.monotonic,
    sleep: context.clock.sleep,
    random: context.random.fraction,
    ...(options.verbose && { trace: (line: string) => context.io.note(`${clean(line)}\n`) }),
    reach: context.reach,
    userAgent: `secureflag-licenses/${context.version}`,
  });
  context.onEnd(() => client.close());
  return client;
}

/** What a client takes from a sign-in. */
type TokenSource = Pick<SignIn, "accessToken" | "renewToken" | "isSession">;
