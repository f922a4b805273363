import { expect } from "vitest";
import type { Client } from "../../../src/client/client.ts";
import { API_URL, ORIGIN } from "./builders.ts";

type Method = {
  [Name in keyof Client]: Client[Name] extends (...args: never[]) => Promise<unknown> ? Name : never;
}[keyof Client];

/** A call that must come next: its method, what it answers or throws, and what its last arguments must be. */
export interface ExpectedCall {
  readonly call: Method;
  readonly with?: readonly unknown[];
  readonly gives?: unknown;
  readonly fails?: Error;
}

/** A client that answers exactly the calls of a script, in order, and fails on every other one. */
export interface ScriptedClient {
  readonly client: Client;
  readonly calls: readonly string[];
  /** Fails where an expected call did not come. */
  assertDone(): void;
}

export function scriptedClient(script: readonly ExpectedCall[]): ScriptedClient {
  const left = [...script];
  const calls: string[] = [];
  const properties = { apiUrl: API_URL, origin: ORIGIN, isLoopback: true, close: async () => {} };
  const client = new Proxy(properties, {
    get: (known: Record<string, unknown>, name: string) => {
      // A client is no promise, though an `await` looks whether it is one.
      if (name in known || name === "then") return known[name];
      return (...args: unknown[]) => answer(name, args);
    },
  });

  async function answer(name: string, args: readonly unknown[]): Promise<unknown> {
    const expected = left.shift();
    calls.push(name);
    expect({ call: name, after: calls }).toEqual({ call: expected?.call, after: calls });
    if (expected?.with) expect(args.slice(-expected.with.length)).toEqual(expected.with);
    if (expected?.fails) throw expected.fails;
    return expected?.gives;
  }

  return {
    client: client as unknown as Client,
    calls,
    assertDone: () => expect(left.map(({ call }) => call)).toEqual([]),
  };
}
