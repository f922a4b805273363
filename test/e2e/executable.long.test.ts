import { createHash } from "node:crypto";
import { chmod, copyFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Version } from "@cyclonedx/cyclonedx-library/Spec";
import { JsonStrictValidator } from "@cyclonedx/cyclonedx-library/Validation";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import manifest from "../../package.json";
import { errorOf, type RunOptions, type RunResult, resultOf, runCli } from "../support/cli.ts";
import { EXECUTABLE, ensurePackaged, RELEASED, SYSTEM } from "../support/executable.ts";
import { woffOf } from "../support/fonts.ts";
import { HAS_KEYRING, startKeyring, startSilentBus } from "../support/keyrings.ts";
import { clearedEnvironment, DIST, ROOT, removePlaces, temporaryDirectory } from "../support/places.ts";
import { exampleWith, readExamples } from "../support/readme.ts";
import { environmentFor, type RunningSandbox, startSandbox } from "../support/sandbox.ts";
import { ADMIN, organization, PASSWORD, seed, tokenOf } from "../support/seed.ts";
import { createDatabase, POSTGRES, startService } from "../support/service.ts";
import { waitFor } from "../support/wait.ts";

/** A number that no account has. */
const USER = 123_456;

/** What another program's Node.js would be started with: a file that is not here, an option that ours may lack. */
const FOREIGN_OPTIONS = { NODE_OPTIONS: "--require /nowhere/tracer.js --no-such-option" };

let sandbox: RunningSandbox;

beforeAll(async () => {
  await ensurePackaged();
  sandbox = await startSandbox({ seed: seed(organization(1), organization(2)), executable: EXECUTABLE });
}, 240_000);

afterAll(async () => {
  await sandbox?.stop();
  await removePlaces();
});

/** Runs the executable without a PATH. */
function run(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return runCli(args, { executable: EXECUTABLE, ...options, env: { PATH: "", ...options.env } });
}

const connected = () => ({ SECUREFLAG_API_URL: sandbox.ready.url, SECUREFLAG_ORGANIZATION: "1" });

/** Copies the executable to a directory with a space in its name, which every user may enter. */
async function elsewhere(): Promise<string> {
  const place = await temporaryDirectory();
  const directory = join(place, "Program Files");
  await mkdir(directory);
  for (const each of [place, directory]) await chmod(each, 0o755);
  const file = join(directory, "secureflag-licenses");
  await copyFile(EXECUTABLE, file);
  return file;
}

