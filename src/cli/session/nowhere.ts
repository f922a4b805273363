import { JournalError } from "../journal/errors.ts";
import type { Journal } from "../journal/journal.ts";
import type { CredentialStore } from "./credentials.ts";
import { SessionError, type SessionErrorCode } from "./errors.ts";
import { DEFAULT_PROFILE, type Settings } from "./settings.ts";

const WHY = "this user has no home directory";
const HINT = "Set SECUREFLAG_CONFIG_DIR to a directory for settings, sign-ins and journal.";

const refuse = (code: SessionErrorCode, what: string) => async (): Promise<never> => {
  throw new SessionError(code, `${what}: ${WHY}`, HINT);
};
const saveNothing = refuse("settings_unreadable", "Cannot save the settings");
const storeNothing = refuse("credentials_unreadable", "Cannot store a sign-in");

/** The settings of a user without a directory for them. Reading finds none, writing throws SessionError. */
export const noSettings: Settings = {
  activeProfile: async () => DEFAULT_PROFILE,
  profile: async () => null,
  profiles: async () => new Map(),
  saveProfile: saveNothing,
  removeProfile: async () => {},
  activateProfile: saveNothing,
};

/** The sign-ins of a user without a directory for them. Reading finds none, writing throws SessionError. */
export const noCredentials: CredentialStore = {
  read: async () => null,
  check: storeNothing,
  write: storeNothing,
  remove: async () => false,
  // Signing in takes this lock before anything is sent.
  exclusively: storeNothing,
};

/** The journal of a user without a directory for it. It has no entries; `record` throws JournalError. */
export const noJournal: Journal = {
  record: async () => {
    throw new JournalError("journal_not_written", `The purchase was not sent: no journal can be kept, as ${WHY}`, HINT);
  },
  entries: async () => [],
  settle: () => {},
  remove: () => {},
  ownerRuns: async () => false,
};
