import type { Command } from "commander";
import { connect } from "../connection/connect.ts";
import type { Context } from "../context.ts";
import { usageError } from "../errors.ts";
import { addCommand, type GlobalOptions, type Run, readGlobals } from "../kit/command.ts";
import { endSignal } from "../kit/foreground.ts";
import { note } from "../kit/output.ts";
import { amountText, wholeNumber } from "../kit/values.ts";
import { type AgentGuards, assertLimited, buyTool } from "./buyTool.ts";
import { ownContext, serveTools } from "./server.ts";
import { READING_TOOLS } from "./tools.ts";

/** The options of `mcp`. */
export interface McpOptions extends GlobalOptions {
  /** `null` without `--allow-buy`. */
  readonly guards: AgentGuards | null;
}

interface McpFlags {
  readonly allowBuy?: boolean;
  readonly maxTotal?: string;
  readonly maxLicenses?: number;
}

const DESCRIPTION = "Serve the Model Context Protocol on stdin and stdout: an AI agent can read billing and get quotes";

const LIMITS = `
An MCP client starts it. Backend, organization and sign-in
are fixed when it starts; no tool changes them. With
--allow-buy it needs an API token with a spending limit
(\`tokens create --max-spend\` or \`--max-licenses\`), and
exits with 5 otherwise.`;

/** Registers `mcp`. */
export function register(program: Command, context: Context, run: Run<McpOptions> = runMcp): void {
  addCommand(program, {
    name: "mcp",
    description: DESCRIPTION,
    examples: ["mcp", "mcp --allow-buy --max-licenses 5"],
  })
    .option("--allow-buy", "also let the agent buy the quotes it gets, within the token's limit")
    .option("--max-total <amount>", "maximum total of one purchase, including tax (e.g. 500.00)", amountText)
    .option("--max-licenses <n>", "maximum number of licenses of one purchase", wholeNumber(0))
    .addHelpText("after", LIMITS)
    // The server is stopped by a signal, so it listens itself.
    .action((flags: McpFlags, command: Command) =>
      run({ ...readGlobals(command), guards: readGuards(flags) }, context),
    );
}

function readGuards({ allowBuy = false, maxTotal, maxLicenses }: McpFlags): McpOptions["guards"] {
  if (allowBuy) return { maxTotal: maxTotal ?? null, maxLicenses: maxLicenses ?? null };
  if (maxTotal === undefined && maxLicenses === undefined) return null;
  throw usageError("--max-total and --max-licenses require --allow-buy", "Pass --allow-buy, or remove them.");
}

/**
 * Serves tools to an agent until stdin ends or a signal arrives (src/cli/README.md, Agents).
 *
 * @throws CliError `spending_limit_required`, `insufficient_scope` with `--allow-buy`; what connecting throws
 */
export async function runMcp(options: McpOptions, context: Context): Promise<void> {
  const stopped = endSignal(context);
  const { guards } = options;
  const tools = guards === null ? READING_TOOLS : [...READING_TOOLS, buyTool(guards)];
  const site = { tools, options: await fixedOptions(options, context), context };
  if (context.io.stdinIsTerminal) note(context, options, "Waiting for an MCP client on stdin. Press Ctrl-C to stop.");
  await serveTools(site, stopped);
}

/** The options of every call, with backend and organization as they are now: what is stored may change meanwhile. */
async function fixedOptions({ guards, ...options }: McpOptions, context: Context): Promise<GlobalOptions> {
  const asked = { ...options, json: true, quiet: true, input: false, color: false };
  const { context: own, close } = ownContext(context);
  try {
    const connection = await connect(own, asked, guards === null ? "public" : "billing");
    const { apiUrl, profile, profileName } = connection.target;
    if (guards !== null) await assertLimited(connection);
    const organizationId = await connection.organizationId();
    return { ...asked, apiUrl, organizationId, profile: profile === null ? options.profile : profileName };
  } finally {
    await close();
  }
}
