import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { temporaryDirectory } from "./places.ts";

/** A certificate as a TLS server takes it. */
export interface Certificate {
  readonly key: string;
  readonly cert: string;
}

/** For whom and when a certificate is valid. */
interface Validity {
  readonly host: string;
  /** From and until when, in days from now. */
  readonly days?: readonly [from: number, to: number];
}

/** An authority of this test alone. */
export interface Authority {
  /** What NODE_EXTRA_CA_CERTS takes. */
  readonly file: string;
  issue(validity: Validity): Promise<Certificate>;
}

const DAY_MS = 86_400_000;

/** Makes an authority with OpenSSL. */
export async function createAuthority(): Promise<Authority> {
  const directory = await temporaryDirectory();
  const path = (name: string) => join(directory, name);
  const openssl = (...args: string[]) => promisify(execFile)("openssl", args, { cwd: directory });
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  await openssl("req", "-x509", ...newKey, "-keyout", "ca.key", "-out", "ca.pem", "-days", "9", "-subj", "/CN=test");
  await writeFile(path("index"), "");
  let issued = 0;
  return {
    file: path("ca.pem"),
    issue: async ({ host, days: [from, to] = [-1, 1] }) => {
      issued += 1;
      const name = `leaf${issued}`;
      await writeFile(path(`${name}.conf`), configuration(directory, host));
      await openssl("req", ...newKey, "-keyout", `${name}.key`, "-out", `${name}.csr`, "-subj", "/CN=backend");
      const dates = ["-startdate", dateAt(from), "-enddate", dateAt(to)];
      const files = ["-in", `${name}.csr`, "-out", `${name}.pem`, "-cert", "ca.pem", "-keyfile", "ca.key"];
      await openssl("ca", "-batch", "-notext", "-config", `${name}.conf`, ...dates, ...files);
      return { key: await readFile(path(`${name}.key`), "utf8"), cert: await readFile(path(`${name}.pem`), "utf8") };
    },
  };
}

function configuration(directory: string, host: string): string {
  const lines = [
    "[ca]",
    "default_ca = authority",
    "[authority]",
    `database = ${directory}/index`,
    `new_certs_dir = ${directory}`,
    "rand_serial = yes",
    "unique_subject = no",
    "default_md = sha256",
    "policy = any",
    "x509_extensions = leaf",
    "[any]",
    "commonName = supplied",
    "[leaf]",
    `subjectAltName = DNS:${host}`,
  ];
  return `${lines.join("\n")}\n`;
}

/** As OpenSSL takes it, `20261128201500Z`. */
function dateAt(days: number): string {
  return new Date(Date.now() + days * DAY_MS).toISOString().replaceAll(/[-:T]|\.\d+/g, "");
}
