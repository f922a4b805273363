import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { type RunOptions, type RunResult, runCli } from "./cli.ts";
import { BIN, clearedEnvironment, temporaryDirectory } from "./places.ts";
import { ADMIN, NOW, PASSWORD, tokenOf } from "./seed.ts";
import { WaitError, waitFor } from "./wait.ts";

/** The line that a sandbox prints once it is ready (src/backend/README.md, Sandbox). */
export interface Ready {
  readonly url: string;
  readonly organizationId: number;
  readonly admin: { readonly email: string; readonly password: string } | null;
  readonly token: string | null;
  readonly dataDir: string | null;
  readonly pid: number;
}

/** A payment captured by the sandbox's provider. */
export interface Capture {
  readonly paymentId: string;
  readonly purchaseId: string;
  readonly amount: number;
  readonly currency: string;
  readonly refunded: number;
}

/** How to start a sandbox. */
export interface SandboxSettings {
  /** The content of a seed file; the built-in seed by default. */
  readonly seed?: unknown;
  /** The clock; `NOW` by default, the machine's with `null`. */
  readonly now?: string | null;
  /** A free port by default. */
  readonly port?: number;
  /** A data directory to keep; ephemeral by default. */
  readonly data?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** An executable that needs no Node.js, to run instead of the built program. */
  readonly executable?: string;
}

/** The answer to a test's own request. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
}

/** A sandbox in a process of its own. */
export class RunningSandbox {
  readonly #child: ReturnType<typeof spawnSandbox>;
  readonly ready: Ready;

  constructor(child: ReturnType<typeof spawnSandbox>, ready: Ready) {
    this.#child = child;
    this.ready = ready;
  }

  /** The root of `/sandbox` and `/openapi.json`. */
  get origin(): string {
    return new URL(this.ready.url).origin;
  }

  /** Its stderr. */
  get stderr(): string {
    return this.#child.read();
  }

  /** Sends a request without the CLI. */
  async request(
    method: string,
    path: string,
    options: { token?: string; body?: unknown; headers?: Record<string, string> } = {},
  ): Promise<Answer> {
    const url = path.startsWith("//") ? `${this.origin}${path.slice(1)}` : `${this.ready.url}${path}`;
    const response = await fetch(url, {
      method,
      headers: {
        ...(options.token && { authorization: `Bearer ${options.token}` }),
        ...(options.body !== undefined && { "content-type": "application/json" }),
        ...options.headers,
      },
      ...(options.body !== undefined && { body: JSON.stringify(options.body) }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: text ? JSON.parse(text) : null };
  }

  /** Signs the administrator in, and returns the access token. */
  async signIn(email = ADMIN, password = PASSWORD): Promise<string> {
    const { body } = await this.request("POST", "/auth/login", { body: { email, password } });
    return (body as { accessToken: string }).accessToken;
  }

  /** Lists the provider's captures. */
  async captures(): Promise<Capture[]> {
    const captures: Capture[] = [];
    for (let after: string | null = "0"; after !== null; ) {
      const { body } = await this.request("GET", `//sandbox?after=${after}`);
      const page = body as { captures: Capture[]; next: string | null };
      captures.push(...page.captures);
      after = page.next;
    }
    return captures;
  }

  /** Lists every purchase of an organization. */
  async purchases(
    organizationId: number,
  ): Promise<{ id: string; status: string; licenses: number; idempotencyKey: string }[]> {
    const path = `/organizations/${organizationId}/purchases?limit=100`;
    const { body } = await this.request("GET", path, { token: tokenOf(organizationId) });
    return (body as { items: { id: string; status: string; licenses: number; idempotencyKey: string }[] }).items;
  }

  /** Reads how many licenses the organization has purchased. */
  async purchased(organizationId: number): Promise<number> {
    const path = `/organizations/${organizationId}/subscription`;
    const { body } = await this.request("GET", path, { token: tokenOf(organizationId) });
    return (body as { licenses: { purchased: number } }).licenses.purchased;
  }

  /** Runs the CLI against it with an organization's token. */
  cli(organizationId: number, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    const env = environmentFor(this.ready.url, organizationId);
    return runCli(args, { ...options, env: { ...env, ...options.env } });
  }

  /** Waits until it exits by itself. */
  async died(limit = 20_000): Promise<void> {
    await waitFor(() => this.#child.ended(), limit, "the sandbox to die");
  }

  /** Interrupts it like a person, and returns its exit code. Fails after ten seconds. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number> {
    this.#child.kill(signal);
    const ended = await waitFor(() => this.#child.ended(), 10_000, `the sandbox to end after ${signal}`);
    return ended.exitCode;
  }
}

/** The environment for the CLI to use a backend with an organization's token. */
export function environmentFor(url: string, organizationId: number): Record<string, string> {
  return {
    SECUREFLAG_API_URL: url,
    SECUREFLAG_API_TOKEN: tokenOf(organizationId),
    SECUREFLAG_ORGANIZATION: String(organizationId),
  };
}

/** Starts the built program's sandbox on a free port and waits until it is ready. */
export async function startSandbox(settings: SandboxSettings = {}): Promise<RunningSandbox> {
  const home = await temporaryDirectory();
  const now = settings.now === undefined ? NOW : settings.now;
  const args = ["sandbox", "--port", String(settings.port ?? 0), "--json"];
  args.push(...(settings.data === undefined ? ["--ephemeral"] : ["--data", settings.data]));
  if (now !== null) args.push("--now", now);
  if (settings.seed !== undefined) args.push("--seed", await seedFile(settings.seed));
  const child = spawnSandbox(args, clearedEnvironment(home, settings.env), settings.executable);
  const line = await waitFor(
    () => {
      const ended = child.ended();
      if (ended) throw new WaitError(`The sandbox ended with ${ended.exitCode}: ${child.read()}`);
      return child.firstLine();
    },
    20_000,
    () => `the sandbox to be ready: ${child.read()}`,
  );
  return new RunningSandbox(child, JSON.parse(line) as Ready);
}

/** Writes a seed file, text as it is and anything else as JSON, and returns its path. */
export async function seedFile(content: unknown): Promise<string> {
  const path = join(await temporaryDirectory(), "seed.json");
  await writeFile(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

function spawnSandbox(args: readonly string[], env: Record<string, string>, executable?: string) {
  const child = execa(executable ?? process.execPath, executable ? args : [BIN, ...args], {
    env,
    extendEnv: false,
    reject: false,
    stdin: "ignore",
    buffer: false,
    cleanup: true,
  });
  let stdout = "";
  let stderr = "";
  let end: { exitCode: number } | undefined;
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  void child.then(({ exitCode }) => {
    end = { exitCode: exitCode ?? -1 };
  });
  return {
    kill: (signal: NodeJS.Signals) => child.kill(signal),
    read: () => stderr,
    firstLine: () => (stdout.includes("\n") ? stdout.slice(0, stdout.indexOf("\n")) : undefined),
    ended: () => end,
  };
}
