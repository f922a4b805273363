import Stripe from "stripe";
import { pace } from "../../pace.ts";

/** A request to Stripe, answered or not. */
export interface StripeCall {
  /** Method and path, without IDs: `POST payment_intents/confirm`. */
  readonly call: string;
  /** The status of the answer; `null` if none arrived. */
  readonly status: number | null;
  readonly seconds: number;
  /** Stripe's ID of the request. */
  readonly requestId: string | null;
}

/** How to reach a Stripe account. */
export interface StripeOptions {
  readonly key: string;
  /** The origin of the API; `null` for Stripe's own. */
  readonly apiUrl: URL | null;
  /** Requests per second. */
  readonly rate: number;
  /** A clock that never goes back, milliseconds. */
  monotonic(): number;
  readonly observe?: (call: StripeCall) => void;
}

/** How long to wait for an answer, milliseconds. After that the outcome of the request is unknown. */
const TIMEOUT_MS = 20_000;

/**
 * Creates a client for a Stripe account. Requests are not retried here: only the caller knows whether that is safe.
 * (The client itself retries a reset connection once, with the same idempotency key.)
 */
export function openStripe({ key, apiUrl, ...options }: StripeOptions): Stripe {
  return new Stripe(key, {
    maxNetworkRetries: 0,
    timeout: TIMEOUT_MS,
    telemetry: false,
    httpClient: pacedClient(options),
    ...(apiUrl && {
      // Node takes an IPv6 address without brackets.
      host: apiUrl.hostname.replace(/^\[(.*)\]$/, "$1"),
      port: apiUrl.port || (apiUrl.protocol === "https:" ? 443 : 80),
      protocol: apiUrl.protocol === "https:" ? ("https" as const) : ("http" as const),
    }),
  });
}

type Pacing = Pick<StripeOptions, "rate" | "monotonic" | "observe">;

type HttpClient = ReturnType<typeof Stripe.createNodeHttpClient>;

/** How many seconds' worth of requests may be sent at once after a pause. */
const BURST_S = 0.25;

/** Limits requests to `rate` per second on average, delaying the rest, and reports each one. */
function pacedClient(options: Pacing): HttpClient {
  const client = Stripe.createNodeHttpClient();
  const send = client.makeRequest.bind(client);
  const turn = pace({ ...options, burst: Math.max(1, options.rate * BURST_S) });
  client.makeRequest = async (...request) => {
    await turn();
    return observed(options, { path: request[2], method: request[3] }, () => send(...request));
  };
  return client;
}

type HttpResponse = Awaited<ReturnType<HttpClient["makeRequest"]>>;

async function observed(
  { monotonic, observe }: Pacing,
  { path, method }: { path: string; method: string },
  send: () => Promise<HttpResponse>,
): Promise<HttpResponse> {
  const start = monotonic();
  const report = (status: number | null, requestId: string | null) => {
    observe?.({ call: `${method} ${nameOf(path)}`, status, requestId, seconds: (monotonic() - start) / 1_000 });
  };
  try {
    const response = await send();
    const requestId = response.getHeaders()["request-id"];
    report(response.getStatusCode(), typeof requestId === "string" ? requestId : null);
    return response;
  } catch (error) {
    report(null, null);
    throw error;
  }
}

/** A path without version, query and IDs, which keeps the number of metric labels small. */
function nameOf(path: string): string {
  const [route = ""] = path.split("?");
  return route
    .split("/")
    .filter((part) => /^[a-z_]+$/.test(part))
    .join("/");
}
