import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { listenFailure } from "../http/server.ts";
import type { Metrics } from "./metrics.ts";

/** What the gauges of an instance are read from when they are scraped. */
export interface GaugeSources {
  /** The connections to the database, those that are idle, and how many callers wait for one. */
  pool(): { total: number; idle: number; waiting: number };
  /** The mean delay of the event loop, milliseconds. */
  loopDelay(): number;
  /** The database's clock minus this machine's, milliseconds. */
  clockOffset(): number;
  /** Sets the gauges that are read from the store; must not fail. */
  readStore(): Promise<void>;
}

/** The port of the metrics, listening. */
export interface MetricsServer {
  /** `http://127.0.0.1:9464/metrics`. */
  readonly url: string;
  close(): Promise<void>;
}

/** Reads the gauges and returns all metrics in the text format of Prometheus. */
async function scrape(metrics: Metrics, sources: GaugeSources): Promise<string> {
  await sources.readStore();
  const { total, idle, waiting } = sources.pool();
  metrics.poolConnections.set({ state: "idle" }, idle);
  metrics.poolConnections.set({ state: "used" }, total - idle);
  metrics.poolConnections.set({ state: "waiting" }, waiting);
  metrics.loopDelay.set(sources.loopDelay() / 1_000);
  metrics.clockOffset.set(sources.clockOffset() / 1_000);
  return metrics.registry.metrics();
}

/**
 * Serves `/metrics`, and nothing else, on a port of its own.
 *
 * @param port 0 picks a free one
 * @throws BackendError `port_in_use`, `settings_invalid`
 */
export async function startMetricsServer(
  metrics: Metrics,
  sources: GaugeSources,
  { host, port }: { host: string; port: number },
): Promise<MetricsServer> {
  const server = createServer((request, response) => void answer(metrics, sources, request, response));
  try {
    await once(server.listen(port, host), "listening");
  } catch (error) {
    throw listenFailure(error, { host, port, flag: "--metrics-port" });
  }
  const { address, family, port: chosen } = server.address() as AddressInfo;
  return {
    url: `http://${family === "IPv6" ? `[${address}]` : address}:${chosen}/metrics`,
    async close() {
      const closed = once(server.close(), "close");
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(
  metrics: Metrics,
  sources: GaugeSources,
  { method, url }: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (url?.split("?")[0] !== "/metrics") return end(response, 404, "Not found\n");
  if (method !== "GET" && method !== "HEAD") return end(response.setHeader("Allow", "GET, HEAD"), 405, "Use GET\n");
  response.setHeader("Content-Type", metrics.registry.contentType);
  end(response, 200, await scrape(metrics, sources));
}

function end(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status).end(text);
}
