/**
 * Reads what was piped in, or is in a file that a person made: UTF-8, or the UTF-16 that Windows PowerShell writes, without
 * the byte order mark.
 */
export function decodeText(bytes: Uint8Array): string {
  const isWide = bytes[0] === 0xff && bytes[1] === 0xfe;
  return Buffer.from(bytes)
    .toString(isWide ? "utf16le" : "utf8")
    .replace(/^\uFEFF/, "");
}

/** Removes the line end that a shell adds. Spaces stay: a password may begin or end with them, as in a web page. */
export function withoutLineEnd(text: string): string {
  return text.replace(/\r?\n$/, "");
}
