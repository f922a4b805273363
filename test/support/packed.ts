import { cp, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import manifest from "../../package.json";
import { BIN, clearedEnvironment, DIST, ROOT, temporaryDirectory } from "./places.ts";

/** A registry URL where nothing listens, so that any request fails. */
export const NO_REGISTRY = { npm_config_registry: "http://127.0.0.1:9", npm_config_fetch_retries: "0" };

/** The package, packed as for publishing and installed alone. */
export interface Installed {
  /** The directory with its `node_modules`. */
  readonly directory: string;
  /** Its directory in there. */
  readonly root: string;
  /** The file that runs the program. */
  readonly bin: string;
}

/**
 * Packs the build, and returns the file that `npm pack` creates. With `--ignore-scripts`, because a build would replace
 * what other tests are running.
 */
export async function packPackage(): Promise<string> {
  const directory = await temporaryDirectory();
  await execa("npm", ["pack", "--ignore-scripts", "--pack-destination", directory], {
    cwd: ROOT,
    env: clearedEnvironment(directory),
    extendEnv: false,
  });
  return join(directory, `${manifest.name}-${manifest.version}.tgz`);
}

/**
 * Installs a tarball where no registry can be reached.
 *
 * @returns what npm printed on both streams
 */
export async function npmInstall(tarball: string, directory: string, ...flags: string[]): Promise<string> {
  const args = ["install", ...flags, "--no-audit", "--no-fund", tarball];
  const env = clearedEnvironment(directory, NO_REGISTRY);
  const { all } = await execa("npm", args, { cwd: directory, env, extendEnv: false, all: true });
  return all;
}

/** Installs the packed package without optional dependencies and without a registry. */
export async function installPacked(): Promise<Installed> {
  const tarball = await packPackage();
  const directory = await temporaryDirectory();
  await npmInstall(tarball, directory, "--omit=optional", "--no-save");
  const root = join(directory, "node_modules", manifest.name);
  return { directory, root, bin: join(root, manifest.bin["secureflag-licenses"]) };
}

/** Packs the action as a release has it: its archive, and SHA256SUMS. Returns their directory. */
export async function packAction(): Promise<string> {
  const [directory, folder] = [await temporaryDirectory(), await temporaryDirectory()];
  await cp(join(DIST, "action"), join(folder, "top-up"), { recursive: true });
  await execa("tar", ["-czf", join(directory, `${manifest.name}-action-${manifest.version}.tar.gz`), "top-up"], {
    cwd: folder,
  });
  await execa("sh", ["-c", "sha256sum * > SHA256SUMS"], { cwd: directory });
  return directory;
}

/** Packs a script that runs the built program under the name of the executable, in an archive like that of a release. */
export async function packStandIn(): Promise<string> {
  const directory = await temporaryDirectory();
  const top = `${manifest.name}-${manifest.version}-linux-x64`;
  await mkdir(join(directory, top));
  const script = join(directory, top, manifest.name);
  await writeFile(script, `#!/bin/sh\nexec ${process.execPath} ${BIN} "$@"\n`, { mode: 0o755 });
  const archive = join(directory, `${top}.tar.gz`);
  await execa("tar", ["-czf", archive, top], { cwd: directory });
  return archive;
}
