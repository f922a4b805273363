import { execa } from "execa";
import { ROOT } from "../support/places.ts";
import type { Budget } from "./budget.ts";

/** How long all tests take, on whatever cores there are. */
export const testsBudget: Budget = {
  name: "tests",
  isSlow: true,
  async measure() {
    const began = performance.now();
    await execa("npm", ["test"], { cwd: ROOT, stdio: ["ignore", "ignore", "inherit"] });
    const seconds = (performance.now() - began) / 1000;
    return [{ name: "tests", value: seconds, unit: "s", goal: 120, samples: { seconds: [seconds] } }];
  },
};
