import * as z from "zod";
import { assertVerifiedTls, parseAddress } from "./address.ts";
import { ClientError } from "./errors.ts";
import type { GithubOptions } from "./githubToken.ts";
import { isTransientStatus, parseRetryAfter } from "./retry.ts";
import { createTransport, type Sink, type Transport } from "./transport.ts";

/** A comment on a pull request that is kept up to date. */
export interface PullRequestComment {
  /** GITHUB_API_URL. */
  readonly apiUrl: string;
  /** Sent nowhere else. */
  readonly token: string;
  /** `owner/name`. */
  readonly repository: string;
  readonly number: number;
  /** What the body starts with, by which the comment is found again. */
  readonly marker: string;
  readonly body: string;
}

const MAX_TRIES = 4;
const PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 30_000;

const PER_PAGE = 100;
/** More than a person reads; the end of a search in an API that never gives a last page. */
const MAX_PAGES = 100;
/** A page of the longest comments that GitHub stores is smaller. */
const MAX_PAGE_BYTES = 32_000_000;

/** Part of a comment (GitHub's REST API, Issue comments). The author of a deleted account is `null`. */
const commentSchema = z.object({
  id: z.int().positive(),
  body: z.string().nullish(),
  user: z.object({ login: z.string(), type: z.string() }).nullable(),
});
const pageSchema = z.array(commentSchema);
const userSchema = z.object({ login: z.string() });

type Comment = z.output<typeof commentSchema>;

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** Another try may succeed, after a pause in milliseconds. */
class TryAgain extends Error {
  override readonly name = "TryAgain";

  constructor(
    readonly reason: ClientError,
    readonly pauseMs: number | null,
  ) {
    super(reason.message);
  }
}

/**
 * Writes a comment on a pull request, in place of the one with its marker that the same author wrote before. After an answer
 * that was lost, it looks again before it writes again.
 *
 * @returns whether there was one before
 * @throws ClientError `forbidden` where the token may not comment, `not_found`, `unreachable`, `unexpected_answer`,
 *   `invalid_usage`, `insecure_url`, `insecure_tls`
 */
export async function putComment(
  comment: PullRequestComment,
  { timeoutMs, env, userAgent, sleep }: GithubOptions,
): Promise<"created" | "updated"> {
  assertVerifiedTls(env);
  const address = parseAddress(comment.apiUrl);
  const transport = createTransport(address, env);
  const headers = {
    accept: "application/vnd.github+json",
    "accept-encoding": "identity",
    "content-type": "application/json",
    "user-agent": userAgent,
    authorization: `Bearer ${comment.token}`,
    "x-github-api-version": "2022-11-28",
  };
  const github = new Github(transport, address.basePath, headers, timeoutMs);
  try {
    for (let tries = 1; ; tries += 1) {
      try {
        return await github.put(comment);
      } catch (error) {
        if (!(error instanceof TryAgain)) throw error;
        const pause = error.pauseMs ?? PAUSE_MS * 2 ** (tries - 1);
        if (tries === MAX_TRIES || pause > MAX_PAUSE_MS) throw error.reason;
        await sleep(pause);
      }
    }
  } finally {
    await transport.close();
  }
}

/** The calls of GitHub's REST API that are needed. */
class Github {
  constructor(
    private readonly transport: Transport,
    private readonly basePath: string,
    private readonly headers: Readonly<Record<string, string>>,
    private readonly timeoutMs: number,
  ) {}

  async put({ repository, number, marker, body }: PullRequestComment): Promise<"created" | "updated"> {
    const comments = `/repos/${repository}/issues/${number}/comments`;
    const before = await this.find(comments, marker);
    const written = JSON.stringify({ body });
    if (before === null) assertDone(await this.call("POST", comments, written));
    else assertDone(await this.call("PATCH", `/repos/${repository}/issues/comments/${before.id}`, written));
    return before === null ? "created" : "updated";
  }

  /** Finds the comment of this author; anybody can write one with the marker. */
  private async find(comments: string, marker: string): Promise<Comment | null> {
    let own: string | null | undefined;
    for (let page = 1; page <= MAX_PAGES; page += 1) {
      const answer = assertDone(await this.call("GET", `${comments}?per_page=${PER_PAGE}&page=${page}`, null));
      const found = parse(pageSchema, answer);
      for (const comment of found) {
        if (comment.user === null || !comment.body?.startsWith(marker)) continue;
        // A job's own token writes as a bot, which no person can do, and may not ask who it is.
        if (comment.user.type === "Bot") return comment;
        own ??= await this.login();
        if (comment.user.login === own) return comment;
      }
      if (found.length < PER_PAGE) break;
    }
    return null;
  }

  /** The person whose token this is; `null` where it is not a person's. */
  private async login(): Promise<string | null> {
    const answer = await this.call("GET", "/user", null);
    return answer.status === 200 ? parse(userSchema, answer).login : null;
  }

  private async call(method: "GET" | "POST" | "PATCH", path: string, body: string | null): Promise<Answer> {
    const sink = collector();
    const result = await this.transport.send({
      method,
      path: this.basePath + path,
      headers: this.headers,
      body,
      timeoutMs: this.timeoutMs,
      sink,
      onSent: () => {},
    });
    if (result.kind === "failure") {
      throw new TryAgain(new ClientError("unreachable", "GitHub did not answer", { cause: result.cause }), null);
    }
    const { status } = result;
    if (isTransientStatus(status)) {
      const pauseMs = parseRetryAfter(result.headers["retry-after"], result.headers.date);
      throw new TryAgain(new ClientError("unreachable", `GitHub answered with HTTP status ${status}`), pauseMs);
    }
    return { status, body: parsedJson(status === 200 && sink.size() > 0 ? sink.body() : result.body) };
  }
}

/** Collects a page of comments, which may be longer than an answer of a backend; what is too long is not kept. */
function collector(): Sink & { size(): number; body(): Buffer } {
  let chunks: Buffer[] = [];
  let size = 0;
  const start = () => {
    chunks = [];
    size = 0;
  };
  return {
    mediaType: "application/json",
    start,
    write: (chunk) => {
      size += chunk.length;
      if (size <= MAX_PAGE_BYTES) chunks.push(chunk);
    },
    size: () => size,
    body: () => Buffer.concat(chunks),
  };
}

function assertDone(answer: Answer): Answer {
  const { status } = answer;
  if (status < 300) return answer;
  const code = status === 404 || status === 410 ? "not_found" : status === 401 || status === 403 ? "forbidden" : null;
  throw new ClientError(code ?? "unexpected_answer", `GitHub refused it with HTTP status ${status}`);
}

function parse<Schema extends z.ZodType>(schema: Schema, { body }: Answer): z.output<Schema> {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  throw new ClientError("unexpected_answer", "Unexpected response from GitHub");
}

function parsedJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString());
  } catch {
    return null;
  }
}
