import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import manifest from "../../package.json";
import { packPackage } from "./packed.ts";

/** The package as an example names it, `secureflag-licenses@1.2.3`. */
export const PACKAGE = `${manifest.name}@${manifest.version}`;

/**
 * A package registry on loopback that knows this package, packed as it would be published, and no other. What is built
 * is packed as it is.
 */
export class Registry {
  readonly #server: Server;
  /** What `npm pack` makes. */
  readonly tarball: Buffer;

  private constructor(server: Server, tarball: Buffer) {
    this.#server = server;
    this.tarball = tarball;
  }

  /** Packs the package and serves it. */
  static async start(): Promise<Registry> {
    const tarball = await readFile(await packPackage());
    const server = createServer();
    const registry = new Registry(server, tarball);
    const answers: Record<string, () => string | Buffer> = {
      [`/${manifest.name}`]: () => JSON.stringify(packument(tarball, registry.url)),
      "/package.tgz": () => tarball,
    };
    server.on("request", (request, response) => {
      const answer = answers[request.url ?? ""];
      response.writeHead(answer ? 200 : 404, { "content-type": "application/json" });
      response.end(answer ? answer() : "{}");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return registry;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** What makes npm and npx take packages from here. */
  get env(): Record<string, string> {
    return { npm_config_registry: this.url };
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function packument(tarball: Buffer, url: string) {
  const { name, version, bin, engines, optionalDependencies } = manifest;
  const integrity = `sha512-${createHash("sha512").update(tarball).digest("base64")}`;
  const dist = { tarball: `${url}/package.tgz`, integrity };
  const published = { name, version, bin, engines, optionalDependencies, dist };
  return { name, "dist-tags": { latest: version }, versions: { [version]: published } };
}
