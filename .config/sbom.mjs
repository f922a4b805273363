/** Says what is inside, in CycloneDX (https://cyclonedx.org/docs/1.5/json/): npm's own list, without what is not bundled. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { root } from "./built.mjs";
import { packagesOf } from "./packages.mjs";

/**
 * Lists Node.js and the packages that are inside an executable, each with its version and license.
 *
 * @param inputs the names of the files that are inside, from the top of the checkout
 * @param node what `findNode24` gives
 * @param date when the sources were committed, so that the same sources give the same list
 */
export async function softwareBillOfMaterials(inputs, node, date) {
  const args = ["sbom", "--sbom-format", "cyclonedx", "--sbom-type", "application", "--package-lock-only"];
  const options = { cwd: root, shell: process.platform === "win32", maxBuffer: 1e8 };
  const listed = JSON.parse((await promisify(execFile)("npm", args, options)).stdout);
  const manifest = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
  const packages = await packagesOf(inputs);
  const inside = new Map(packages.map(({ name, version, license }) => [`${name}@${version}`, license]));
  const byRef = new Map(listed.components.map((component) => [component["bom-ref"], component]));
  const components = [...inside].sort().map(([ref, license]) => {
    const { properties, externalReferences, ...component } = byRef.get(ref) ?? missing(ref);
    // To npm all of them are for development: the package that it installs has them inside.
    return { ...component, scope: "required", licenses: component.licenses ?? [licenseNamed(license)] };
  });
  const own = { ...listed.metadata.component, name: manifest.name };
  const all = [nodeComponent(node), ...components];
  const kept = new Set([own["bom-ref"], ...inside.keys()]);
  return {
    ...listed,
    serialNumber: `urn:uuid:${uuidOf(JSON.stringify([own, all]))}`,
    metadata: { ...listed.metadata, timestamp: date.toISOString(), lifecycles: [{ phase: "build" }], component: own },
    components: all,
    dependencies: [
      { ref: own["bom-ref"], dependsOn: all.map((component) => component["bom-ref"]) },
      ...listed.dependencies
        .filter(({ ref }) => inside.has(ref))
        .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter((other) => kept.has(other)) })),
    ],
  };
}

function missing(ref) {
  throw new Error(`${ref} is installed, but package-lock.json has another version: run \`npm ci\`.`);
}

/** For packages that do not state their license by its SPDX name: the text is in their files. */
function licenseNamed(license) {
  return { license: { name: license ?? "See THIRD-PARTY-LICENSES.txt" } };
}

function nodeComponent({ version }) {
  return {
    "bom-ref": `node@${version}`,
    type: "platform",
    name: "node",
    version,
    scope: "required",
    purl: `pkg:github/nodejs/node@v${version}`,
    cpe: `cpe:2.3:a:nodejs:node.js:${version}:*:*:*:lts:*:*:*`,
    licenses: [{ license: { id: "MIT" } }],
  };
}

/** A UUID of version 8 (RFC 9562, section 5.8), made of what it names. */
function uuidOf(text) {
  const bytes = createHash("sha256").update(text).digest().subarray(0, 16);
  bytes[6] = (bytes[6] & 0x0f) | 0x80;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