describe("the executable", () => {
  test.each([["--version"], ["--help"], ["help", "exit-codes"], ["buy", "--help"], ["completion", "bash"], ["buy"]])(
    "%s %s: the same as on Node.js",
    async (...args) => {
      const [inside, onNode] = await Promise.all([run(args), runCli(args)]);
      expect({ ...inside, home: "" }).toEqual({ ...onNode, home: "" });
    },
  );

  test("does the whole demo without a PATH, and writes nothing to the home", async () => {
    const home = await temporaryDirectory();
    const demo = [join(ROOT, ".config/demo.mjs"), "--program", EXECUTABLE];
    const env = { PATH: "", HOME: home };
    const { stdout } = await execa(process.execPath, demo, { env, extendEnv: false, stdin: "ignore" });
    expect(stdout).toContain("✓ Bought 5 licenses (25 → 30) for £");
    expect(stdout).toContain("Signed out.");
    expect(await readdir(home)).toEqual([]);
  });

  test("signs in, buys, and saves the receipt of the sandbox inside, whatever NODE_OPTIONS says", async () => {
    const executable = await elsewhere();
    const home = await temporaryDirectory();
    const env = { ...connected(), ...FOREIGN_OPTIONS };
    const json = async (...args: string[]) => {
      const ended = await run([...args, "--json"], { executable, home, env });
      expect(ended).toMatchObject({ exitCode: 0, stderr: "" });
      return resultOf(ended);
    };
    const login = ["login", "--email", ADMIN, "--password-stdin", "--insecure-storage"];
    expect(await run(login, { executable, home, env, input: `${PASSWORD}\n` })).toMatchObject({ exitCode: 0 });
    expect(await json("buy", "5", "--yes")).toMatchObject({ licenses: { purchased: 30 } });
    const [{ id } = { id: "" }] = (await json("purchases", "list")) as unknown as { id: string }[];
    const file = join(home, "receipt.pdf");
    await json("purchases", "receipt", id, "--pdf", file);
    expect((await readFile(file)).toString("latin1")).toMatch(/^%PDF-1\.7.*DejaVuSans.*%%EOF\s*$/s);
    expect(sandbox.stderr).toBe("");
  });

  test("runs for a user without account, home or any place to write to", async () => {
    const executable = await elsewhere();
    const env = { PATH: "", TMPDIR: "/proc", ...connected(), SECUREFLAG_API_TOKEN: tokenOf(1) };
    const options = { env, extendEnv: false, reject: false, uid: USER, gid: USER, cwd: "/" } as const;
    const status = await execa(executable, ["status"], options);
    expect(status).toMatchObject({ exitCode: 0, stderr: "", stdout: expect.stringContaining("Northwind") });
    const bought = await execa(executable, ["buy", "1", "--yes", "--json"], options);
    expect(JSON.parse(bought.stderr)).toMatchObject({ error: { exitCode: 2 } });
  });

  test("draws receipts with the fonts that are installed next to it", async () => {
    const executable = await elsewhere();
    const name = "かな";
    const japanese = await startSandbox({ seed: seed(organization(3, { name })), executable });
    try {
      const run = (...args: string[]) => japanese.cli(3, args, { executable });
      expect((await run("buy", "1", "--yes")).exitCode).toBe(0);
      const pdf = join(dirname(executable), "receipt.pdf");
      const receipt = ["purchases", "receipt", "3-000001", "--pdf", pdf, "--json"];
      expect(errorOf(await run(...receipt)).message).toContain("@fontsource/noto-sans-jp");
      const fonts = join(dirname(executable), "node_modules/@fontsource/noto-sans-jp/files");
      await mkdir(fonts, { recursive: true });
      await writeFile(join(fonts, "noto-sans-jp-japanese-400-normal.woff"), woffOf(name));
      expect(await run(...receipt)).toMatchObject({ exitCode: 0, stderr: "" });
    } finally {
      await japanese.stop();
    }
  });

  test("shows in a stack trace where a failure comes from, and no path of the machine that built it", async () => {
    const { stderr } = await run(["status", "--verbose"]);
    expect(stderr).toMatch(/^ {4}at async main \(program\.js:\d+:\d+\)$/m);
    expect(stderr).not.toContain(ROOT);
  });

  test("serves agents", async () => {
    const client = new Client({ name: "test", version: "1.0.0" });
    const env = clearedEnvironment(await temporaryDirectory(), environmentFor(sandbox.ready.url, 2));
    await client.connect(new StdioClientTransport({ command: EXECUTABLE, args: ["mcp"], env }));
    try {
      const { structuredContent } = await client.callTool({ name: "get_subscription", arguments: {} });
      expect(structuredContent).toMatchObject({ licenses: { purchased: 25 } });
    } finally {
      await client.close();
    }
  });

  test.skipIf(!POSTGRES)("serves customers on postgres", async () => {
    const database = await createDatabase();
    try {
      const migrated = ["serve", "migrate", "--json"];
      const env = { SECUREFLAG_DATABASE_URL: database.url };
      expect(await run(migrated, { env })).toMatchObject({ exitCode: 0 });
      const { ready, process: running } = await startService(database, [], { executable: EXECUTABLE });
      expect((await fetch(new URL("/health", ready.url))).status).toBeLessThan(500);
      running.kill("SIGTERM");
      expect((await running.ended).exitCode).toBe(0);
    } finally {
      await database.drop();
    }
  });
});

describe.skipIf(!HAS_KEYRING)("the executable and a real keyring", () => {
  const login = ["login", "--with-token", "--json"];

  test("keeps the sign-in there, and leaves no file behind", async () => {
    await using keyring = await startKeyring();
    const [home, temporary] = [await temporaryDirectory(), await temporaryDirectory()];
    const env = { ...connected(), ...FOREIGN_OPTIONS, ...keyring.env, TMPDIR: temporary };
    const signedIn = await run(login, { home, env, input: tokenOf(1) });
    expect(resultOf(signedIn)).toMatchObject({ token: { source: "keyring" } });
    expect(resultOf(await run(["whoami", "--json"], { home, env }))).toMatchObject({ token: { source: "keyring" } });
    expect(await readdir(temporary)).toEqual([]);
    expect(await readFile(join(home, "config/credentials.json"), "utf8")).not.toContain(tokenOf(1));
    // The directory for caches does not exist either.
    const nowhere = await run(["whoami", "--json"], { home, env: { ...env, TMPDIR: "/proc" } });
    expect(errorOf(nowhere)).toMatchObject({ exitCode: 2, code: "keyring_unavailable" });
  });

  test("ends its process when it is killed", async () => {
    await using bus = await startSilentBus();
    const home = await temporaryDirectory();
    const env = { PATH: "", HOME: home, SECUREFLAG_CONFIG_DIR: join(home, "config"), ...connected(), ...bus.env };
    const running = execa(EXECUTABLE, login, { env, extendEnv: false, reject: false, input: tokenOf(1) });
    const others = async () => {
      const { stdout } = await execa("ps", ["axeww", "-o", "pid,args"]);
      const address = bus.env.DBUS_SESSION_BUS_ADDRESS ?? "";
      return stdout.split("\n").filter((line) => line.includes("-licenses-keyring ") && line.includes(address));
    };
    await waitFor(() => bus.connections() > 0, 20_000, "the keyring to be asked");
    expect(await others()).toHaveLength(1);
    running.kill("SIGKILL");
    await waitFor(async () => (await others()).length === 0, 5_000, "its process to end");
  });
});

