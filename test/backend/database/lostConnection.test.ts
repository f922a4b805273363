import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openPostgres, type PostgresStore } from "../../../src/backend/database/postgres.ts";
import { isConnectionFailure } from "../../../src/backend/database/storageFailure.ts";
import { inTransaction } from "../../../src/backend/database/transaction.ts";

const url = process.env.TEST_DATABASE_URL;

// An `error` event that nobody listens to would fail the run.
describe.runIf(url)("a connection that the server ends", () => {
  const open = () => openPostgres(url ?? "", { connections: 1 });
  let store: PostgresStore;
  let other: PostgresStore;

  beforeAll(() => {
    [store, other] = [open(), open()];
  });
  afterAll(() => Promise.all([store.database.destroy(), other.database.destroy()]));

  const ownPid = async () => {
    const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(store.database);
    return rows[0]?.pid ?? 0;
  };
  const terminate = (pid: number) => sql`select pg_terminate_backend(${pid}, 5000)`.execute(other.database);
  const failureOf = (work: Promise<unknown>) => work.then(() => null).catch((error: unknown) => error);

  test("fails the statement that it carries out, and is replaced", async () => {
    const pid = await ownPid();
    const failing = failureOf(sql`select pg_sleep(4)`.execute(store.database));
    await terminate(pid);
    expect(isConnectionFailure(await failing)).toBe(true);
    expect(await ownPid()).not.toBe(pid);
  });

  test("fails a transaction between two statements, and is replaced", async () => {
    const pid = await ownPid();
    const failure = await failureOf(
      inTransaction(store.database, async (tx) => {
        await sql`select 1`.execute(tx);
        await terminate(pid);
        await sql`select 1`.execute(tx);
      }),
    );
    expect(isConnectionFailure(failure)).toBe(true);
    expect(await ownPid()).not.toBe(pid);
  });

  test("is replaced if it is idle", async () => {
    const pid = await ownPid();
    await terminate(pid);
    await expect.poll(() => store.pool().total).toBe(0);
    expect(await ownPid()).not.toBe(pid);
  });
});

/** Messages of the server: the user may connect, it is ready, and it ends the connection. */
const [ACCEPTED, READY, TERMINATED] = [
  message("R", Buffer.alloc(4)),
  message("Z", Buffer.from("I")),
  message("E", Buffer.from("SFATAL\0C57P01\0Mterminating connection\0\0")),
];

function message(type: string, body: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32BE(length.length + body.length);
  return Buffer.concat([Buffer.from(type), length, body]);
}

test("a connection that the server ends as soon as it is made fails its first statement", async () => {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => socket.end(Buffer.concat([ACCEPTED, READY, TERMINATED])));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  const { database } = openPostgres(`postgresql://user@127.0.0.1:${port}/none`, {
    connections: 1,
    isTlsRequired: false,
  });
  try {
    const failure = await sql`select 1`.execute(database).catch((error: unknown) => error);
    expect(isConnectionFailure(failure)).toBe(true);
  } finally {
    await database.destroy();
    server.close();
  }
});
