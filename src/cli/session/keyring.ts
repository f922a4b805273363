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

/**
 * A keyring that failed once counts as none: where the kernel refuses its session keyring, the next try lands in one of
 * this process alone and seems to work, but everything in it is lost when the process ends.
 */
export function steady(open: () => Promise<Keyring | null>): () => Promise<Keyring | null> {
  let hasFailed = false;
  const guarded = <Result>(use: () => Result): Result => {
    try {
      return use();
    } catch (error) {
      hasFailed = true;
      throw error;
    }
  };
  return async () => {
    const keyring = hasFailed ? null : await open();
    return (
      keyring && {
        read: (account) => guarded(() => keyring.read(account)),
        write: (account, secret) => guarded(() => keyring.write(account, secret)),
        remove: (account) => guarded(() => keyring.remove(account)),
      }
    );
  };
}
