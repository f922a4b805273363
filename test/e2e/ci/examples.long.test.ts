import { chmod, chown, copyFile, cp, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import * as z from "zod";
import { CI_SYSTEMS } from "../../support/ciSystems.ts";
import { PipelineError, readIncludedJob, runJob } from "../../support/gitlab.ts";
import { packPackage, packStandIn } from "../../support/packed.ts";
import { DIST, ROOT, removePlaces, temporaryDirectory } from "../../support/places.ts";
import { type RunningSandbox, startSandbox } from "../../support/sandbox.ts";
import { organization, seed, tokenOf } from "../../support/seed.ts";

const EXAMPLES = join(ROOT, ".github/examples");
const COMPONENT = "templates/top-up.yml";
const VENDORED = "vendor/secureflag-licenses-0.1.0.tgz";
const EXECUTABLE = "vendor/secureflag-licenses-0.1.0-linux-x64.tar.gz";
const [GITLAB_SH, GITLAB_EXECUTABLE, GITLAB_REFUSED, JENKINS, KUBERNETES, DOCKER] = [1, 2, 3, 4, 5, 6];

const BOUGHT = /^✓ Bought 2 licenses \(25 → 27\) for £/m;

let sandbox: RunningSandbox;
let tarball: string;

beforeAll(async () => {
  const organizations = Array.from({ length: 6 }, (_, index) => organization(index + 1));
  sandbox = await startSandbox({ seed: seed(...organizations) });
  tarball = await packPackage();
});

afterAll(async () => {
  await sandbox?.stop();
  await removePlaces();
});

/** The variables of a job, which has a token in its settings. */
const variablesFor = (id: number) => ({
  SECUREFLAG_API_URL: sandbox.ready.url,
  SECUREFLAG_ORGANIZATION: String(id),
  SECUREFLAG_API_TOKEN: tokenOf(id),
});

/** A repository with the component and both programs, each with its checksum. */
async function freshProject(): Promise<string> {
  const project = await temporaryDirectory();
  await cp(join(EXAMPLES, "gitlab"), project, { recursive: true });
  await mkdir(join(project, "vendor"));
  for (const [path, file] of [
    [VENDORED, tarball],
    [EXECUTABLE, await packStandIn()],
  ] as const) {
    await copyFile(file, join(project, path));
    await execa("sh", ["-c", 'sha256sum "$0" > "$0.sha256"', path], { cwd: project });
  }
  return project;
}

const include = (inputs: Readonly<Record<string, unknown>>) =>
  stringify({ include: [{ local: COMPONENT, inputs: { "max-licenses": "10", "max-total": "500.00", ...inputs } }] });

describe("the component for GitLab", () => {
  async function run(id: number, inputs: Readonly<Record<string, unknown>>, shell: "bash" | "sh" = "sh") {
    const project = await freshProject();
    const job = await readIncludedJob(include(inputs), project);
    return await runJob(job, { project, env: variablesFor(id), shell });
  }

  test("buys with a stored token, in a shell that is not bash", async () => {
    const inputs = { available: "5", po: "PO-7", note: 'new "team" $HOME; touch x' };
    expect(await run(GITLAB_SH, inputs)).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(BOUGHT) });
    expect(await sandbox.purchases(GITLAB_SH)).toMatchObject([{ purchaseOrder: "PO-7", note: expect.any(String) }]);
  });

  test("runs an executable, and with no limit only if both are none", async () => {
    const inputs = { available: "5", archive: EXECUTABLE, "max-licenses": "none", "max-total": "none" };
    const plan = await run(GITLAB_EXECUTABLE, { ...inputs, "dry-run": "true" });
    expect(plan).toMatchObject({ exitCode: 0, stdout: expect.stringContaining("Dry run") });
    expect(await run(GITLAB_EXECUTABLE, inputs, "bash")).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(BOUGHT),
      stderr: expect.stringContaining("No limit is set."),
    });
  });

  test.each<[string, Record<string, unknown>, string]>([
    ["a limit that is a misspelled variable", { "max-total": "$TYPO" }, "max-total is empty."],
    ["a target that is a misspelled variable", { available: "$TYPO", purchased: "30" }, "available is empty."],
    ["no target", { available: "unset" }, "Missing target"],
    ["another checksum", { sha256: "0".repeat(64) }, "computed checksum did NOT match"],
    ["no archive", { archive: "vendor/none.tgz" }, "vendor/none.tgz"],
  ])("buys nothing with %s", async (_, inputs, words) => {
    const ended = await run(GITLAB_REFUSED, { available: "5", ...inputs });
    expect(ended).toMatchObject({ failed: true, stderr: expect.stringContaining(words) });
    expect(await sandbox.purchases(GITLAB_REFUSED)).toEqual([]);
  });

  test.each<[string, Record<string, unknown>]>([
    ["no limit", { "max-total": undefined }],
    ["a number", { available: 5 }],
    ["a dry run that is neither true nor false", { "dry-run": "yes" }],
    ["an unknown input", { avialable: "5" }],
  ])("is refused by GitLab itself with %s", async (_, inputs) => {
    const project = await freshProject();
    await expect(readIncludedJob(include({ available: "5", ...inputs }), project)).rejects.toThrow(PipelineError);
  });
});

