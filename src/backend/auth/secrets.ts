import { createHash } from "node:crypto";

/** What is kept of a token: its SHA-256, in hexadecimal (security.md, Signing in). */
export function hashToken(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}

/** A version 4 UUID (RFC 9562, section 5.4) from 16 random bytes. */
export function uuidFrom(bytes: Buffer): string {
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x40, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
