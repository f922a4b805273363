import { spawn } from "node:child_process";
import { openSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { runCli } from "../../support/cli.ts";
import { BIN, clearedEnvironment, temporaryDirectory } from "../../support/places.ts";
import { seedFile } from "../../support/sandbox.ts";
import { organization, seed } from "../../support/seed.ts";
import { serviceEnvironment } from "../../support/service.ts";
import { waitFor } from "../../support/wait.ts";
import type { Cluster } from "./cluster.ts";

/** An instance of the built service, with test cards, on a database of a cluster. */
export interface Serving {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

/** The service did not do what a benchmark needs. */
export class ServingError extends Error {
  override readonly name = "ServingError";
}

/** Creates a database with so many organizations, the first with the id 1. */
export async function createOrganizations(cluster: Cluster, name: string, count: number): Promise<void> {
  await cluster.query("postgres", `create database ${name}`);
  const env = serviceEnvironment({ url: cluster.urlOf(name) });
  const file = await seedFile(seed(...Array.from({ length: count }, (_, index) => organizationOf(index + 1))));
  for (const args of [
    ["serve", "migrate"],
    ["serve", "admin", "import", file, "--payments", "sandbox", "--test-mode"],
  ]) {
    const { exitCode, stderr } = await runCli(args, { env, timeout: 60_000 });
    if (exitCode !== 0) throw new ServingError(`${args.join(" ")} ended with ${exitCode}: ${stderr}`);
  }
}

/** Its term began two months ago, so that nothing is renewed meanwhile. */
function organizationOf(id: number) {
  const began = new Date();
  began.setUTCDate(1);
  began.setUTCMonth(began.getUTCMonth() - 2);
  const anchorDate = began.toISOString().slice(0, 10);
  return organization(id, { subscription: { anchorDate } });
}

/** Limits that no load of ours reaches. */
const UNLIMITED = ["--rate", "100000", "--burst", "1000000"];

/** Starts an instance, and waits until it listens. Its log goes to a file, as that of a service does. */
export async function serve(cluster: Cluster, database: string): Promise<Serving> {
  const home = await temporaryDirectory();
  const [ready, log] = [join(home, "ready.json"), join(home, "log")];
  const args = ["serve", "--payments", "sandbox", "--test-mode", "--port", "0", "--json", "--drain-seconds", "0"];
  const env = clearedEnvironment(home, serviceEnvironment({ url: cluster.urlOf(database) }));
  const child = spawn(process.execPath, [BIN, ...args, ...UNLIMITED], {
    env,
    stdio: ["ignore", openSync(ready, "w"), openSync(log, "w")],
  });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const line = await waitFor(
    async () => {
      const text = await readFile(ready, "utf8");
      if (child.exitCode !== null) throw new ServingError(`serve ended: ${await readFile(log, "utf8")}`);
      return text.includes("\n") && text;
    },
    20_000,
    "the service to listen",
  );
  return {
    url: (JSON.parse(line) as { url: string }).url,
    pid: child.pid ?? 0,
    async stop() {
      child.kill("SIGTERM");
      await ended;
    },
  };
}