test("the Jenkinsfile buys, in the shell and with the variables of Jenkins", async () => {
  const text = await readFile(join(EXAMPLES, "jenkins/Jenkinsfile"), "utf8");
  const [, block = ""] = /environment \{\n(.*?)\n {2}\}/s.exec(text) ?? [];
  const environment = Object.fromEntries(
    [...block.matchAll(/^ +(\w+) = '(.*)'$/gm)].map(([, name, value]) => [name, value]),
  );
  expect(Object.keys(environment)).toEqual(["ARCHIVE", "SECUREFLAG_API_URL", "SECUREFLAG_ORGANIZATION"]);
  const steps = [...text.matchAll(/\bsh '''\n(.*?)'''/gs)].map(([, script = ""]) => script);
  expect(steps.length).toBe(1);
  const credential = /string\(credentialsId: '[\w-]+', variable: '(\w+)'\)/.exec(text)?.[1] ?? "";
  const workspace = await freshProject();
  const temporary = await temporaryDirectory();
  for (const words of [BOUGHT, /^Nothing to buy: /m]) {
    const ended = await execa("sh", ["-xe", "-c", steps.join("\n")], {
      cwd: workspace,
      env: {
        PATH: process.env.PATH ?? "",
        HOME: await temporaryDirectory(),
        ...CI_SYSTEMS.jenkins.env,
        WORKSPACE: workspace,
        WORKSPACE_TMP: temporary,
        ...environment,
        SECUREFLAG_API_URL: sandbox.ready.url,
        SECUREFLAG_ORGANIZATION: String(JENKINS),
        [credential]: tokenOf(JENKINS),
      },
      extendEnv: false,
      reject: false,
    });
    expect(ended).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(words) });
    expect(ended.stderr).not.toContain(tokenOf(JENKINS));
  }
});

