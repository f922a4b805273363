import { createHash } from "node:crypto";

/** What is kept of a token: its SHA-256, in hexadecimal (security.md, Signing in). */
export function hashToken(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}
