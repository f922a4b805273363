/** Bundles `src/cli/main.ts` into `dist/`: one entry, commands in chunks of their own that load when called. */
import { rm } from "node:fs/promises";
import { build } from "esbuild";

const root = new URL("..", import.meta.url).pathname;

await rm(`${root}dist`, { recursive: true, force: true });
await build({
  absWorkingDir: root,
  entryPoints: { main: "src/cli/main.ts" },
  outdir: "dist",
  bundle: true,
  splitting: true,
  platform: "node",
  format: "esm",
  target: "node20",
  minifySyntax: true,
  sourcemap: "linked",
  sourcesContent: false,
  external: ["libsql", "@napi-rs/keyring", "pg-native"],
  // Packages written as CommonJS call `require` for Node's own modules; ESM output has none.
  banner: {
    js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);',
  },
});
