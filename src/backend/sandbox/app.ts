import type { FastifyInstance } from "fastify";
import { type AppOptions, buildApp } from "../app.ts";
import type { BackendDeps } from "../deps.ts";
import { registerSandbox, type SandboxControls } from "./routes.ts";

/** The backend with the calls that only a sandbox has, ready to answer. It does not listen by itself. */
export async function sandboxApp(
  backend: BackendDeps,
  signIn: AppOptions["signIn"],
  controls: SandboxControls,
): Promise<FastifyInstance> {
  const app = buildApp(backend, { signIn, extend: (extended) => registerSandbox(extended, backend, controls) });
  await app.ready();
  return app;
}
