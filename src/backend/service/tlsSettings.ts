import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import type { TlsFiles } from "../http/server.ts";
import type { SettingsReader } from "./given.ts";

/** Reads the certificate and its private key, which must match; `null` without them. */
export async function tlsFiles(reader: SettingsReader): Promise<TlsFiles | null> {
  const [cert, key] = [await reader.file("tls-cert"), await reader.file("tls-key")];
  if ((reader.flag("tls-cert") === null) !== (reader.flag("tls-key") === null)) {
    reader.refuse("--tls-cert and --tls-key must be passed together");
  }
  const certificate = cert === null ? null : parse(() => new X509Certificate(cert));
  const privateKey = key === null ? null : parse(() => createPrivateKey(key));
  if (certificate === undefined) reader.refuse("--tls-cert must be a PEM certificate");
  if (privateKey === undefined) {
    reader.refuse(
      /ENCRYPTED/.test(key ?? "") ? "--tls-key must not have a passphrase" : "--tls-key must be a PEM private key",
    );
  }
  if (certificate && privateKey) refuseOtherPair(reader, certificate, privateKey, { cert: cert ?? "", key: key ?? "" });
  return cert === null || key === null ? null : { cert, key };
}

/** Reads the CA certificates that a flag names; `null` without them. */
export async function authorities(reader: SettingsReader, name: string): Promise<string | null> {
  const ca = await reader.file(name);
  if (ca !== null && parse(() => new X509Certificate(ca)) === undefined) {
    reader.refuse(`--${name} must be PEM certificates`);
  }
  return ca;
}

function parse<Result>(read: () => Result): Result | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

function refuseOtherPair(reader: SettingsReader, certificate: X509Certificate, key: KeyObject, files: TlsFiles): void {
  if (!certificate.checkPrivateKey(key)) {
    reader.refuse("--tls-key does not match the first certificate in --tls-cert");
  } else if (parse(() => createSecureContext(files)) === undefined) {
    reader.refuse("--tls-cert must be a certificate chain that TLS accepts");
  }
}
