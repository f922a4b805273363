/** Draws the README's pictures from real runs: `npm run pictures`. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ROOT, removePlaces } from "../support/places.ts";
import { drawPictures } from "./scenes.ts";

const folder = join(ROOT, ".github", "pictures");
try {
  await mkdir(folder, { recursive: true });
  for (const { name, svg } of await drawPictures()) {
    await writeFile(join(folder, name), svg);
    console.log(`${name}: ${Buffer.byteLength(svg)} bytes`);
  }
} finally {
  await removePlaces();
}
