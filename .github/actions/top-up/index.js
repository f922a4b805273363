// Runs the program that the build puts beside this file, as a step of GitHub Actions.
process.exitCode = 1;
Promise.all([import("./program/main.js"), import("./program/step.js")])
  .then(async ([program, { runStep }]) => {
    const { exitCode, leavesWork } = await runStep(program);
    process.exitCode = exitCode;
    if (leavesWork) process.exit();
  })
  .catch((error) => {
    const message = `The action cannot run: ${error instanceof Error ? error.message : error}`;
    process.stdout.write(
      `::error::${message.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A")}\n`,
    );
  });
