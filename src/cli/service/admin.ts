import type { Command } from "commander";
import type { Context } from "../context.ts";
import { addCommand } from "../kit/command.ts";
import { registerCreateAdministrator } from "./administrators.ts";
import { registerHold, registerRelease } from "./hold.ts";
import { registerImport } from "./import.ts";
import { registerCreateOrganization, registerSetPaymentMethod } from "./organizations.ts";
import { registerListReview, registerResolve } from "./review.ts";

/** Registers `serve admin` with its commands. */
export function registerAdmin(serve: Command, context: Context): void {
  const admin = addCommand(serve, {
    name: "admin",
    description: "Manage the organizations of the service",
    examples: ["serve admin import organizations.json", "serve admin list-review"],
  });
  registerCreateOrganization(admin, context);
  registerCreateAdministrator(admin, context);
  registerImport(admin, context);
  registerSetPaymentMethod(admin, context);
  registerListReview(admin, context);
  registerResolve(admin, context);
  registerHold(admin, context);
  registerRelease(admin, context);
}
