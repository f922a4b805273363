import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createServer } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { isInstalled } from "./installed.ts";
import { temporaryDirectory } from "./places.ts";
import { listenAt } from "./tunnels.ts";
import { waitFor } from "./wait.ts";

const PROGRAMS = ["gnome-keyring-daemon", "dbus-daemon", "dbus-send"] as const;
const [DAEMON, BUS, SEND] = PROGRAMS;

/** Whether a real keyring can be run; if not, `leftOut.ts` prints it. */
export const HAS_KEYRING = PROGRAMS.every(isInstalled);

/** A GNOME keyring on a message bus of its own. */
export interface RunningKeyring extends AsyncDisposable {
  /** The environment in which a program finds it. */
  readonly env: Readonly<Record<string, string>>;
  lock(): Promise<void>;
}

/** Starts an unlocked keyring. */
export async function startKeyring(): Promise<RunningKeyring> {
  const home = await temporaryDirectory();
  const base = { PATH: process.env.PATH ?? "", HOME: home, XDG_RUNTIME_DIR: home };
  const bus = spawn(BUS, ["--session", "--nofork", "--print-address"], { env: base });
  const address = await firstLine(bus);
  const env = { ...base, DBUS_SESSION_BUS_ADDRESS: address };
  const daemon = spawn(DAEMON, ["--foreground", "--unlock", "--components=secrets"], { env });
  daemon.stdin.end("password");
  const send = (...args: string[]) => promisify(execFile)(SEND, ["--session", "--print-reply", ...args], { env });
  const secrets = "--dest=org.freedesktop.secrets";
  const collection = "/org/freedesktop/secrets/collection/login";
  const get = ["org.freedesktop.DBus.Properties.Get", "string:org.freedesktop.Secret.Collection", "string:Locked"];
  const isAnswered = (answer: string, ...args: string[]) =>
    send(...args).then(
      ({ stdout }) => stdout.includes(answer),
      () => false,
    );
  const owner = ["--dest=org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus.NameHasOwner"];
  // Asked before it is there, the bus would start another one, which stays locked.
  const isUnlocked = async () =>
    (await isAnswered("boolean true", ...owner, "string:org.freedesktop.secrets")) &&
    (await isAnswered("boolean false", secrets, collection, ...get));
  await waitFor(isUnlocked, 10_000, "the keyring");
  return {
    env: { DBUS_SESSION_BUS_ADDRESS: address, XDG_RUNTIME_DIR: home },
    lock: async () => {
      await send(
        secrets,
        "/org/freedesktop/secrets",
        "org.freedesktop.Secret.Service.Lock",
        `array:objpath:${collection}`,
      );
    },
    [Symbol.asyncDispose]: async () => {
      daemon.kill("SIGKILL");
      bus.kill("SIGKILL");
    },
  };
}

/** A message bus that accepts connections and never answers. */
export async function startSilentBus(): Promise<
  AsyncDisposable & { env: Record<string, string>; connections(): number }
> {
  const path = join(await temporaryDirectory(), "bus");
  let connections = 0;
  const server = createServer(() => {
    connections += 1;
  });
  const listening = await listenAt(server, path);
  return { ...listening, env: { DBUS_SESSION_BUS_ADDRESS: `unix:path=${path}` }, connections: () => connections };
}

async function firstLine({ stdout }: ChildProcess): Promise<string> {
  let text = "";
  stdout?.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  return await waitFor(() => text.includes("\n") && text.trim(), 10_000, "the message bus");
}
