import type { BackendDeps } from "../deps.ts";
import { noteAttempt, type Place, takeBackAttempt } from "../store/signIn.ts";

const WINDOW_MS = 15 * 60_000;
const OF_ACCOUNT = 5;
const FROM_ADDRESS = 50;

/**
 * Judges an attempt to guess a secret under the lock of security.md, Signing in: after 5 failures of an account from one
 * address, or 50 from the address, within 15 minutes, whatever is tried is refused. An attempt is counted before it is
 * judged, so that guesses at the same time count one another, and taken back unless it was judged and wrong.
 *
 * @param judge gives what was proved, or `null`; it is called in any case, so that a lock does not show in the time
 * @returns what was proved; `null` for a wrong attempt and for any while it is locked
 */
export async function attempt<Proof>(
  deps: Pick<BackendDeps, "database" | "now" | "random">,
  place: Place,
  judge: (isLocked: boolean) => Promise<Proof | null>,
): Promise<Proof | null> {
  const id = deps.random(12).toString("hex");
  const now = deps.now();
  const others = await noteAttempt(deps.database, { ...place, id, at: now }, now - WINDOW_MS);
  const isLocked = others.account >= OF_ACCOUNT || others.address >= FROM_ADDRESS;
  if (isLocked) await takeBackAttempt(deps.database, id);
  const proof = await judge(isLocked);
  if (isLocked || proof === null) return null;
  await takeBackAttempt(deps.database, id);
  return proof;
}
