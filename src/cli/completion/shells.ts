/** The shells that complete the command line. */
export const SHELLS = ["bash", "zsh", "fish", "powershell"] as const;

/** One of the shells. */
export type Shell = (typeof SHELLS)[number];
