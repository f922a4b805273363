import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { drawPictures, type Picture } from "../pictures/scenes.ts";
import { ROOT, removePlaces } from "../support/places.ts";

afterAll(removePlaces);

/** What differs from run to run: ids, the port, and how wide it is. */
function lasting(svg: string): string {
  return svg
    .replaceAll(/(pur|quo|cli)_[0-9a-f]+/g, "$1_")
    .replaceAll(/127\.0\.0\.1:\d+/g, "127.0.0.1")
    .replaceAll(/ textLength="[\d.]+"/g, "");
}

test("the README's pictures match the program's output; `npm run pictures` draws them", async () => {
  const pictures = await drawPictures();
  const readme = await readFile(join(ROOT, "README.md"), "utf8");
  for (const { name, svg } of pictures satisfies Picture[]) {
    expect(readme).toContain(`.github/pictures/${name}`);
    expect(Buffer.byteLength(svg)).toBeLessThan(8_000);
    expect(lasting(svg)).toBe(lasting(await readFile(join(ROOT, ".github", "pictures", name), "utf8")));
  }
});
