import { readFileSync } from "node:fs";
import type { Environment } from "./address.ts";

/** What is wrong with a certificate, and what to do about it. */
interface CertificateProblem {
  readonly message: string;
  readonly hint: string;
}

const OPERATOR = "ask the operator of the backend to renew the certificate";

/** By Node's code (https://nodejs.org/api/tls.html#x509-certificate-error-codes), what is wrong and what to do. */
const KINDS: Readonly<Record<string, readonly [what: string, hint: string]>> = {
  ERR_TLS_CERT_ALTNAME_INVALID: [
    "is for another host name",
    "Check the host name in the API URL. Pass --verbose to see the names in the certificate.",
  ],
  CERT_HAS_EXPIRED: ["has expired", `Check the clock of this machine; if it is right, ${OPERATOR}.`],
  CERT_NOT_YET_VALID: ["is not valid yet", "Check the clock of this machine: it may be slow."],
  CERT_REVOKED: ["was revoked", `Do not use it: ${OPERATOR}.`],
};

/** The codes of a chain that ends in no authority that this machine knows. */
const UNKNOWN_AUTHORITY = /^(UNABLE_TO_GET_ISSUER_CERT|UNABLE_TO_VERIFY_LEAF_SIGNATURE|.*SELF_SIGNED|CERT_UNTRUSTED)/;

/** Whether a server's certificate ends in no authority that is known. */
export function isUnknownAuthority(error: unknown): boolean {
  return error instanceof Error && "code" in error && UNKNOWN_AUTHORITY.test(String(error.code));
}

/** A server's authority is known neither to Node.js nor to the system. */
export class UntrustedError extends Error {
  override readonly name = "UntrustedError";
  /** Node's code of what is wrong. */
  readonly code: string;

  constructor(cause: Error & { code?: unknown }) {
    super(cause.message, { cause });
    this.code = String(cause.code);
  }
}

/**
 * Tells untrusted certificates apart: wrong host name, expired, not yet valid, unknown authority; and servers that do
 * not speak TLS.
 *
 * @param cause the error of Node's TLS
 */
export function certificateFailure(cause: unknown, origin: string, env: Environment): CertificateProblem {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  if (code.startsWith("ERR_SSL_")) {
    return { message: `${origin} does not speak TLS as expected`, hint: "Check the host and the port in the API URL." };
  }
  const [what, hint] = isUnknownAuthority(cause)
    ? ["is signed by an unknown authority", authorityHint(env.NODE_EXTRA_CA_CERTS, cause instanceof UntrustedError)]
    : (KINDS[code] ?? [`cannot be trusted (${code})`, `Check the API URL, then ${OPERATOR}.`]);
  return { message: `The certificate of ${origin} ${what}`, hint };
}

const SET_EXTRA = "set NODE_EXTRA_CA_CERTS to a PEM file with its certificate";

const NEWER_NODE = "Node.js 22.19 and newer also trusts the certificates of the system.";

/** Node.js goes on without the certificates of a file that it cannot read. */
function authorityHint(file: string | undefined, knowsSystem: boolean): string {
  if (!file || hasCertificate(file)) {
    return knowsSystem
      ? `If it is your company's own authority, add it to the certificates of this system, or ${SET_EXTRA}.`
      : `If it is your company's own authority, ${SET_EXTRA}. ${NEWER_NODE}`;
  }
  return `No certificate can be read from ${file}. Set NODE_EXTRA_CA_CERTS to a PEM file with the authority's certificate.`;
}

function hasCertificate(file: string): boolean {
  try {
    return readFileSync(file, "latin1").includes("-----BEGIN CERTIFICATE-----");
  } catch {
    return false;
  }
}
