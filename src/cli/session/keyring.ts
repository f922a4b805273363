/** The system's keyring, as far as it is used here. Every call may throw where no keyring service runs. */
export interface Keyring {
  read(account: string): string | null;
  write(account: string, secret: string): void;
  /** Gives whether there was a secret. */
  remove(account: string): boolean;
}

const SERVICE = "secureflag-licenses";

/** Without this, a Linux without a secret service falls back to the kernel's keyring, which forgets at the next start. */
const OPTIONS = { linux: { store: "secret-service" } } as const;

/** Opens the system's keyring; `null` where its optional package is missing or cannot be loaded. */
export async function openKeyring(): Promise<Keyring | null> {
  try {
    const { Entry } = await import("@napi-rs/keyring");
    return {
      read: (account) => new Entry(SERVICE, account, OPTIONS).getPassword(),
      write: (account, secret) => new Entry(SERVICE, account, OPTIONS).setPassword(secret),
      remove: (account) => new Entry(SERVICE, account, OPTIONS).deletePassword(),
    };
  } catch {
    return null;
  }
}
