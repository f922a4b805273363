import { connect, createServer, type Socket } from "node:net";

/** What the proxy loses: the statement itself, or only the answer to it. */
export type Loss = "statement" | "answer";

/** A proxy in front of PostgreSQL that loses a connection at a chosen statement. */
export interface CommitProxy {
  readonly port: number;
  /** Loses the next statement that has this text in it. Resolves when that has happened. */
  loseNext(text: string, loss: Loss): Promise<void>;
  close(): Promise<void>;
}

interface Plan {
  readonly text: string;
  readonly loss: Loss;
  done(): void;
}

/** Starts a proxy on a free port of loopback. */
export async function startCommitProxy(databasePort: number): Promise<CommitProxy> {
  const sockets = new Set<Socket>();
  let plan: Plan | null = null;

  function relay(client: Socket): void {
    const server = connect(databasePort, "127.0.0.1");
    let isAnswerLost = false;
    const cut = () => {
      client.destroy();
      server.destroy();
    };
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.on("close", () => {
        sockets.delete(socket);
        cut();
      });
      socket.on("error", cut);
    }
    client.on("data", (bytes) => {
      const isMeant = !isAnswerLost && plan !== null && bytes.includes(plan.text);
      if (isMeant && plan) {
        const { loss, done } = plan;
        plan = null;
        done();
        if (loss === "statement") return cut();
        isAnswerLost = true;
      }
      server.write(bytes);
    });
    server.on("data", (bytes) => {
      if (isAnswerLost) cut();
      else client.write(bytes);
    });
  }

  const listener = createServer(relay).listen(0, "127.0.0.1");
  await new Promise((done) => listener.once("listening", done));
  const { port } = listener.address() as { port: number };
  return {
    port,
    loseNext: (text, loss) =>
      new Promise((done) => {
        plan = { text, loss, done };
      }),
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((done) => listener.close(done));
    },
  };
}
