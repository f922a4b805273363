import { afterAll, beforeAll, expect, test } from "vitest";
import { errorOf, resultOf, runCli, startCli } from "../support/cli.ts";
import { decideOnPage } from "../support/devicePage.ts";
import { removePlaces } from "../support/places.ts";
import { type RunningSandbox, startSandbox } from "../support/sandbox.ts";
import { ADMIN, organization, PASSWORD, seed, token, tokenOf, user } from "../support/seed.ts";
import { waitFor } from "../support/wait.ts";

/** The administrator of the organizations 2 and 3, whom the organization 1 invites. */
const OTHER = "other@southwind.example";

let sandbox: RunningSandbox;

beforeAll(async () => {
  const southwind = (id: number) => {
    const name = `Southwind ${id}`;
    return organization(id, { name, users: [user({ email: OTHER })], tokens: [token(id, { userEmail: OTHER })] });
  };
  const northwind = (id: number) =>
    organization(id, { tokens: [token(id, { scopes: ["billing:read", "users:read", "users:write"] })] });
  sandbox = await startSandbox({ seed: seed(northwind(1), southwind(2), northwind(3)) });
});
afterAll(async () => {
  await sandbox?.stop();
  await removePlaces();
});

const env = () => ({ SECUREFLAG_API_URL: sandbox.ready.url });

async function signIn(email: string) {
  const args = ["login", "--email", email, "--password-stdin", "--insecure-storage"];
  const run = await runCli(args, { env: env(), input: PASSWORD });
  expect(run.exitCode).toBe(0);
  return run;
}

const invite = (id: number, home: string, role: string) => {
  const person = ["--email", OTHER, "--first-name", "As", "--last-name", "Entered", "--role", role, "--no-training"];
  return runCli(["users", "add", ...person, "--org", String(id), "--json"], { home });
};

test("an organization invites a user of another one, who joins only by accepting", async () => {
  const { home: admin } = await signIn(ADMIN);
  const added = await invite(1, admin, "administrator");
  expect(resultOf(added)).toMatchObject({
    user: { email: OTHER, firstName: "As", lastName: "Entered", status: "INVITED", role: 0 },
  });

  const { home, stderr } = await signIn(OTHER);
  expect(stderr.replaceAll(/\s+/g, " ")).toContain("`secureflag-licenses organizations accept 1`");
  expect((await runCli(["organizations", "list"], { home })).stdout).toContain("\tinvited\n");
  expect(resultOf(await runCli(["organizations", "list", "--json"], { home }))).toMatchObject([{ id: 2 }]);
  const status = ["status", "--org", "1", "--json"];
  expect(errorOf(await runCli(status, { home }))).toMatchObject({ code: "not_found", exitCode: 2 });

  const byToken = { ...env(), SECUREFLAG_API_TOKEN: tokenOf(2) };
  const refused = await runCli(["organizations", "accept", "1", "--json"], { env: byToken });
  expect(errorOf(refused)).toMatchObject({ code: "forbidden", exitCode: 5 });
  expect((await runCli(["whoami"], { env: byToken })).stderr).toBe("");

  for (const _again of [1, 2]) {
    const accepted = await runCli(["organizations", "accept", "1", "--json"], { home });
    expect(resultOf(accepted)).toEqual({ id: 1, name: "Northwind Labs", role: 0, accepted: true });
  }
  expect(resultOf(await runCli(status, { home }))).toMatchObject({ organization: { id: 1 } });
  expect(errorOf(await runCli(["organizations", "accept", "3", "--json"], { home }))).toMatchObject({
    code: "not_found",
    exitCode: 2,
  });
}, 60_000);

test("an invitation is accepted by its checkbox on the sign-in page", async () => {
  const { home: admin } = await signIn(ADMIN);
  expect((await invite(3, admin, "manager")).exitCode).toBe(0);
  for (const accepted of [[], [3]]) {
    const running = await startCli(["login", "--web", "--insecure-storage"], { env: env() });
    const url = await waitFor(() => /or open (http\S+)/.exec(running.noted())?.[1], 10_000, "the address of the page");
    await decideOnPage(url, { email: OTHER, password: PASSWORD }, "approve", accepted);
    const { exitCode, stderr, home } = await running.ended;
    expect(exitCode).toBe(0);
    expect(stderr.includes("organizations accept 3")).toBe(accepted.length === 0);
    const list = resultOf<{ id: number }[]>(await runCli(["organizations", "list", "--json"], { home }));
    expect(list.some(({ id }) => id === 3)).toBe(accepted.length > 0);
  }
}, 60_000);
