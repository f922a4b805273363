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

/** `conf` looks up the home while it loads, which fails where there is none, and is always told its directory. */
const NO_PATHS = "export default () => ({});";

/** `conf` sends every signal to the process again, which would end an interrupted command before its last words. */
const NO_SIGNALS = "export default () => {};";

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

/** The contract is loaded by every command, and only those that add users check an address. */
const EMAIL = `
  let loaded;
  export const isEmailValid = (text) => (loaded ??= require("@hapi/address/dist/email.js")).isEmailValid(text);
`;

/** The SDK of the Model Context Protocol checks answers to questions, which our server never asks. */
const NO_VALIDATOR = "export class AjvJsonSchemaValidator {}";

const MCP_SDK = /[\\/]node_modules[\\/]@modelcontextprotocol[\\/]/;

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
    instead(/^@hapi\/address\/dist\/email\.js$/, EMAIL);
    // Fastify asks it which plugins go with which of its versions; we have none.
    instead(/^semver$/, NOTHING, ({ importer }) => /[\\/]node_modules[\\/]fastify[\\/]/.test(importer));
    instead(/^env-paths$/, NO_PATHS);
    instead(/^when-exit$/, NO_SIGNALS);
    instead(/[\\/]ajv-provider\.js$/, NO_VALIDATOR, ({ importer }) => MCP_SDK.test(importer));
    // It takes schemas of two versions of zod; ours are of the newer one.
    instead(/^zod\/v3$/, NOTHING, ({ importer }) => MCP_SDK.test(importer));
    // Packages bring versions of their own.
    instead(/^string-width$/, STRING_WIDTH, ({ importer }) => !/[\\/]node_modules[\\/]/.test(importer));
  },
};
