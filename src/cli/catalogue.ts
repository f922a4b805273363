import type { Command } from "commander";
import type { Context } from "./context.ts";

/** A command of the first level, or a group of commands. */
export interface CatalogueEntry {
  /** The first word of its command line. */
  readonly word: string;
  /** The heading under which the program's help lists it; `null` for a command that the help does not list. */
  readonly group: "Licenses" | "People" | "Sign-in" | "Try it" | "Help" | null;
  /** What the program's help says about it. It is its own description as well, unless it has a longer one. */
  readonly summary: string;
  /** Loads what registers it. */
  readonly load: () => Promise<{ register(program: Command, context: Context): void }>;
}

/** The commands in the order in which the help lists them. A start loads only the one that it was called with. */
export const CATALOGUE: readonly CatalogueEntry[] = [
  {
    word: "status",
    group: "Licenses",
    summary: "Show the subscription, its licenses and its renewal",
    load: () => import("./subscription/status.ts"),
  },
  {
    word: "quote",
    group: "Licenses",
    summary: "Price more licenses, prorated to the renewal date",
    load: () => import("./buying/quote.ts"),
  },
  {
    word: "buy",
    group: "Licenses",
    summary: "Quote, confirm and purchase more licenses",
    load: () => import("./buying/buy.ts"),
  },
  {
    word: "top-up",
    group: "Licenses",
    summary: "Buy only what is missing to reach a target",
    load: () => import("./buying/topUp.ts"),
  },
  {
    word: "licenses",
    group: "Licenses",
    summary: "Have fewer licenses from the next renewal on",
    load: () => import("./buying/reduce.ts"),
  },
  {
    word: "purchases",
    group: "Licenses",
    summary: "List, show, resume, pay or cancel purchases",
    load: () => import("./purchases/purchases.ts"),
  },
  {
    word: "users",
    group: "People",
    summary: "List, add, import and remove users, who take licenses",
    load: () => import("./users/users.ts"),
  },
  {
    word: "login",
    group: "Sign-in",
    summary: "Sign in with your browser, a password or a token",
    load: () => import("./account/login.ts"),
  },
  {
    word: "logout",
    group: "Sign-in",
    summary: "Revoke and forget the stored sign-in",
    load: () => import("./account/logout.ts"),
  },
  {
    word: "whoami",
    group: "Sign-in",
    summary: "Show who is signed in, where, and with what token",
    load: () => import("./account/whoami.ts"),
  },
  {
    word: "tokens",
    group: "Sign-in",
    summary: "List, create and revoke API tokens for CI",
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
    summary: "List your organizations, and accept invitations",
    load: () => import("./account/organizations.ts"),
  },
  {
    word: "sandbox",
    group: "Try it",
    summary: "Run the embedded backend in the foreground",
    load: () => import("./sandbox/sandbox.ts"),
  },
  {
    word: "help",
    group: "Help",
    summary: "Show the help of a command or a topic",
    load: () => import("./help/help.ts"),
  },
  {
    word: "completion",
    group: "Help",
    summary: "Print the script for completion with Tab",
    load: () => import("./help/completion.ts"),
  },
  {
    word: "complete",
    group: null,
    summary: "Answer a script for completion",
    load: () => import("./help/complete.ts"),
  },
];
