import { afterAll, beforeAll } from "vitest";
import { removePlaces } from "./places.ts";
import { type RunningSandbox, type SandboxSettings, startSandbox } from "./sandbox.ts";

/** The sandbox of a test file: started before its tests, and stopped after them, with every place that they made. */
export function useSandbox(settings: SandboxSettings = {}): RunningSandbox {
  let sandbox: RunningSandbox | undefined;
  beforeAll(async () => {
    sandbox = await startSandbox(settings);
  });
  afterAll(async () => {
    await sandbox?.stop();
    await removePlaces();
  });
  return new Proxy({} as RunningSandbox, {
    get: (_, name) => {
      if (!sandbox) throw new TypeError("The sandbox has not started");
      const value: unknown = Reflect.get(sandbox, name, sandbox);
      return typeof value === "function" ? value.bind(sandbox) : value;
    },
  });
}
