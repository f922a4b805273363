import type { buildConnector } from "undici";
import { isUnknownAuthority, UntrustedError } from "./certificate.ts";

/** What makes connections, with TLS options of its own. */
type MakeConnector = (tls: { secureContext?: SecureContext }) => buildConnector.connector;

type SecureContext = import("node:tls").SecureContext;

/** Node.js 22.15 and newer know the certificates of the system; the types are those of an older one. */
interface Certificates extends Pick<typeof import("node:tls"), "createSecureContext"> {
  getCACertificates?(type: "default" | "system"): string[];
  setDefaultCACertificates?(certificates: readonly string[]): void;
}

/**
 * Makes connections that trust the certificates of the system as well, where Node.js knows them. They take a fifth of a
 * second to load, so that they are loaded only for a server whose authority Node.js does not know by itself. Then a new
 * connection is made: nothing was sent over the first one.
 */
export function trustSystem(make: MakeConnector): buildConnector.connector {
  const plain = make({});
  let trusting: Promise<buildConnector.connector | null> | null = null;
  const again = (known: buildConnector.connector, ...[options, callback]: Parameters<buildConnector.connector>) =>
    known(options, (...[error, socket]) =>
      callback(...(error === null ? ([null, socket] as const) : ([untrusted(error), null] as const))),
    );
  return (options, callback) => {
    const unlessKnown = () =>
      plain(options, (...[error, socket]) => {
        if (error === null) return callback(null, socket);
        if (!isUnknownAuthority(error)) return callback(error, null);
        trusting ??= systemContext().then((secureContext) => secureContext && make({ secureContext }));
        trusting.then(
          (known) => (known === null ? callback(error, null) : again(known, options, callback)),
          () => callback(error, null),
        );
      });
    if (trusting === null) return unlessKnown();
    // An authority that was needed once is needed for every connection to come.
    trusting.then(
      (known) => (known === null ? unlessKnown() : again(known, options, callback)),
      () => unlessKnown(),
    );
  };
}

function untrusted(error: Error): Error {
  return isUnknownAuthority(error) ? new UntrustedError(error) : error;
}

/** Node's own certificates, those of NODE_EXTRA_CA_CERTS, and the system's; `null` where Node.js does not know these. */
async function systemContext(): Promise<SecureContext | null> {
  const { default: tls } = await import("node:tls");
  const ca = allCertificates(tls);
  return ca && tls.createSecureContext({ ca });
}

function allCertificates(tls: Certificates): string[] | null {
  return tls.getCACertificates ? [...tls.getCACertificates("default"), ...tls.getCACertificates("system")] : null;
}

/**
 * Lets everything in this process trust the certificates of the system as well, where Node.js can (22.19 and newer). For
 * a service, which starts once and connects to others by several libraries.
 */
export async function trustSystemEverywhere(): Promise<void> {
  const tls: Certificates = (await import("node:tls")).default;
  const certificates = allCertificates(tls);
  if (certificates !== null) tls.setDefaultCACertificates?.(certificates);
}
