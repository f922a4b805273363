import type { Command } from "commander";
import type { Context } from "./context.ts";

/** A command of the first level, or a group of commands. */
export interface CatalogueEntry {
  /** The word that calls it. */
  readonly word: string;
  /** The heading in the program's help; `null` for a hidden command. */
  readonly group: "Licenses" | "People" | "Sign-in" | "Scripting" | "Agents" | "Try it" | "Operate" | "Help" | null;
  /** Its line in the program's help, and its description unless it has a longer one. */
  readonly summary: string;
  /** Its first request needs the client, so that it loads beside the command. */
  readonly connects?: true;
  /** Imports the file that registers it. */
  readonly load: () => Promise<{ register(program: Command, context: Context): void }>;
}

/** The commands in the order of the help. A start loads only the one that it was called with. */
export const CATALOGUE: readonly CatalogueEntry[] = [
  {
    word: "status",
    group: "Licenses",
    summary: "Show the subscription, its licenses and its renewal",
    connects: true,
    load: () => import("./subscription/status.ts"),
  },
  {
    word: "quote",
    group: "Licenses",
    summary: "Get a price for more licenses, prorated to the renewal date",
    connects: true,
    load: () => import("./buying/quote.ts"),
  },
  {
    word: "buy",
    group: "Licenses",
    summary: "Buy licenses: quote, confirm, purchase",
    connects: true,
    load: () => import("./buying/buy.ts"),
  },
  {
    word: "top-up",
    group: "Licenses",
    summary: "Buy only what is missing to reach a target",
    connects: true,
    load: () => import("./buying/topUp.ts"),
  },
  {
    word: "licenses",
    group: "Licenses",
    summary: "Reduce licenses from the next renewal on",
    connects: true,
    load: () => import("./buying/reduce.ts"),
  },
  {
    word: "purchases",
    group: "Licenses",
    summary: "List, show, resume, pay or cancel purchases",
    connects: true,
    load: () => import("./purchases/purchases.ts"),
  },
  {
    word: "report",
    group: "Licenses",
    summary: "Report spending and licenses by month",
    connects: true,
    load: () => import("./reports/report.ts"),
  },
  {
    word: "events",
    group: "Licenses",
    summary: "List, export and verify what happened",
    connects: true,
    load: () => import("./events/events.ts"),
  },
  {
    word: "users",
    group: "People",
    summary: "List, add, change, sync and remove users",
    connects: true,
    load: () => import("./users/users.ts"),
  },
  {
    word: "login",
    group: "Sign-in",
    summary: "Sign in with a browser, a password or a token",
    load: () => import("./account/login.ts"),
  },
  {
    word: "logout",
    group: "Sign-in",
    summary: "Sign out and delete the stored sign-in",
    connects: true,
    load: () => import("./account/logout.ts"),
  },
  {
    word: "whoami",
    group: "Sign-in",
    summary: "Show who is signed in, where, and with what token",
    connects: true,
    load: () => import("./account/whoami.ts"),
  },
  {
    word: "tokens",
    group: "Sign-in",
    summary: "List, create and revoke API tokens for CI",
    connects: true,
    load: () => import("./account/tokens.ts"),
  },
  {
    word: "profiles",
    group: "Sign-in",
    summary: "List, choose and remove profiles",
    load: () => import("./account/profiles.ts"),
  },
  {
    word: "organizations",
    group: "Sign-in",
    summary: "Manage invitations, card, billing details and policy",
    connects: true,
    load: () => import("./account/organizations.ts"),
  },
  {
    word: "api",
    group: "Scripting",
    summary: "Make an authenticated API request",
    connects: true,
    load: () => import("./api/api.ts"),
  },
  {
    word: "mcp",
    group: "Agents",
    summary: "Let AI agents read, quote and buy within a limit",
    connects: true,
    load: () => import("./mcp/mcp.ts"),
  },
  {
    word: "sandbox",
    group: "Try it",
    summary: "Run a test backend on this machine; no money moves",
    load: () => import("./sandbox/sandbox.ts"),
  },
  {
    word: "serve",
    group: "Operate",
    summary: "Run the billing service on PostgreSQL",
    load: () => import("./service/serve.ts"),
  },
  {
    word: "help",
    group: "Help",
    summary: "Show help for a command or a topic",
    load: () => import("./help/help.ts"),
  },
  {
    word: "completion",
    group: "Help",
    summary: "Install or print shell completion",
    load: () => import("./help/completion.ts"),
  },
  {
    word: "version",
    group: "Help",
    summary: "Show the version",
    load: () => import("./help/version.ts"),
  },
  {
    word: "complete",
    group: null,
    summary: "Complete a command line for a shell script",
    load: () => import("./help/complete.ts"),
  },
];
