/**
 * Makes everything to release, in `dist/package/`: the executable that needs no Node.js, for the system that this runs on,
 * with its licenses; the npm package; the GitHub action; what is inside (SBOM); and the SHA-256 sums of all of them. The
 * executable itself stays in `dist/`.
 */
import { execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { createWriteStream, rmSync } from "node:fs";
import { copyFile, cp, mkdir, readdir, readFile, rename, rm, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { createGzip } from "node:zlib";
import ensureBuilt, { describeBuild, digestOfSources, isBuiltFrom, root } from "./built.mjs";
import { makeExecutable } from "./executable.mjs";
import { findNode24 } from "./node24.mjs";
import { licenses } from "./packages.mjs";
import { softwareBillOfMaterials } from "./sbom.mjs";

/** The file of `dist/` that says which sources the rest was made from. */
const RECORD = "executable.json";

/** What goes into what is released beside the sources of the build. */
const SOURCES = [
  "README.md",
  "LICENSE",
  "bin/executable.js",
  "bin/inside.js",
  "bin/secureflag-licenses.js",
  ".config/executable.mjs",
  ".config/node24.mjs",
  ".config/package.mjs",
  ".config/sbom.mjs",
];

/** What people call systems, where Node.js calls them otherwise. */
const SYSTEMS = { darwin: "macos", win32: "windows" };

const isWindows = process.platform === "win32";
const run = promisify(execFile);
const dist = join(root, "dist");
const program = `secureflag-licenses${isWindows ? ".exe" : ""}`;
const { name, version } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));

const digest = await digestOfSources(SOURCES);
await ensureBuilt();
if (!process.argv.includes("--if-needed") || !(await isBuiltFrom(digest, dist, RECORD))) await make();

async function make() {
  // Made beside `dist/` and moved there whole.
  const work = join(root, `.dist-package-${crypto.randomUUID()}`);
  process.on("exit", () => rmSync(work, { recursive: true, force: true }));
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));
  for (const folder of ["parts", "made/package"]) await mkdir(join(work, folder), { recursive: true });
  const made = join(work, "made");
  const released = join(made, "package");
  const date = await dateOfSources();

  const node = await findNode24();
  const inputs = await makeExecutable(node, join(made, program), join(work, "parts"));
  await archive(work, `${name}-${version}-${SYSTEMS[process.platform] ?? process.platform}-${process.arch}`, date, {
    released,
    fill: async (folder) => {
      await copyFile(join(made, program), join(folder, program));
      await copyFile(join(root, "LICENSE"), join(folder, "LICENSE"));
      await writeFile(join(folder, "THIRD-PARTY-LICENSES.txt"), await allLicenses(inputs, node));
    },
  });
  // Without scripts, because a build would replace all of this.
  const pack = ["pack", "--ignore-scripts", "--silent", "--pack-destination", released];
  await run("npm", pack, { cwd: root, shell: isWindows });
  await archive(work, `${name}-action-${version}`, date, {
    released,
    top: "top-up",
    fill: (folder) => cp(join(dist, "action"), folder, { recursive: true }),
  });
  const bom = await softwareBillOfMaterials(inputs, node, date);
  await writeFile(join(released, "sbom.cdx.json"), `${JSON.stringify(bom, null, 2)}\n`);
  await writeFile(join(released, "SHA256SUMS"), await sumsOf(released));
  await writeFile(join(made, RECORD), JSON.stringify(await describeBuild(digest, made)));
  await publish(made);
  for (const file of await readdir(join(dist, "package"))) console.log(join("dist/package", file));
}

/** Moves what was made to `dist/`; what is inside an executable that runs meanwhile stays as it was. */
async function publish(made) {
  await rm(join(dist, "package"), { recursive: true, force: true });
  for (const entry of await readdir(made)) await rename(join(made, entry), join(dist, entry));
}

async function allLicenses(inputs, { version: nodeVersion, license }) {
  const line = `\n${"-".repeat(80)}\n\n`;
  return [await licenses(inputs), `Node.js ${nodeVersion}\n\n${license.trim()}\n`].join(line);
}

/** When the sources were committed, unless SOURCE_DATE_EPOCH (https://reproducible-builds.org) says another time. */
async function dateOfSources() {
  const { SOURCE_DATE_EPOCH } = process.env;
  if (SOURCE_DATE_EPOCH) return new Date(Number(SOURCE_DATE_EPOCH) * 1000);
  const { stdout } = await run("git", ["log", "-1", "--format=%ct"], { cwd: root });
  return new Date(Number(stdout) * 1000);
}

/** Archives a folder with the system's `tar`: the same files give the same bytes where it is that of GNU. */
async function archive(work, file, date, { released, top = file, fill }) {
  const place = join(work, file);
  const folder = join(place, top);
  await mkdir(folder, { recursive: true });
  await fill(folder);
  const names = (await readdir(folder, { recursive: true })).sort();
  for (const entry of [...names, "."]) await utimes(join(folder, entry), date, date);
  const paths = [top, ...names.map((entry) => `${top}/${entry.replaceAll("\\", "/")}`)];
  if (isWindows) {
    const tar = join(process.env.SystemRoot ?? "C:\\Windows", "System32", "tar.exe");
    await run(tar, ["-a", "-cf", join(released, `${file}.zip`), top], { cwd: place });
    return;
  }
  const isGnu = (await run("tar", ["--version"])).stdout.includes("GNU");
  const owner = isGnu ? ["--owner=0", "--group=0", "--numeric-owner"] : ["--uid", "0", "--gid", "0"];
  const args = [...owner, "-cf", "-", isGnu ? "--no-recursion" : "-n", ...paths];
  const tar = spawn("tar", args, { cwd: place, stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise((resolve, reject) => tar.once("error", reject).once("close", resolve));
  await pipeline(tar.stdout, createGzip(), createWriteStream(join(released, `${file}.tar.gz`)));
  const code = await ended;
  if (code !== 0) throw new Error(`tar ended with exit code ${code}.`);
}

/** In the format of `sha256sum`. */
async function sumsOf(folder) {
  const lines = (await readdir(folder)).sort().map(async (file) => {
    const sum = createHash("sha256")
      .update(await readFile(join(folder, file)))
      .digest("hex");
    return `${sum}  ${file}\n`;
  });
  return (await Promise.all(lines)).join("");
}
