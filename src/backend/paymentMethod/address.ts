import type { BackendDeps } from "../deps.ts";
import { isSigned, signed } from "../http/body.ts";

/** How long the address of the page is valid, so that it can be passed on to the card's holder. Milliseconds, machine clock. */
const LIFE_MS = 24 * 3_600_000;

type AddressDeps = Pick<BackendDeps, "pageKey" | "pageOrigin" | "now">;

/**
 * The URL of the page that changes an organization's payment method, and until when it is valid. It is signed, so it cannot
 * be guessed, and nothing is stored.
 *
 * @param host the `Host` of the request, see `pageOrigin`
 */
export function methodPageAddress(
  deps: AddressDeps,
  organizationId: number,
  host: string,
): { url: string; expiresAt: number } {
  const expiresAt = deps.now() + LIFE_MS;
  const parts = partsOf(String(organizationId), String(expiresAt));
  return {
    url: `${deps.pageOrigin(host)}/payment-method/${organizationId}/${expiresAt}/${signed(deps, parts)}`,
    expiresAt,
  };
}

/** Reports whether an address is genuine, expired or not. */
export function isMethodPage(
  deps: AddressDeps,
  { organizationId, expiresAt, signature }: { organizationId: string; expiresAt: string; signature: string },
): boolean {
  return isSigned(deps, partsOf(organizationId, expiresAt), signature);
}

function partsOf(organizationId: string, expiresAt: string): string[] {
  return ["payment method", organizationId, expiresAt];
}
