import { inflateSync } from "node:zlib";

const WOFF_SIGNATURE = "wOFF";
const WOFF_HEADER = 44;
const WOFF_ENTRY = 20;
const SFNT_HEADER = 12;
const SFNT_ENTRY = 16;

interface Table {
  readonly tag: Buffer;
  readonly checksum: number;
  readonly data: Buffer;
}

/**
 * A font as TrueType or OpenType, whatever it was packed in: WOFF 1.0 (W3C) is unpacked, anything else comes back as it
 * is. Done here because the PDF library unpacks a table anew for every glyph, which takes it a second for Japanese.
 */
export function unpackFont(file: Buffer): Buffer {
  if (file.toString("latin1", 0, 4) !== WOFF_SIGNATURE) return file;
  const count = file.readUInt16BE(12);
  const tables = Array.from({ length: count }, (_, index) => readTable(file, WOFF_HEADER + index * WOFF_ENTRY));
  return Buffer.concat([headerOf(file.subarray(4, 8), tables), ...tables.map(({ data }) => padded(data))]);
}

function readTable(file: Buffer, entry: number): Table {
  const offset = file.readUInt32BE(entry + 4);
  const packedLength = file.readUInt32BE(entry + 8);
  const length = file.readUInt32BE(entry + 12);
  const packed = file.subarray(offset, offset + packedLength);
  return {
    tag: file.subarray(entry, entry + 4),
    checksum: file.readUInt32BE(entry + 16),
    data: packedLength < length ? inflateSync(packed, { maxOutputLength: length }) : packed,
  };
}

/** The offset table and the directory of tables (OpenType, "Organization of an OpenType Font"). */
function headerOf(flavor: Buffer, tables: readonly Table[]): Buffer {
  const header = Buffer.alloc(SFNT_HEADER + tables.length * SFNT_ENTRY);
  const selector = Math.floor(Math.log2(tables.length));
  flavor.copy(header);
  header.writeUInt16BE(tables.length, 4);
  header.writeUInt16BE(16 * 2 ** selector, 6);
  header.writeUInt16BE(selector, 8);
  header.writeUInt16BE(16 * (tables.length - 2 ** selector), 10);
  let offset = header.length;
  for (const [index, { tag, checksum, data }] of tables.entries()) {
    const entry = SFNT_HEADER + index * SFNT_ENTRY;
    tag.copy(header, entry);
    header.writeUInt32BE(checksum, entry + 4);
    header.writeUInt32BE(offset, entry + 8);
    header.writeUInt32BE(data.length, entry + 12);
    offset += padded(data).length;
  }
  return header;
}

/** Tables begin at multiples of four bytes. */
function padded(data: Buffer): Buffer {
  return Buffer.concat([data, Buffer.alloc((4 - (data.length % 4)) % 4)]);
}