const containerSchema = z.strictObject({
  name: z.string(),
  image: z.string(),
  args: z.array(z.string()),
  env: z.array(z.strictObject({ name: z.string(), value: z.string() })),
  securityContext: z.strictObject({
    allowPrivilegeEscalation: z.literal(false),
    readOnlyRootFilesystem: z.literal(true),
    capabilities: z.strictObject({ drop: z.tuple([z.literal("ALL")]) }),
  }),
  resources: z.strictObject({
    requests: z.record(z.string(), z.string()),
    limits: z.record(z.string(), z.string()),
  }),
  volumeMounts: z.array(z.strictObject({ name: z.string(), mountPath: z.string(), readOnly: z.boolean().optional() })),
});
/** The part of batch/v1 that the example uses (Kubernetes API reference, CronJob). */
const cronJobSchema = z.strictObject({
  apiVersion: z.literal("batch/v1"),
  kind: z.literal("CronJob"),
  metadata: z.strictObject({ name: z.string() }),
  spec: z.strictObject({
    schedule: z.string(),
    concurrencyPolicy: z.literal("Forbid"),
    startingDeadlineSeconds: z.int(),
    jobTemplate: z.strictObject({
      spec: z.strictObject({
        activeDeadlineSeconds: z.int(),
        backoffLimit: z.int(),
        podFailurePolicy: z.strictObject({
          rules: z.array(
            z.strictObject({
              action: z.literal("FailJob"),
              onExitCodes: z.strictObject({ operator: z.literal("NotIn"), values: z.array(z.int()) }),
            }),
          ),
        }),
        template: z.strictObject({
          spec: z.strictObject({
            restartPolicy: z.literal("Never"),
            automountServiceAccountToken: z.literal(false),
            securityContext: z.strictObject({
              runAsNonRoot: z.literal(true),
              runAsUser: z.int(),
              runAsGroup: z.int(),
              fsGroup: z.int(),
              seccompProfile: z.strictObject({ type: z.literal("RuntimeDefault") }),
            }),
            containers: z.tuple([containerSchema]),
            volumes: z.tuple([
              z.strictObject({
                name: z.string(),
                secret: z.strictObject({ secretName: z.string(), defaultMode: z.int() }),
              }),
              z.strictObject({ name: z.string(), emptyDir: z.strictObject({}) }),
            ]),
          }),
        }),
      }),
    }),
  }),
});

/** What runs a command as this user, without rights, on a file system that cannot be written but below one directory. */
async function isolation(writable: string, user: number, group: number): Promise<readonly string[]> {
  const mount = `mount --make-rprivate / && mount --bind "$0" "$0" && mount -o remount,bind,ro / && exec "$@"`;
  const drop = ["setpriv", `--reuid=${user}`, `--regid=${group}`, "--clear-groups", "--bounding-set=-all"];
  const words = ["unshare", "--mount", "sh", "-c", mount, writable, ...drop, "--no-new-privs"];
  const [first = "", ...rest] = [...words, "true"];
  // Only root may; anybody else runs it as they are.
  return (await execa(first, rest, { reject: false })).failed ? [] : words;
}

