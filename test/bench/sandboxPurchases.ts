import { join } from "node:path";
import Libsql from "libsql";
import { temporaryDirectory } from "../support/places.ts";
import { startSandbox } from "../support/sandbox.ts";
import { organization, seed } from "../support/seed.ts";
import { type Budget, type Figure, median } from "./budget.ts";
import { buyUnderLoad } from "./load.ts";

const ROUNDS = 5;
const SECONDS = 2;

/** How many commits the machine makes in each round. */
const COMMITS = 200;

/** What a sandbox sells per second over HTTP, one purchase after the other, beside commits of the same database alone. */
export const sandboxPurchasesBudget: Budget = { name: "sandbox-purchases", isSlow: false, measure: measureSandbox };

async function measureSandbox(): Promise<Figure[]> {
  const data = join(await temporaryDirectory(), "data");
  const sandbox = await startSandbox({ data, seed: seed(organization(1)) });
  try {
    const load = { url: sandbox.ready.url, connections: 1, first: 1, organizations: 1 };
    await buyUnderLoad({ ...load, seconds: 1 });
    const [purchases, commits]: [number[], number[]] = [[], []];
    for (let round = 0; round < ROUNDS; round += 1) {
      commits.push(await commitsPerSecond());
      const { sold, seconds } = await buyUnderLoad({ ...load, seconds: SECONDS });
      purchases.push(sold / seconds);
    }
    const value = median(purchases);
    const unit = `per second (of an insert alone: ${median(commits).toFixed(0)})`;
    return [
      {
        name: "sandbox-purchases",
        value,
        unit,
        goal: Number.POSITIVE_INFINITY,
        samples: { purchases, commits },
      },
    ];
  } finally {
    await sandbox.stop();
  }
}

/** The yardstick: inserts of one row, each committed and synchronized, as the sandbox's store does. */
async function commitsPerSecond(): Promise<number> {
  const database = new Libsql(join(await temporaryDirectory(), "yardstick"));
  try {
    database.exec(
      "pragma journal_mode = wal; pragma synchronous = full; create table rows (id integer primary key, text text)",
    );
    const insert = database.prepare("insert into rows (text) values (?)");
    const began = performance.now();
    for (let commit = 0; commit < COMMITS; commit += 1) insert.run("x".repeat(200));
    return (COMMITS * 1_000) / (performance.now() - began);
  } finally {
    database.close();
  }
}
