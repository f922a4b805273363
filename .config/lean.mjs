/** Leaves out of the bundle what the program never does, and puts off what it seldom does, so that a start loads little. */
const LEFT_OUT = [
  // Fastify's own checks and answers by schema: ours are by the contract's (src/backend/app.ts).
  "@fastify/ajv-compiler",
  "@fastify/fast-json-stringify-compiler",
  // Fastify's `inject`, for tests.
  "light-my-request",
  // The question that opens an editor.
  "@inquirer/editor",
];

const NOTHING = "module.exports = {};";

/** Importing this module reads every property of the process, and so opens its streams. The global is the same object. */
const PROCESS = "module.exports = globalThis.process;";

/**
 * What western languages, the signs of money, our arrows and our bars are written with: each is one column wide, and none
 * joins another.
 */
const SINGLE_COLUMNS = /^[ -~\u00a0-\u00ac\u00ae-\u00ff\u2013\u2026\u202f\u20ac\u2192\u2212\u2713\u2588\u2591]*$/;

/** Its tables of graphemes and emoji take as long to set up as the rest of a short command, which mostly needs none. */
const STRING_WIDTH = `
  let loaded;
  export default (text) => ${SINGLE_COLUMNS}.test(text) ? text.length : (loaded ??= require("string-width").default)(text);
`;

/** An esbuild plugin. */
export const lean = {
  name: "lean",
  setup(build) {
    const instead = (filter, contents, isMeant = () => true) => {
      const namespace = `instead of ${filter}`;
      build.onResolve({ filter }, (found) =>
        found.namespace === "file" && isMeant(found) ? { path: found.path, namespace } : undefined,
      );
      build.onLoad({ filter: /^/, namespace }, () => ({ contents, resolveDir: build.initialOptions.absWorkingDir }));
    };
    instead(new RegExp(`^(${LEFT_OUT.join("|")})$`), NOTHING);
    instead(/^(node:)?process$/, PROCESS);
    // Fastify asks it which plugins go with which of its versions; we have none.
    instead(/^semver$/, NOTHING, ({ importer }) => importer.includes("/node_modules/fastify/"));
    // Packages bring versions of their own.
    instead(/^string-width$/, STRING_WIDTH, ({ importer }) => !importer.includes("/node_modules/"));
  },
};
