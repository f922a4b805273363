/** Whether a file system's error has this code, such as `EEXIST`. */
export function hasErrno(error: unknown, errno: string): boolean {
  return error instanceof Error && "code" in error && error.code === errno;
}

/** Whether a file system's error says that there is no such file or directory, or that no directory is above it. */
export function isMissing(error: unknown): boolean {
  return hasErrno(error, "ENOENT") || hasErrno(error, "ENOTDIR");
}

/** Runs work on files, again while another program holds one of them; throws what the last try threw. */
export type RetryBusy = <Result>(work: () => Result) => Result;

/**
 * What Windows reports while a virus scanner, an indexer or a reader has a file open that is to be renamed, replaced,
 * removed or created again.
 */
const BUSY = ["EPERM", "EACCES", "EBUSY"] as const;

/** One second in all, which is longer than a scanner takes for a file of this tool. */
const WAITS_MS = [10, 20, 40, 80, 150, 300, 400];

/**
 * Makes the `RetryBusy` of a platform. Only Windows refuses to touch a file that is open; elsewhere these errors last, and
 * the work runs once.
 *
 * @param platform as Node.js names it
 * @param pause blocks for some milliseconds, since the work on files is synchronous
 */
export function busyRetry(platform: string, pause: (milliseconds: number) => void = block): RetryBusy {
  if (platform !== "win32") return (work) => work();
  return (work) => {
    for (const wait of WAITS_MS) {
      try {
        return work();
      } catch (error) {
        if (!BUSY.some((errno) => hasErrno(error, errno))) throw error;
      }
      pause(wait);
    }
    return work();
  };
}

function block(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}
