import { expect, test } from "vitest";
import { pace } from "../../src/backend/pace.ts";

const monotonic = () => performance.now();

async function timeOf(turns: number, turn: () => Promise<void>): Promise<number> {
  const start = monotonic();
  await Promise.all(Array.from({ length: turns }, turn));
  return monotonic() - start;
}

test("the first ones begin at once, the others one interval apart", async () => {
  const turn = pace({ rate: 50, burst: 5, monotonic });
  expect(await timeOf(5, turn)).toBeLessThan(20);
  expect(await timeOf(5, turn)).toBeGreaterThan(95);
});

test("they begin in the order of the calls", async () => {
  const turn = pace({ rate: 200, monotonic });
  const order: number[] = [];
  await Promise.all([1, 2, 3].map((number) => turn().then(() => order.push(number))));
  expect(order).toEqual([1, 2, 3]);
});