describe("what is released", () => {
  test("is installed as the README says", async () => {
    const text = exampleWith(await readExamples(), "sh", "sudo install");
    const place = await temporaryDirectory();
    for (const name of await readdir(RELEASED)) {
      if (!name.endsWith(".tgz")) await copyFile(join(RELEASED, name), join(place, name));
    }
    const own = text.replaceAll("linux-x64", SYSTEM).replace("sudo install", "install");
    await mkdir(join(place, "bin"));
    await execa("sh", ["-ec", own.replace("/usr/local/bin/", "bin/")], { cwd: place });
    const installed = await run(["--version"], { executable: join(place, "bin/secureflag-licenses") });
    expect(installed.stdout).toBe(`${manifest.version}\n`);
    await writeFile(join(place, "sbom.cdx.json"), "{}");
    await expect(execa("sh", ["-ec", own], { cwd: place })).rejects.toThrow("sbom.cdx.json: FAILED");
  });

  const version = `${manifest.name}-${manifest.version}`;

  test("has sums that match, and an archive with the executable and the licenses", async () => {
    const names = (await readdir(RELEASED)).filter((name) => name !== "SHA256SUMS").sort();
    const lines = names.map(async (name) => `${sha256(await readFile(join(RELEASED, name)))}  ${name}\n`);
    expect(await readFile(join(RELEASED, "SHA256SUMS"), "utf8")).toBe((await Promise.all(lines)).join(""));
    const archive = `${version}-${SYSTEM}`;
    expect(names).toEqual(expect.arrayContaining([`${archive}.tar.gz`, `${version}.tgz`, "sbom.cdx.json"]));
    const place = await temporaryDirectory();
    await execa("tar", ["-xzf", join(RELEASED, `${archive}.tar.gz`)], { cwd: place });
    const unpacked = join(place, archive);
    const { stdout } = await execa("tar", ["-tzf", join(RELEASED, `${version}.tgz`)]);
    expect(stdout).toContain("package/bin/secureflag-licenses.js\n");
    expect(stdout).not.toMatch(/bin\/(executable|inside)|dist\/(package|executable|secureflag-licenses)/);
    expect((await readdir(unpacked)).sort()).toEqual(["LICENSE", "THIRD-PARTY-LICENSES.txt", "secureflag-licenses"]);
    expect((await run(["--version"], { executable: join(unpacked, "secureflag-licenses") })).stdout).toBe(
      `${manifest.version}\n`,
    );
    const licenses = await readFile(join(unpacked, "THIRD-PARTY-LICENSES.txt"), "utf8");
    for (const name of ["commander", "@napi-rs/keyring-", "Node.js"])
      expect(licenses).toMatch(new RegExp(`^${name}.* \\d`, "m"));
  });

  test("lists in a valid SBOM every package that is inside, and Node.js", async () => {
    const text = await readFile(join(RELEASED, "sbom.cdx.json"), "utf8");
    const validator = new JsonStrictValidator(Version.v1dot5);
    expect(await validator.validate(text)).toBeNull();
    expect(await validator.validate(text.replace("CycloneDX", "other"))).not.toBeNull();
    const bom = JSON.parse(text);
    const { inputs } = JSON.parse(await readFile(join(DIST, "metafile.json"), "utf8")) as { inputs: object };
    const bundled = new Set(
      Object.keys(inputs).flatMap((file) => file.match(/node_modules\/((?:@[^/]+\/)?[^/]+)\//g) ?? []),
    );
    const names = [...bundled].map((folder) => folder.slice("node_modules/".length, -1));
    const listed = (bom.components as { name: string }[]).map(({ name }) => name);
    const added = ["node", "dejavu-fonts-ttf", `@napi-rs/keyring-${process.platform}-${process.arch}-gnu`];
    expect([...new Set(listed)].sort()).toEqual([...new Set([...names, ...added])].sort());
    for (const { name, version: number, licenses, purl } of bom.components) {
      expect({ name, number, licenses: licenses?.length, purl }).toMatchObject({
        number: expect.stringMatching(/^\d+\.\d+\.\d+/),
        licenses: 1,
        purl: expect.stringContaining(`@${name === "node" ? "v" : ""}${number}`),
      });
    }
  });
});

function sha256(content: Buffer): string {
  return createHash("sha256").update(content).digest("hex");
}
