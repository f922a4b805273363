import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, rename, writeFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { build } from "esbuild";
import Stripe from "stripe";
import { ROOT, temporaryDirectory } from "../support/places.ts";
import { freePort } from "../support/ports.ts";
import type { Controls } from "./controls.ts";
import type { Ready } from "./server.ts";

/** The controls of a stand-in in another process. */
export type Control = {
  readonly [Name in keyof Controls]: (...parameters: Parameters<Controls[Name]>) => Promise<ReturnType<Controls[Name]>>;
};

/** How to start a stand-in. */
export interface StandInSettings {
  /** A directory to keep; a new one by default, which `removePlaces` removes. */
  readonly data?: string;
  readonly isLive?: boolean;
}

interface Started {
  readonly child: ChildProcess;
  readonly ready: Ready;
}

/** A stand-in for Stripe in a process of its own. */
export class RunningStandIn {
  readonly control: Control;
  readonly ready: Ready;
  /** The directory with everything that it knows. */
  readonly data: string;
  readonly #start: () => Promise<Started>;
  #child: ChildProcess;

  constructor({ child, ready }: Started, data: string, start: () => Promise<Started>) {
    this.#child = child;
    this.ready = ready;
    this.data = data;
    this.#start = start;
    this.control = controlOf(ready.url);
  }

  /** The official client, which sends everything once. */
  client(settings: Stripe.StripeConfig = {}): Stripe {
    const { hostname: host, port } = new URL(this.ready.url);
    return new Stripe(this.ready.key, {
      ...{ host, port, protocol: "http", maxNetworkRetries: 0, telemetry: false, timeout: 20_000 },
      ...settings,
    });
  }

  /** Kills it, as a power failure would. */
  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exit = once(this.#child, "exit");
    this.#child.ref();
    this.#child.kill("SIGKILL");
    await exit;
  }

  /** Kills it, and starts it again with the same address and data. */
  async restart(): Promise<void> {
    await this.kill();
    ({ child: this.#child } = await this.#start());
  }
}

/** Starts a stand-in. It ends with this process at the latest. */
export async function startStandIn({ data, isLive = false }: StandInSettings = {}): Promise<RunningStandIn> {
  const [program, directory, port] = [await built(), data ?? (await temporaryDirectory()), await freePort()];
  const start = async (): Promise<Started> => {
    const flags = ["--json", "--port", String(port), "--data", directory, ...(isLive ? ["--live"] : [])];
    const child = spawn(process.execPath, [program, ...flags], { stdio: ["ignore", "pipe", "inherit", "ipc"] });
    if (!child.stdout) throw new TypeError("The stand-in has no stdout");
    const [line] = (await Promise.race([
      once(createInterface(child.stdout), "line"),
      once(child, "exit").then(([code]) => Promise.reject(new TypeError(`The stand-in exited with ${code}`))),
    ])) as [string];
    // It keeps no program running, and ends when that has ended.
    child.unref();
    child.channel?.unref();
    (child.stdout as Socket).unref();
    return { child, ready: JSON.parse(line) as Ready };
  };
  return new RunningStandIn(await start(), directory, start);
}

let program: Promise<string> | undefined;

/** Builds the program, once for all the stand-ins of this process. */
function built(): Promise<string> {
  program ??= bundle();
  return program;
}

/** Writes the program where packages, which stay outside, are found; each version once. */
async function bundle(): Promise<string> {
  const { outputFiles } = await build({
    absWorkingDir: ROOT,
    entryPoints: ["test/stripe/standIn.ts"],
    write: false,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    packages: "external",
  });
  const { text = "", hash = "" } = outputFiles[0] ?? {};
  const folder = join(ROOT, "node_modules/.cache/stand-in");
  const file = join(folder, `${hash.replaceAll(/\W/g, "-")}.mjs`);
  if (existsSync(file)) return file;
  await mkdir(folder, { recursive: true });
  const unfinished = join(folder, `${randomUUID()}.mjs`);
  await writeFile(unfinished, text);
  await rename(unfinished, file);
  return file;
}

function controlOf(url: string): Control {
  return new Proxy({} as Control, {
    get:
      (_, name) =>
      async (...parameters: unknown[]) => {
        const answer = await fetch(`${url}/_control/${String(name)}`, {
          method: "POST",
          body: JSON.stringify(parameters),
        });
        const { result, error } = (await answer.json()) as { result?: unknown; error?: string };
        if (error !== undefined) throw new TypeError(error);
        return result;
      },
  });
}
