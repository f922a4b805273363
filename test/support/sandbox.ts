import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { type RunOptions, type RunResult, runCli } from "./cli.ts";
import { BIN, clearedEnvironment, temporaryDirectory } from "./places.ts";
import { ADMIN, NOW, PASSWORD, tokenOf } from "./seed.ts";
import { WaitError, waitFor } from "./wait.ts";

/** The line that a sandbox prints when it is ready. */
export interface Ready {
  readonly url: string;
  readonly organizationId: number;
  readonly admin: { readonly email: string; readonly password: string } | null;
  readonly token: string | null;
  readonly dataDir: string | null;
  readonly pid: number;
}

/** One payment that the sandbox's provider captured. */
export interface Capture {
  readonly paymentId: string;
  readonly purchaseId: string;
  readonly amount: number;
  readonly currency: string;
  readonly refunded: number;
}

/** How a sandbox is started. */
export interface SandboxSettings {
  /** A seed file's content; the built-in one unless said. */
  readonly seed?: unknown;
  /** The clock; the worked figure's instant unless said, the machine's with `null`. */
  readonly now?: string | null;
  /** A free one unless said. */
  readonly port?: number;
  /** A data directory to keep; ephemeral unless said. */
  readonly data?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** An answer to a request that a test made by itself. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
}

/** A sandbox that runs in a process of its own. */
export class RunningSandbox {
  readonly #child: ReturnType<typeof spawnSandbox>;
  readonly ready: Ready;

  constructor(child: ReturnType<typeof spawnSandbox>, ready: Ready) {
    this.#child = child;
    this.ready = ready;
  }

  /** Where `/sandbox` and `/openapi.json` live. */
  get origin(): string {
    return new URL(this.ready.url).origin;
  }

  /** What it wrote on stderr. */
  get stderr(): string {
    return this.#child.read();
  }

  /** A request as a program other than the CLI would make it. */
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

  /** Signs the administrator in and gives the access token. */
  async signIn(email = ADMIN, password = PASSWORD): Promise<string> {
    const { body } = await this.request("POST", "/auth/login", { body: { email, password } });
    return (body as { accessToken: string }).accessToken;
  }

  /** The provider's own record of what it captured. */
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

  /** Every purchase of an organization, by HTTP. */
  async purchases(
    organizationId: number,
  ): Promise<{ id: string; status: string; licenses: number; idempotencyKey: string }[]> {
    const path = `/organizations/${organizationId}/purchases?limit=100`;
    const { body } = await this.request("GET", path, { token: tokenOf(organizationId) });
    return (body as { items: { id: string; status: string; licenses: number; idempotencyKey: string }[] }).items;
  }

  /** How many licenses the organization has bought. */
  async purchased(organizationId: number): Promise<number> {
    const path = `/organizations/${organizationId}/subscription`;
    const { body } = await this.request("GET", path, { token: tokenOf(organizationId) });
    return (body as { licenses: { purchased: number } }).licenses.purchased;
  }

  /** Runs the CLI against it as an organization's token. */
  cli(organizationId: number, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    const env = environmentFor(this.ready.url, organizationId);
    return runCli(args, { ...options, env: { ...env, ...options.env } });
  }

  /** Waits until it died by itself. */
  async died(limit = 20_000): Promise<void> {
    await waitFor(() => this.#child.ended(), limit, "the sandbox to die");
  }

  /** Ends it as a person would, and gives its exit code. Fails where that takes longer than ten seconds. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number> {
    this.#child.kill(signal);
    const ended = await waitFor(() => this.#child.ended(), 10_000, `the sandbox to end after ${signal}`);
    return ended.exitCode;
  }
}

/** What makes the CLI talk to a backend as an organization's token. */
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
  const child = spawnSandbox(args, clearedEnvironment(home, settings.env));
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

/** Writes a seed file, of a text as it is or of anything else as JSON, and gives its path. */
export async function seedFile(content: unknown): Promise<string> {
  const path = join(await temporaryDirectory(), "seed.json");
  await writeFile(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

function spawnSandbox(args: readonly string[], env: Record<string, string>) {
  const child = execa(process.execPath, [BIN, ...args], {
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
