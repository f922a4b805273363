/**
 * The part of undici that the client loads by itself: the whole package takes three times as long to start, because
 * fetch, WebSocket and caches come with it.
 */
declare module "undici/lib/dispatcher/agent.js" {
  export { Agent as default } from "undici";
}
