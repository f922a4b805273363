import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A comment as the API gives it. */
interface GithubComment {
  readonly id: number;
  readonly body: string;
  readonly user: { readonly login: string; readonly type: "Bot" | "User" } | null;
}

/** Answers a request in the place of the API; `"lost"` carries it out and gives no answer. */
export type GithubFault = ((response: ServerResponse) => void) | "lost";

/** The part of GitHub's REST API about comments on pull requests, on loopback. */
export interface Github {
  readonly url: string;
  /** The comments of the one pull request, the oldest first. */
  readonly comments: GithubComment[];
  /** The method, path and query of every request, in order. */
  readonly requests: string[];
  /** Answers the next requests with this method by these faults, one each. */
  inject(method: string, ...faults: GithubFault[]): void;
  close(): Promise<void>;
}

/** The token of a job, which comments as a bot. */
export const JOB_TOKEN = "ghs_job";

/** The token of a person, whose login is `ada`. */
export const PERSON_TOKEN = "ghp_person";

const REPOSITORY = "/repos/northwind/infra";

/**
 * Starts the API for pull request 7 of northwind/infra, below a path as on GitHub Enterprise Server. It fails what it does
 * not expect.
 */
export async function startGithub(): Promise<Github> {
  const comments: GithubComment[] = [];
  const requests: string[] = [];
  const faults: [method: string, fault: GithubFault][] = [];
  let id = 100;

  const answerOf = (request: IncomingMessage, url: URL, body: string): [status: number, content: unknown] => {
    const { authorization, "x-github-api-version": version, accept } = request.headers;
    const token = authorization?.replace(/^Bearer /, "");
    if (token !== JOB_TOKEN && token !== PERSON_TOKEN) return [401, { message: "Bad credentials" }];
    if (version !== "2022-11-28" || accept !== "application/vnd.github+json") return [400, { message: "Bad headers" }];
    const author =
      token === JOB_TOKEN
        ? ({ login: "github-actions[bot]", type: "Bot" } as const)
        : ({ login: "ada", type: "User" } as const);
    const path = url.pathname.replace(/^\/api\/v3/, "");
    const [, changed] = new RegExp(`^${REPOSITORY}/issues/comments/(\\d+)$`).exec(path) ?? [];
    if (request.method === "GET" && path === "/user") {
      return author.type === "Bot" ? [403, { message: "Resource not accessible by integration" }] : [200, author];
    }
    if (request.method === "GET" && path === `${REPOSITORY}/issues/7/comments`) {
      const [size, page] = [Number(url.searchParams.get("per_page")), Number(url.searchParams.get("page"))];
      return [200, comments.slice((page - 1) * size, page * size)];
    }
    if (request.method === "POST" && path === `${REPOSITORY}/issues/7/comments`) {
      id += 1;
      comments.push({ id, body: JSON.parse(body).body, user: author });
      return [201, comments.at(-1)];
    }
    const index = comments.findIndex((comment) => String(comment.id) === changed);
    const before = comments[index];
    if (request.method !== "PATCH" || before === undefined) return [404, { message: "Not Found" }];
    comments[index] = { ...before, body: JSON.parse(body).body };
    return [200, comments[index]];
  };

  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const url = new URL(request.url ?? "", "http://127.0.0.1");
    requests.push(`${request.method} ${request.url}`);
    const at = faults.findIndex(([method]) => method === request.method);
    const [, fault] = at === -1 ? [] : (faults.splice(at, 1)[0] ?? []);
    if (typeof fault === "function") return fault(response);
    const [status, content] = answerOf(request, url, Buffer.concat(chunks).toString());
    if (fault === "lost") return void request.socket.destroy();
    response.writeHead(status, { "content-type": "application/json; charset=utf-8" }).end(JSON.stringify(content));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/v3`,
    comments,
    requests,
    inject: (method, ...those) => void faults.push(...those.map((fault) => [method, fault] as [string, GithubFault])),
    close: async () => {
      server.closeAllConnections();
      await once(server.close(), "close");
    },
  };
}

/** A fault that answers with this status. */
export function withStatus(status: number, headers: Readonly<Record<string, string>> = {}): GithubFault {
  return (response) => void response.writeHead(status, headers).end('{"message":"fault"}');
}
