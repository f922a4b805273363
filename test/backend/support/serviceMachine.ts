import { randomBytes } from "node:crypto";
import type { ServiceDeps } from "../../../src/backend/service/server.ts";

/** What a service of a test takes from this machine, with changes; by default it logs nothing. */
export function serviceMachine(changes: Partial<ServiceDeps> = {}): ServiceDeps {
  return {
    now: Date.now,
    monotonic: () => performance.now(),
    random: randomBytes,
    pid: process.pid,
    reach: () => {},
    log: () => {},
    version: "0.0.0",
    ...changes,
  };
}
