import * as z from "zod";
import { type Environment, parseAddress } from "./address.ts";
import { ClientError } from "./errors.ts";
import { createTransport, type WireAnswer } from "./transport.ts";

/** What a job of GitHub Actions requests its identity token with. */
export interface GithubTokenRequest {
  /** ACTIONS_ID_TOKEN_REQUEST_URL. */
  readonly url: string;
  /** ACTIONS_ID_TOKEN_REQUEST_TOKEN, which is sent nowhere else. */
  readonly token: string;
  /** Whom the identity token is for. */
  readonly audience: string;
}

/** What is needed to send a request to GitHub. */
export interface GithubOptions {
  /** For one request, milliseconds. */
  readonly timeoutMs: number;
  readonly env: Environment;
  readonly userAgent: string;
  sleep(milliseconds: number): Promise<void>;
}

const MAX_TRIES = 3;

const PAUSE_MS = 1_000;

const answerSchema = z.object({ value: z.string().min(1) });

/**
 * Requests the identity token of a job of GitHub Actions (GitHub's documentation, OpenID Connect reference, Methods for
 * requesting the OIDC token). Tries three times.
 *
 * @throws ClientError `invalid_usage`, `insecure_url`, `unauthenticated`, `unreachable`, `unexpected_answer`
 */
export async function requestGithubToken(
  { url, token, audience }: GithubTokenRequest,
  { timeoutMs, env, userAgent, sleep }: GithubOptions,
): Promise<string> {
  if (!URL.canParse(url)) {
    throw new ClientError("invalid_usage", "ACTIONS_ID_TOKEN_REQUEST_URL is not a valid URL", {
      hint: "GitHub Actions sets it; do not change it.",
    });
  }
  const target = new URL(url);
  target.searchParams.set("audience", audience);
  const transport = createTransport(parseAddress(target.origin), env);
  const headers = {
    accept: "application/json",
    "accept-encoding": "identity",
    "user-agent": userAgent,
    authorization: `Bearer ${token}`,
  };
  const path = target.pathname + target.search;
  try {
    for (let tries = 1; ; tries += 1) {
      const result = await transport.send({ method: "GET", path, headers, body: null, timeoutMs, onSent: () => {} });
      const isTransient = result.kind === "failure" || result.status === 429 || result.status >= 500;
      if (!isTransient) return readToken(result);
      if (tries === MAX_TRIES) {
        const cause = result.kind === "failure" ? result.cause : undefined;
        throw new ClientError("unreachable", "GitHub did not issue an identity token for this job", { cause });
      }
      await sleep(tries * PAUSE_MS);
    }
  } finally {
    await transport.close();
  }
}

function readToken({ status, body }: WireAnswer): string {
  if (status >= 300) {
    throw new ClientError("unauthenticated", `GitHub refused to issue an identity token, with HTTP status ${status}`, {
      hint: 'Add "permissions: id-token: write" to the job.',
    });
  }
  const parsed = answerSchema.safeParse(parsedJson(body));
  if (parsed.success) return parsed.data.value;
  throw new ClientError("unexpected_answer", "Unexpected response from GitHub: it has no identity token");
}

function parsedJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString());
  } catch {
    return null;
  }
}
