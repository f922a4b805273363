/**
 * The parts of undici that the client loads by themselves: the whole package takes three times as long to start, because
 * fetch, WebSocket and caches come with it.
 */
declare module "undici/lib/dispatcher/agent.js" {
  export { Agent as default } from "undici";
}

declare module "undici/lib/core/connect.js" {
  export { buildConnector as default } from "undici";
}
