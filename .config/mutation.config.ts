import { defineConfig } from "vitest/config";

/**
 * The tests that Stryker runs. They run without a build, and each file in a worker of its own, because a mutant may be in
 * what a file loads. They are chosen here and not by `stryker --testFiles`, which leaves such mutants switched off.
 */
export default defineConfig({
  test: {
    include: (process.env.MUTATION_TESTS ?? "test/billing/*.test.ts").split(","),
    env: { LC_ALL: "C" },
    setupFiles: ["test/support/shortProperties.ts"],
    expect: { requireAssertions: true },
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
