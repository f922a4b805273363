/**
 * Mutation testing: changes the code one expression at a time and counts the changes that a test notices.
 *
 * - `npm run mutation` takes the billing rules and their tests.
 * - `MUTATION_TESTS=<test files> npm run mutation -- --mutate <files>` takes others, both lists separated by commas.
 */
export default {
  mutate: ["src/billing/*.ts"],
  testRunner: "vitest",
  vitest: { configFile: ".config/mutation.config.ts" },
  coverageAnalysis: "perTest",
  concurrency: 2,
  thresholds: { high: 97, low: 95, break: 95 },
  ignorePatterns: ["**", "!package.json", "!tsconfig.json", "!.config/**", "!src/**", "!test/**"],
  // Stryker rewrites this file with the JavaScript API of TypeScript, which version 7 does not have.
  tsconfigFile: "none",
  reporters: ["progress", "clear-text", "html"],
  clearTextReporter: { reportTests: false },
  warnings: { slow: false },
};
