import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach } from "vitest";

/** A request to the server that stands for Stripe. */
interface Request {
  readonly method: string;
  readonly path: string;
  readonly params: Readonly<Record<string, string>>;
  readonly key: string | undefined;
}

interface Answer {
  readonly status?: number;
  readonly body: unknown;
}

/** Serves Stripe's API by a table of answers, for what only an unusual answer shows. */
export function useAnswers() {
  let server: Server;
  const stripe = {
    url: new URL("http://127.0.0.1"),
    requests: [] as Request[],
    /** Answers by method and path; of several the first is used up, and the last stays. */
    answers: {} as Record<string, Answer[]>,
  };
  beforeEach(async () => {
    Object.assign(stripe, { requests: [], answers: {} });
    server = createServer(async (request, response) => {
      let text = "";
      for await (const chunk of request) text += chunk;
      const { pathname, searchParams } = new URL(request.url ?? "", stripe.url);
      const path = pathname.replace("/v1/", "");
      const params = Object.fromEntries([...new URLSearchParams(text), ...searchParams]);
      const { method = "" } = request;
      stripe.requests.push({ method, path, params, key: request.headers["idempotency-key"] as string | undefined });
      const answers = stripe.answers[`${method} ${path}`] ?? [];
      const { status = 200, body } = (answers.length > 1 ? answers.shift() : answers[0]) ?? MISSING;
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    stripe.url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  });
  afterEach(() => void server.close());
  return stripe;
}

const MISSING: Answer = { status: 404, body: { error: { type: "invalid_request_error", code: "resource_missing" } } };
