import { readFileSync } from "node:fs";
import { join } from "node:path";
import { deflateSync } from "node:zlib";
import { ROOT } from "./places.ts";

/** The font that every receipt is set in, from its own package. */
export const DEJAVU = join(ROOT, "node_modules/dejavu-fonts-ttf/ttf/DejaVuSans.ttf");

const FIRST_LETTER = 36;

/**
 * A WOFF font that has just these characters, drawn as A, B, C and so on: it stands for a font package that is too large
 * to be installed for a test.
 */
export function woffOf(characters: string): Buffer {
  const tables = tablesOf(readFileSync(DEJAVU)).filter(({ tag }) => !["GSUB", "GPOS", "GDEF", "kern"].includes(tag));
  const packed = tables.map(({ tag, data }) => {
    const table = tag === "cmap" ? characterMap(characters) : tag === "head" ? otherHead(data, characters) : data;
    const small = deflateSync(table);
    return { tag, length: table.length, data: small.length < table.length ? small : table };
  });
  return woff(packed);
}

function tablesOf(font: Buffer): { tag: string; data: Buffer }[] {
  return Array.from({ length: font.readUInt16BE(4) }, (_, index) => {
    const entry = 12 + index * 16;
    const offset = font.readUInt32BE(entry + 8);
    const data = font.subarray(offset, offset + font.readUInt32BE(entry + 12));
    return { tag: font.toString("latin1", entry, entry + 4), data };
  });
}

/** A font is known by its checksum: without another one it would be taken for the font that it is made from. */
function otherHead(head: Buffer, characters: string): Buffer {
  const changed = Buffer.from(head);
  changed.writeUInt32BE(characters.codePointAt(0) ?? 0, 8);
  return changed;
}

/** A `cmap` of format 12: one group a character. */
function characterMap(characters: string): Buffer {
  const points = [...characters].map((character) => character.codePointAt(0) ?? 0).sort((a, b) => a - b);
  const groups = points.flatMap((point, index) => [point, point, FIRST_LETTER + index]);
  const length = 16 + groups.length * 4;
  return Buffer.concat([
    words16(0, 1, 3, 10),
    words32(12),
    words16(12, 0),
    words32(length, 0, points.length, ...groups),
  ]);
}

/** WOFF 1.0 (W3C), sections 3 to 5. */
function woff(tables: readonly { tag: string; length: number; data: Buffer }[]): Buffer {
  let offset = 44 + tables.length * 20;
  const entries: Buffer[] = [];
  const bodies: Buffer[] = [];
  for (const { tag, length, data } of tables) {
    entries.push(Buffer.from(tag, "latin1"), words32(offset, data.length, length, 0));
    bodies.push(data, Buffer.alloc((4 - (data.length % 4)) % 4));
    offset += data.length + ((4 - (data.length % 4)) % 4);
  }
  const header = [words32(0x774f4646, 0x00010000, offset), words16(tables.length, 0), words32(0), Buffer.alloc(24)];
  return Buffer.concat([...header, ...entries, ...bodies]);
}

function words16(...values: number[]): Buffer {
  return Buffer.concat(values.map((value) => Buffer.from([value >> 8, value & 0xff])));
}

function words32(...values: number[]): Buffer {
  return Buffer.from(
    values.flatMap((value) => [value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff]),
  );
}
