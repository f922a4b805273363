import { readFileSync, statSync } from "node:fs";
import { readdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { loadLibrary } from "../../../src/cli/connection/nativeLibrary.ts";
import { removePlaces, temporaryDirectory } from "../../support/places.ts";

const CONTENT = Buffer.from("a library");

/** Where no file can be made, not even by root. */
const READ_ONLY = "/proc";

afterAll(removePlaces);

/** Records what is loaded, as it is at that moment. */
function recorder() {
  const loaded: { file: string; content: Buffer; modes: number[] }[] = [];
  const load = (file: string) => {
    const modes = [dirname(file), file].map((path) => statSync(path).mode & 0o777);
    loaded.push({ file, content: readFileSync(file), modes });
  };
  return { loaded, load };
}

describe.each(["linux", "darwin"])("a library that is inside the executable, on %s", (platform) => {
  test("is loaded from a file of this user alone, which is removed at once", async () => {
    const place = await temporaryDirectory();
    const { loaded, load } = recorder();
    loadLibrary(CONTENT, { platform, places: [READ_ONLY, place], load });
    expect(loaded).toMatchObject([{ content: CONTENT, modes: [0o700, 0o600] }]);
    expect(await readdir(place)).toEqual([]);
  });

  test("is tried in the next place where a file cannot be loaded; the last failure is thrown", async () => {
    const places = [await temporaryDirectory(), await temporaryDirectory()];
    const tried: string[] = [];
    const load = (file: string) => {
      tried.push(dirname(dirname(file)));
      throw new TypeError(`failed to map segment of ${tried.length}`);
    };
    expect(() => loadLibrary(CONTENT, { platform, places, load })).toThrow("failed to map segment of 2");
    expect(tried).toEqual(places);
    for (const place of places) expect(await readdir(place)).toEqual([]);
  });

  test("cannot be loaded without a place", () => {
    expect(() => loadLibrary(CONTENT, { platform, places: [], load: () => {} })).toThrow(/no directory/);
    expect(() => loadLibrary(CONTENT, { platform, places: [READ_ONLY], load: () => {} })).toThrow(/EN|EROFS|EACCES/);
  });
});

describe("a library that is inside the executable, on win32", () => {
  const platform = "win32";

  test("is kept in one file, because a file in use cannot be removed", async () => {
    const place = await temporaryDirectory();
    const { loaded, load } = recorder();
    for (const _ of [1, 2]) loadLibrary(CONTENT, { platform, places: [place], load });
    const [first, second] = loaded;
    expect(second).toEqual(first);
    expect(first).toMatchObject({ content: CONTENT, modes: [0o700, 0o600] });
    expect(await readdir(dirname(first?.file ?? ""))).toHaveLength(1);
  });

  test("is written again if the file has another content", async () => {
    const place = await temporaryDirectory();
    const { loaded, load } = recorder();
    loadLibrary(CONTENT, { platform, places: [place], load });
    const { file = "" } = loaded[0] ?? {};
    await writeFile(file, "something else");
    loadLibrary(CONTENT, { platform, places: [place], load });
    expect(loaded[1]).toMatchObject({ file, content: CONTENT });
  });
});
