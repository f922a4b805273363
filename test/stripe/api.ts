import { createHash, randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import Stripe from "stripe";
import type * as z from "zod";
import { expanded } from "./expand.ts";
import { type Fault, failure, isRefusal, refusal, takeFault } from "./faults.ts";
import { type Form, readForm } from "./form.ts";
import { OPERATIONS, routeOf } from "./operations.ts";
import { type Call, PARAMETERS } from "./parameters.ts";
import { Problem, wrongRequest } from "./problems.ts";
import type { World } from "./world.ts";

/** How long an answer is kept under its idempotency key, seconds. */
const KEPT_S = 24 * 60 * 60;

/** How long a request waits for another that works with the same object. */
const LOCK_WAIT_MS = 300;

/** The longest idempotency key. */
const MAX_KEY = 255;

/** A request to the API. */
export interface ApiRequest {
  readonly method: string;
  readonly path: string;
  /** The query of a GET, else the body. */
  readonly form: string;
  readonly key: string | null;
  readonly idempotencyKey: string | null;
  readonly version: string | null;
}

/** What is sent. */
export interface Answer {
  readonly status: number;
  readonly body: object;
  readonly isReplayed?: boolean;
}

/** A request that came, as tests read it. */
export interface RequestRecord {
  readonly id: string;
  /** By the stand-in's clock, seconds. */
  readonly at: number;
  readonly call: Call | null;
  readonly method: string;
  readonly path: string;
  readonly parameters: Form;
  readonly idempotencyKey: string | null;
  readonly version: string | null;
  /** `null` if no answer was sent. */
  readonly status: number | null;
  readonly isReplayed: boolean;
  readonly fault: Fault["effect"] | null;
}

/** What a request did that Stripe's types do not know. */
export interface Violation {
  readonly request: string;
  readonly message: string;
}

/** A call that is about to be executed. */
interface Pending {
  readonly call: Call;
  readonly id: string;
  readonly form: Form;
  readonly parameters: { readonly expand?: readonly string[] };
  readonly fault: Fault | null;
}

/** Answers requests as Stripe's API does. Whatever an answer says is on the disk before it is sent. */
export class Api {
  readonly #world: World;
  readonly #key: string;
  /** The idempotency keys and the objects that requests are working with. */
  readonly #busy = new Set<string>();

  /** @param key the secret key that requests need */
  constructor(world: World, key: string) {
    this.#world = world;
    this.#key = key;
  }

  /** Answers a request; with `answer` `null` it is lost. */
  async answer(request: ApiRequest): Promise<{ id: string; answer: Answer | null }> {
    const id = `req_${randomBytes(7).toString("hex")}`;
    const form = readForm(request.form);
    let [call, fault]: [Call | null, Fault | null] = [null, null];
    const record = (answer: Answer | null) => {
      const { method, path, idempotencyKey, version } = request;
      this.#world.store.record("request", {
        ...{ id, at: this.#world.now(), call, method, path, parameters: form, idempotencyKey, version },
        ...{ status: answer?.status ?? null, isReplayed: answer?.isReplayed ?? false, fault: fault?.effect ?? null },
      } satisfies RequestRecord);
      return answer;
    };
    try {
      const pending = this.#pending(request, form);
      ({ call, fault } = pending);
      return { id, answer: await this.#exclusively(request, pending, () => this.#execute(request, pending, record)) };
    } catch (error) {
      return { id, answer: record(answerOf(error)) };
    }
  }

  /** Finds out what is to be done, before anything is. */
  #pending(request: ApiRequest, form: Form): Pending {
    const { method, path, key, version } = request;
    if (key !== this.#key)
      throw new Problem(401, { type: "invalid_request_error", message: "Invalid API Key provided" });
    const route = routeOf(method, path);
    if (route === null) {
      const message = `Unrecognized request URL (${method}: ${path}).`;
      this.#violate(request, message);
      throw new Problem(404, { type: "invalid_request_error", message });
    }
    if (version !== Stripe.API_VERSION) this.#violate(request, `Stripe-Version is ${version}`);
    const { success, data, error } = PARAMETERS[route.call].safeParse(form);
    if (!success) throw this.#wrongParameters(request, error);
    if ((request.idempotencyKey?.length ?? 0) > MAX_KEY) throw longKey();
    const words = [path, JSON.stringify(form), request.idempotencyKey].join(" ");
    return { ...route, form, parameters: data, fault: takeFault(this.#world.store, route.call, words) };
  }

  #wrongParameters(request: ApiRequest, { issues }: z.ZodError): Problem {
    const [issue] = issues;
    const isUnknown = issue?.code === "unrecognized_keys";
    const path = [...(issue?.path ?? []), ...(isUnknown ? [issue.keys[0] ?? ""] : [])].map(String);
    const param =
      path[0] +
      path
        .slice(1)
        .map((name) => `[${name}]`)
        .join("");
    const message = isUnknown ? `Received unknown parameter: ${param}` : `Invalid ${param}: ${issue?.message}`;
    this.#violate(request, message);
    return wrongRequest(message, param, isUnknown ? "parameter_unknown" : "parameter_invalid");
  }

  #violate({ method, path }: ApiRequest, message: string): void {
    this.#world.store.record("violation", { request: `${method} ${path}`, message } satisfies Violation);
  }

  /** Of two requests with one key the second is refused; of two that change one object it waits, but not for long. */
  async #exclusively<Result>(
    { method, idempotencyKey }: ApiRequest,
    { id }: Pending,
    work: () => Promise<Result>,
  ): Promise<Result> {
    if (method === "GET") return work();
    const key = `key ${idempotencyKey ?? randomBytes(8).toString("hex")}`;
    if (this.#busy.has(key)) throw refusal("key_in_use");
    const taken = [key];
    this.#busy.add(key);
    try {
      const end = performance.now() + LOCK_WAIT_MS;
      while (id !== "" && this.#busy.has(id)) {
        if (performance.now() > end) throw refusal("lock_timeout");
        await sleep(5);
      }
      taken.push(id);
      this.#busy.add(id);
      return await work();
    } finally {
      for (const name of taken) this.#busy.delete(name);
    }
  }

  async #execute(
    request: ApiRequest,
    pending: Pending,
    record: (answer: Answer | null) => Answer | null,
  ): Promise<Answer | null> {
    const { fault } = pending;
    const isBefore = fault?.when !== "after";
    if (fault?.effect === "slow" && isBefore) await sleep(fault.milliseconds ?? 1_000);
    if (fault?.effect === "lost" && isBefore) return record(null);
    if (fault && isRefusal(fault.effect)) throw refusal(fault.effect);
    const answer = await this.#world.store.batch(() => {
      const done = this.#once(request, pending);
      return record(fault?.effect === "lost" ? null : done);
    });
    if (fault?.effect === "slow" && !isBefore) await sleep(fault.milliseconds ?? 1_000);
    return answer;
  }

  /** Executes a call, or repeats what was answered under its key. */
  #once(request: ApiRequest, pending: Pending): Answer {
    const { store, now } = this.#world;
    const { method, path, idempotencyKey: key } = request;
    if (method === "GET" || key === null) return this.#run(pending).answer;
    const digest = createHash("sha256")
      .update(JSON.stringify([method, path, sorted(pending.form)]))
      .digest("hex");
    const known = store.answer<Answer>(key, now() - KEPT_S);
    if (known !== null && known.digest !== digest) throw differentParameters(key);
    if (known !== null) return { ...known.value, isReplayed: true };
    const { answer, isKept } = this.#run(pending);
    if (isKept) store.keepAnswer(key, digest, now(), answer);
    return answer;
  }

  #run({ call, id, parameters, fault }: Pending): { answer: Answer; isKept: boolean } {
    const { store } = this.#world;
    const { effect, when } = fault ?? {};
    try {
      if (effect === "failed" && when !== "after") throw failure();
      const object = OPERATIONS[call].run(this.#world, parameters, id);
      if (effect === "failed") throw failure();
      return { answer: { status: 200, body: expanded(store, object, parameters.expand) }, isKept: true };
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      return { answer: answerOf(error), isKept: error.isKept };
    }
  }
}

function longKey(): Problem {
  const message = `Idempotency keys have at most ${MAX_KEY} characters.`;
  return new Problem(400, { type: "idempotency_error", message }, { isKept: false });
}

function differentParameters(key: string): Problem {
  const message =
    "Keys for idempotent requests can only be used with the same parameters they were first used with. " +
    `Try using a key other than '${key}' if you meant to execute a different request.`;
  return new Problem(400, { type: "idempotency_error", message });
}

function answerOf(error: unknown): Answer {
  if (error instanceof Problem) return { status: error.status, body: { error: error.body } };
  throw error;
}

/** The same tree for the same parameters, in whatever order they came. */
function sorted(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.entries(value)
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, inner]) => [name, sorted(inner)]);
}