test("the CronJob for Kubernetes buys as a user without rights, on a read-only file system", async () => {
  const { spec } = cronJobSchema.parse(parse(await readFile(join(EXAMPLES, "kubernetes/cronjob.yaml"), "utf8")));
  const { containers, securityContext, volumes } = spec.jobTemplate.spec.template.spec;
  const [{ args, env, volumeMounts }] = containers;
  const { runAsUser: user, runAsGroup: group } = securityContext;
  expect(volumeMounts.map(({ name }) => name)).toEqual(volumes.map(({ name }) => name));
  expect(user).toBeGreaterThan(0);

  // What another user finds, wherever this checkout is: the image, and the volumes as the kubelet makes them.
  const [image, volume] = [await temporaryDirectory(), await temporaryDirectory()];
  await chmod(image, 0o755);
  await chmod(volume, 0o755);
  await copyFile(process.execPath, join(image, "node"));
  await cp(join(ROOT, "bin"), join(image, "bin"), { recursive: true });
  const filter = (source: string) => source === DIST || /\.js(on)?$/.test(source);
  await cp(DIST, join(image, "dist"), { recursive: true, filter });
  const program = join(image, "secureflag-licenses");
  await writeFile(program, `#!/bin/sh\nexec ${image}/node ${image}/bin/secureflag-licenses.js "$@"\n`, { mode: 0o755 });
  const [secret = "", config = ""] = volumeMounts.map(({ name }) => join(volume, name));
  await mkdir(join(secret, "..data"), { recursive: true });
  await writeFile(join(secret, "..data/token"), `${tokenOf(KUBERNETES)}\n`, { mode: 0o440 });
  await symlink("..data/token", join(secret, "token"));
  await mkdir(config);
  await chmod(config, 0o2777);
  const mounted = (path: string) =>
    volumeMounts.reduce((text, { name, mountPath }) => text.replace(mountPath, join(volume, name)), path);
  const settings = Object.fromEntries(env.map(({ name, value }) => [name, mounted(value)]));
  expect(settings).toMatchObject({
    SECUREFLAG_API_TOKEN_FILE: join(secret, "token"),
    SECUREFLAG_CONFIG_DIR: expect.stringContaining(`${config}/`),
  });

  const inside = await isolation(config, user, group);
  const run = (command: readonly string[]) => {
    const [file = "", ...rest] = [...inside, ...command];
    return execa(file, rest, {
      cwd: "/",
      env: {
        PATH: `${image}:/usr/sbin:/usr/bin:/sbin:/bin`,
        ...settings,
        SECUREFLAG_API_URL: sandbox.ready.url,
        SECUREFLAG_ORGANIZATION: String(KUBERNETES),
      },
      extendEnv: false,
      reject: false,
      timeout: 60_000,
    });
  };
  if (inside.length > 0) {
    await chown(join(secret, "..data/token"), 0, group);
    expect((await run(["id", "-u"])).stdout).toBe(String(user));
    expect((await run(["touch", join(image, "written")])).stderr).toContain("Read-only file system");
  }
  for (const words of [BOUGHT, /^Nothing to buy: /m]) {
    const { exitCode, stdout } = await run([program, ...args]);
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: expect.stringMatching(words) });
  }
});

test("the Dockerfile puts in a program whose checksum it has verified", async () => {
  const text = await readFile(join(EXAMPLES, "kubernetes/Dockerfile"), "utf8");
  const instructions = text
    .replaceAll(/^#.*\n/gm, "")
    .replaceAll(/\\\n\s*/g, "")
    .trim()
    .split("\n")
    .map((line) => [line.split(" ", 1)[0] ?? "", line.slice(line.indexOf(" ") + 1)] as const);
  expect(instructions.map(([name]) => name)).toEqual(["FROM", "ARG", "COPY", "RUN", "USER", "ENTRYPOINT"]);
  const of = (name: string) => instructions.find(([each]) => each === name)?.[1] ?? "";
  const [source = "", target = ""] = of("COPY").split(" ");
  const archive = await packStandIn();
  expect(archive.endsWith(`/${source}`)).toBe(true);
  const { stdout: sum } = await execa("sh", ["-c", 'sha256sum < "$0" | cut -d " " -f 1', archive]);

  const buildWith = async (checksum: string) => {
    const root = await temporaryDirectory();
    await mkdir(join(root, "bin"));
    await copyFile(archive, join(root, "archive"));
    const command = of("RUN").replaceAll(target, join(root, "archive")).replace("/usr/local/bin", join(root, "bin"));
    const env = { PATH: process.env.PATH ?? "", [of("ARG")]: checksum };
    const { failed } = await execa("sh", ["-c", command], { env, extendEnv: false, reject: false });
    return { failed, program: join(root, "bin", JSON.parse(of("ENTRYPOINT"))[0]) };
  };
  expect(await buildWith("0".repeat(64))).toMatchObject({ failed: true });
  const { failed, program } = await buildWith(sum);
  expect(failed).toBe(false);
  const ended = await execa(program, ["top-up", "--available=5", "--yes", "--max-licenses=10"], {
    env: { PATH: dirname(process.execPath), HOME: await temporaryDirectory(), ...variablesFor(DOCKER) },
    extendEnv: false,
  });
  expect(ended.stdout).toMatch(BOUGHT);
});
