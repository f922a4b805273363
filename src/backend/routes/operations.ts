import type { FastifyInstance } from "fastify";
import { openapiDocument } from "../../contract/openapi.ts";
import type { BackendDeps } from "../deps.ts";
import { register } from "../http/register.ts";
import { ProblemError } from "../problem.ts";

/** Health, readiness and the description of the contract. */
export function registerOperations(app: FastifyInstance, deps: BackendDeps): void {
  register(app, deps, "health", async () => ({ status: 200, body: { status: "ok" } }));

  register(app, deps, "ready", async () => {
    try {
      await deps.database.selectFrom("settings").select("name").limit(1).execute();
    } catch (error) {
      deps.log(`not ready: ${error}`);
      throw new ProblemError("unavailable", "The store does not answer", {}, { "Retry-After": "5" });
    }
    return { status: 200, body: { status: "ready" } };
  });

  register(app, deps, "openapi", async () => ({ status: 200, body: openapiDocument(deps.version) }));
}
