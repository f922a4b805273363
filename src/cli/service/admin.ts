import type { Command } from "commander";
import type { Context } from "../context.ts";
import { addCommand } from "../kit/command.ts";
import { registerImport } from "./import.ts";

/** Registers `serve admin`. */
export function registerAdmin(serve: Command, context: Context): void {
  const admin = addCommand(serve, {
    name: "admin",
    description: "Manage the organizations of the service",
    examples: ["serve admin import organizations.json", "serve admin import seed.json --test-mode"],
  });
  registerImport(admin, context);
}
