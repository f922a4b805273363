import { createServer, type RequestListener, type Server } from "node:http";
import { KEEP_ALIVE_MS, REQUEST_TIMEOUT_MS } from "../http/limits.ts";

/** Where a sandbox is reached before it has loaded what answers: requests that come meanwhile wait. */
export interface Door {
  readonly server: Server;
  /** Lets in who waits, and everybody who comes from here on. */
  open(listener: RequestListener): void;
}

/** A door that is closed and does not listen yet. */
export function createDoor(): Door {
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS, keepAliveTimeout: KEEP_ALIVE_MS });
  const waiting: Parameters<RequestListener>[] = [];
  const keep = (...exchange: Parameters<RequestListener>) => void waiting.push(exchange);
  server.on("request", keep);
  return {
    server,
    open(listener) {
      server.off("request", keep).on("request", listener);
      for (const exchange of waiting.splice(0)) listener(...exchange);
    },
  };
}
