import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** The base path of SecureFlag's API. */
const BASE_PATH = "/rest/management/v2";

/** What an organization's users are there, page by page. */
export type Pages = (page: number) => readonly unknown[];

/**
 * A stand-in for SecureFlag's own backend, written from what is public of it: pages of users, some of them
 * short, an empty one at the end; `{"result", "error", "errorMsg"}` with HTTP 200 for a token that it does not know; and
 * nothing else.
 */
export class PublicUsers {
  readonly #server: Server;
  /** Method, path and headers of every request. */
  readonly requests: { method: string; path: string; headers: IncomingMessage["headers"] }[] = [];

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Starts one for one organization and one token. */
  static async start(organizationId: number, token: string, pages: Pages): Promise<PublicUsers> {
    const server = createServer();
    const backend = new PublicUsers(server);
    server.on("request", (request, response) => {
      const { method = "", url: path = "", headers } = request;
      backend.requests.push({ method, path, headers });
      answer(response, method, path, headers.authorization === `Bearer ${token}`, organizationId, pages);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return backend;
  }

  /** What `SECUREFLAG_API_URL` takes. */
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}${BASE_PATH}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function answer(
  response: ServerResponse,
  method: string,
  path: string,
  isKnown: boolean,
  organizationId: number,
  pages: Pages,
): void {
  const [, id, page] = new RegExp(`^${BASE_PATH}/organizations/(\\d+)/users/(\\d+)$`).exec(path) ?? [];
  if (method !== "GET" || page === undefined) {
    response.writeHead(404, { "content-type": "text/html" }).end("<html><body>Not Found</body></html>");
    return;
  }
  const refusal = { result: null, error: true, errorMsg: "unauthorized" };
  const body = isKnown && Number(id) === organizationId ? pages(Number(page)) : refusal;
  response.writeHead(200, { "content-type": "application/json;charset=UTF-8" }).end(JSON.stringify(body));
}
