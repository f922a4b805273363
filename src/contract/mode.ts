/** Whether payments move money: `live`, or the provider's test mode, or a sandbox. */
export const MODES = ["live", "test", "sandbox"] as const;

/** One of the modes. */
export type Mode = (typeof MODES)[number];

/** The fields that tell whether payments move money; older backends leave them out. */
export interface ModeFields {
  readonly livemode?: boolean | undefined;
  readonly mode?: Mode | undefined;
}

/** Returns the mode of a subscription, purchase or receipt: without the fields it is live. */
export function modeOf({ livemode, mode }: ModeFields): Mode {
  return mode ?? (livemode === false ? "test" : "live");
}

/** Builds both fields from a mode. */
export function modeFields(mode: Mode): { livemode: boolean; mode: Mode } {
  return { livemode: mode === "live", mode };
}
