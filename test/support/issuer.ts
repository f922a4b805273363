import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import {
  type CryptoKey,
  exportJWK,
  exportSPKI,
  generateKeyPair,
  importJWK,
  type JWTHeaderParameters,
  SignJWT,
} from "jose";

/** How a document of the issuer is answered: as it is, or by this. */
type Disturbance = ((response: ServerResponse) => void) | null;

/** A token to sign, also by another algorithm than the issuer's own. Times are in seconds since the epoch. */
export interface TokenToSign {
  readonly claims: Readonly<Record<string, unknown>>;
  readonly header?: Partial<JWTHeaderParameters>;
  /** Signs with this key instead of the issuer's own. */
  readonly key?: CryptoKey | Uint8Array;
}

/** An issuer of identity tokens on loopback, like that of a CI system. */
export interface Issuer {
  readonly url: string;
  /** The paths that were asked for, in order. */
  readonly asked: string[];
  sign(token: TokenToSign): Promise<string>;
  /** Publishes a new key under a new ID instead of the one before, and signs with it. */
  rotate(algorithm: "RS256" | "ES256" | "EdDSA"): Promise<void>;
  /** The PEM text of the public key. */
  publicKey(): Promise<string>;
  /** Answers the discovery document, or the keys, in another way. */
  disturb(document: "discovery" | "keys", how: Disturbance): void;
  /** What a job of GitHub Actions is told: where to request its token, and with what. `claims` are those it gets. */
  github(claims: Readonly<Record<string, unknown>>): { url: string; token: string };
  close(): Promise<void>;
}

const REQUEST_TOKEN = "request-token-of-the-job";

/** Starts an issuer, which signs with ES256. */
export async function startIssuer(): Promise<Issuer> {
  const asked: string[] = [];
  const disturbances: Record<"discovery" | "keys", Disturbance> = { discovery: null, keys: null };
  let githubClaims: Readonly<Record<string, unknown>> = {};
  let number = 0;
  let pair = await newPair("ES256", number);

  const server = createServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? "", url);
    asked.push(pathname);
    const documents: Record<string, () => unknown> = {
      "/.well-known/openid-configuration": () => ({ issuer: url, jwks_uri: `${url}/keys` }),
      "/keys": () => ({ keys: [pair.jwk] }),
    };
    const disturbance = pathname === "/keys" ? disturbances.keys : disturbances.discovery;
    if (pathname === "/request") {
      const isAllowed = request.headers.authorization?.toLowerCase() === `bearer ${REQUEST_TOKEN}`;
      const claims = { ...githubClaims, aud: searchParams.get("audience") };
      return respond(response, isAllowed ? 200 : 401, isAllowed ? { count: 1, value: await sign({ claims }) } : {});
    }
    if (disturbance !== null) return disturbance(response);
    const found = documents[pathname];
    respond(response, found ? 200 : 404, found?.() ?? {});
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  async function sign({ claims, header = {}, key }: TokenToSign): Promise<string> {
    const now = Math.floor(Date.now() / 1000);
    const payload = { iss: url, iat: now, exp: now + 300, ...claims };
    const signer = new SignJWT(payload).setProtectedHeader({ alg: pair.algorithm, kid: pair.jwk.kid, ...header });
    const isOther = header.alg !== undefined && header.alg !== pair.algorithm;
    return signer.sign(key ?? (isOther ? await importJWK(pair.privateJwk, header.alg) : pair.privateKey));
  }

  return {
    url,
    asked,
    sign,
    async rotate(algorithm) {
      number += 1;
      pair = await newPair(algorithm, number);
    },
    publicKey: () => exportSPKI(pair.publicKey),
    disturb(document, how) {
      disturbances[document] = how;
    },
    github(claims) {
      githubClaims = claims;
      return { url: `${url}/request?api-version=2.0`, token: REQUEST_TOKEN };
    },
    async close() {
      server.closeAllConnections();
      await once(server.close(), "close");
    },
  };
}

async function newPair(algorithm: string, number: number) {
  const { publicKey, privateKey } = await generateKeyPair(algorithm, { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid: `key-${number}`, use: "sig" };
  return { algorithm, publicKey, privateKey, privateJwk: await exportJWK(privateKey), jwk };
}

/** Sends JSON. */
export function respond(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}
