// Runs the program that the build puts beside this file, as a step of GitHub Actions. In the package and in a checkout of
// the program itself, that is in dist/.
import { existsSync } from "node:fs";

process.exitCode = 1;
const inside = new URL("program/", import.meta.url);
const program = existsSync(inside) ? inside : new URL("../../../dist/", import.meta.url);
Promise.all(["main.js", "step.js"].map((name) => import(new URL(name, program).href)))
  .then(async ([main, { runStep }]) => {
    const { exitCode, leavesWork } = await runStep(main);
    process.exitCode = exitCode;
    if (leavesWork) process.exit();
  })
  .catch((error) => {
    const message = `The action cannot run: ${error instanceof Error ? error.message : error}`;
    process.stdout.write(
      `::error::${message.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A")}\n`,
    );
  });
