import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";

/**
 * Below the ports that a system gives to outgoing connections (Linux from 32,768, others from 49,152; RFC 6335): a port
 * of those can be taken while its server is away, even by a client of that server which tries to reconnect.
 */
const PORTS = { from: 20_000, below: 32_768 } as const;

/** Returns a port of loopback that is free now, and stays free for a server that is started on it again. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(PORTS.from, PORTS.below);
    const server = createServer();
    try {
      await once(server.listen(port, "127.0.0.1"), "listening");
    } catch {
      continue; // It is in use.
    }
    server.close();
    await once(server, "close");
    return port;
  }
}
