import { createServer, request } from "node:http";
import { createServer as createTlsServer } from "node:https";
import {
  type AddressInfo,
  connect,
  createServer as createTcpServer,
  type ListenOptions,
  type Server,
  type Socket,
} from "node:net";
import type { Certificate } from "./certificates.ts";

/** A server on loopback. */
interface Listening extends AsyncDisposable {
  readonly port: number;
}

/** A proxy that opens tunnels. Every name leads to this machine: nothing outside of it is ever connected to. */
export interface ConnectProxy extends Listening {
  /** The target of every CONNECT, and the password that came with it. */
  readonly seen: { readonly target: string; readonly authorization: string | null }[];
}

/** Puts TLS before a backend on loopback. */
export async function startTlsFront(origin: string, certificate: Certificate): Promise<Listening> {
  const { hostname, port, host } = new URL(origin);
  const server = createTlsServer(certificate, (incoming, outgoing) => {
    const headers = { ...incoming.headers, host };
    const passed = request({ hostname, port, method: incoming.method, path: incoming.url, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    passed.on("error", () => outgoing.destroy());
    incoming.pipe(passed);
  });
  return await listen(server);
}

/**
 * Starts a proxy for CONNECT.
 *
 * @param refuse the status to refuse a request with, `null` to open the tunnel
 */
export async function startConnectProxy(
  refuse: (authorization: string | null) => number | null = () => null,
): Promise<ConnectProxy> {
  const seen: ConnectProxy["seen"] = [];
  const server = createServer((_incoming, outgoing) => void outgoing.writeHead(400).end());
  server.on("connect", (incoming, client: Socket, head: Buffer) => {
    const target = incoming.url ?? "";
    const authorization = incoming.headers["proxy-authorization"] ?? null;
    seen.push({ target, authorization });
    client.on("error", () => {});
    const status = refuse(authorization);
    if (status !== null) {
      client.end(`HTTP/1.1 ${status} No\r\nProxy-Authenticate: Basic realm=corp\r\nContent-Length: 2\r\n\r\nno`);
      return;
    }
    const tunnel = connect(Number(target.slice(target.lastIndexOf(":") + 1)), "127.0.0.1", () => {
      client.write("HTTP/1.1 200 OK\r\n\r\n");
      tunnel.write(head);
      tunnel.pipe(client);
      client.pipe(tunnel);
    });
    tunnel.on("error", () => client.destroy());
  });
  return { ...(await listen(server)), seen };
}

/** Starts a server that reads whatever comes, and writes `answer` once; nothing ever comes after it. */
export async function startSilentProxy(answer: string | null): Promise<Listening> {
  return await listen(
    createTcpServer((socket) => {
      socket.on("error", () => {}).resume();
      if (answer !== null) socket.once("data", () => socket.write(answer));
    }),
  );
}

/** Listens on a free port of loopback; disposing cuts every connection. */
async function listen(server: Server): Promise<Listening> {
  const disposable = await listenAt(server, { port: 0, host: "127.0.0.1" });
  return { ...disposable, port: (server.address() as AddressInfo).port };
}

/** Listens somewhere; disposing cuts every connection. */
export async function listenAt(server: Server, place: string | ListenOptions): Promise<AsyncDisposable> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  await new Promise<void>((done) => server.listen(place, done));
  return {
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((done) => server.close(done));
    },
  };
}
