import type { FastifyInstance } from "fastify";

/** Tells whether the backend is ending, so that who waits for something is answered at once. */
export function closingOf(app: FastifyInstance): () => boolean {
  let closing = false;
  app.addHook("preClose", async () => {
    closing = true;
  });
  return () => closing;
}
