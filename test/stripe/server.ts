import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { Api } from "./api.ts";
import { createControls } from "./controls.ts";
import { Store } from "./store.ts";
import type { World } from "./world.ts";

/** What a stand-in prints when it listens. */
export interface Ready {
  readonly url: string;
  readonly key: string;
  readonly webhookSecret: string;
}

/** Starts a stand-in on a directory. It keeps its key and secret there. */
export async function serve(options: { port: number; data: string; isLive: boolean }): Promise<Ready> {
  const store = await Store.open(join(options.data, "stripe.db"));
  const mode = options.isLive ? "live" : "test";
  const keys = store.note<{ key: string; webhookSecret: string }>("account", "keys") ?? {
    key: `sk_${mode}_${randomBytes(12).toString("hex")}`,
    webhookSecret: `whsec_${randomBytes(16).toString("hex")}`,
  };
  store.setNote("account", "keys", keys);
  const server = createServer();
  let ahead = store.note<number>("account", "ahead") ?? 0;
  const world: World = {
    store,
    now: () => Math.floor(Date.now() / 1_000) + ahead,
    isLive: options.isLive,
    origin: () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
  };
  const advance = (seconds: number) => {
    ahead += seconds;
    store.setNote("account", "ahead", ahead);
  };
  const routes = { api: new Api(world, keys.key), controls: createControls(world, { advance }) };
  server.on("request", (request, response) => {
    handle(routes, request, response).catch((error: unknown) => {
      process.stderr.write(`${error instanceof Error ? error.stack : error}\n`);
      response.destroy();
    });
  });
  await once(server.listen(options.port, "127.0.0.1"), "listening");
  return { url: world.origin(), ...keys };
}

interface Routes {
  readonly api: Api;
  readonly controls: ReturnType<typeof createControls>;
}

async function handle(routes: Routes, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname: path, search } = new URL(request.url ?? "/", "http://127.0.0.1");
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks).toString();
  const control = /^\/_control\/(\w+)$/.exec(path)?.[1];
  if (control !== undefined) {
    const result = await callControl(routes.controls, control, body);
    response.setHeader("Content-Type", "application/json").end(JSON.stringify(result ?? null));
    return;
  }
  const header = (name: string) => request.headers[name]?.toString() ?? null;
  const { id, answer } = await routes.api.answer({
    method: request.method ?? "GET",
    path,
    form: request.method === "POST" ? body : search.slice(1),
    key: keyOf(header("authorization") ?? ""),
    idempotencyKey: header("idempotency-key"),
    version: header("stripe-version"),
  });
  if (answer === null) {
    response.destroy();
    return;
  }
  response.writeHead(answer.status, {
    "Content-Type": "application/json",
    "Request-Id": id,
    ...(answer.isReplayed && { "Idempotent-Replayed": "true" }),
  });
  response.end(JSON.stringify(answer.body));
}

async function callControl(controls: Routes["controls"], name: string, body: string): Promise<unknown> {
  if (!Object.hasOwn(controls, name)) throw new TypeError(`There is no control ${name}`);
  const call = controls[name as keyof typeof controls] as (...parameters: unknown[]) => unknown;
  return call(...(JSON.parse(body || "[]") as unknown[]));
}

/** The secret key, sent as a bearer token or as the user of basic authentication. */
function keyOf(authorization: string): string | null {
  const [scheme = "", value = ""] = authorization.split(" ");
  if (/^bearer$/i.test(scheme)) return value;
  return /^basic$/i.test(scheme) ? (Buffer.from(value, "base64").toString().split(":")[0] ?? null) : null;
}
