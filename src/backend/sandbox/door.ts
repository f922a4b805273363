import type { RequestListener, Server } from "node:http";
import { createHttpServer } from "../http/server.ts";

/** Where a sandbox is reached before it has loaded what answers: requests that come meanwhile wait. */
export interface Door {
  readonly server: Server;
  /** Lets in who waits, and everybody who comes from here on. */
  open(listener: RequestListener): void;
}

/** A door that is closed and does not listen yet. */
export function createDoor(deps: Parameters<typeof createHttpServer>[0]): Door {
  const server = createHttpServer(deps);
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
