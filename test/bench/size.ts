import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { Metafile } from "esbuild";
import { type Installed, installPacked } from "../support/packed.ts";
import { DIST } from "../support/places.ts";
import type { Budget, Figure } from "./budget.ts";

/** What the build wrote of itself. */
const METAFILE = join(DIST, "metafile.json");

const BACKEND = "src/backend/";
const KILOBYTE = 1000;

/** What is installed to run the CLI: how many kilobytes of it the CLI may ever load, and how many packages. */
export const sizeBudget: Budget = { name: "install-size", isSlow: false, measure: measureInstall };

async function measureInstall(): Promise<Figure[]> {
  const installed = await installPacked();
  const kilobytes = (await compressedSize(installed)) / KILOBYTE;
  const packages = (await readdir(join(installed.directory, "node_modules"))).filter((name) => !name.startsWith("."));
  return [
    { name: "install-size", value: kilobytes, unit: "kB", goal: 600, samples: { kilobytes: [kilobytes] } },
    {
      name: "install-size",
      value: packages.length,
      unit: "packages",
      goal: 1,
      samples: { packages: [packages.length] },
    },
  ];
}

/** Bytes, compressed as in the package. */
async function compressedSize({ root }: Installed): Promise<number> {
  const { outputs } = JSON.parse(await readFile(METAFILE, "utf8")) as Metafile;
  const files = ["package.json", "bin/package.json", "bin/secureflag-licenses.js", "dist/answers.json"];
  const loaded = await Promise.all([...files, ...reachable(outputs)].map((file) => readFile(join(root, file))));
  return gzipSync(Buffer.concat(loaded), { level: 9 }).length;
}

/** The built files that the CLI may load, but for the backend and what only the backend loads. */
function reachable(outputs: Metafile["outputs"]): Set<string> {
  const found = new Set(["dist/main.js"]);
  for (const file of found) {
    for (const { path } of outputs[file]?.imports ?? []) {
      if (outputs[path] && !outputs[path].entryPoint?.startsWith(BACKEND)) found.add(path);
    }
  }
  return found;
}
