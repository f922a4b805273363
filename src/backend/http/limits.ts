/** How long a request may take to arrive, in milliseconds. */
export const REQUEST_TIMEOUT_MS = 30_000;

/** How long a connection that asks nothing stays open, in milliseconds. */
export const KEEP_ALIVE_MS = 72_000;
