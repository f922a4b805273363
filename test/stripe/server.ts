import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { ensureAccount } from "./account.ts";
import { Api } from "./api.ts";
import { createControls } from "./controls.ts";
import { answerPage } from "./pages.ts";
import { Store } from "./store.ts";
import { Webhooks } from "./webhooks.ts";
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
  // Longer than clients keep connections, so that none is closed just as it is used again.
  const server = createServer({ keepAliveTimeout: 120_000 });
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
  ensureAccount(world);
  const webhooks = new Webhooks(store, keys.webhookSecret);
  const routes = { world, api: new Api(world, keys.key), controls: createControls(world, { advance }) };
  server.on("request", (request, response) => {
    handle(routes, request, response)
      .catch((error: unknown) => {
        process.stderr.write(`${error instanceof Error ? error.stack : error}\n`);
        response.destroy();
      })
      .finally(() => webhooks.send());
  });
  await once(server.listen(options.port, "127.0.0.1"), "listening");
  webhooks.send();
  return { url: world.origin(), ...keys };
}

interface Routes {
  readonly world: World;
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
    response
      .setHeader("Content-Type", "application/json")
      .end(JSON.stringify(callControl(routes.controls, control, body)));
    return;
  }
  const page = answerPage(routes.world, path, request.method === "POST" ? new URLSearchParams(body) : null);
  if (page !== null) {
    const { status, html, location } = page;
    response.writeHead(status, { "Content-Type": "text/html; charset=utf-8", ...(location && { Location: location }) });
    response.end(html);
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

function callControl(controls: Routes["controls"], name: string, body: string): object {
  if (!Object.hasOwn(controls, name)) return { error: `There is no control ${name}` };
  const call = controls[name as keyof typeof controls] as (...parameters: unknown[]) => unknown;
  try {
    return { result: call(...(JSON.parse(body || "[]") as unknown[])) ?? null };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

/** The secret key, sent as a bearer token or as the user of basic authentication. */
function keyOf(authorization: string): string | null {
  const [scheme = "", value = ""] = authorization.split(" ");
  if (/^bearer$/i.test(scheme)) return value;
  return /^basic$/i.test(scheme) ? (Buffer.from(value, "base64").toString().split(":")[0] ?? null) : null;
}
