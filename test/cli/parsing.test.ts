import { describe, expect, it } from "vitest";
import { type BuyOptions, register as registerBuy } from "../../src/cli/buying/buy.ts";
import { ERRORS } from "../../src/cli/errors.ts";
import { EXIT_CODE_MEANINGS } from "../../src/cli/help/help.ts";
import { addGlobalOptions } from "../../src/cli/kit/command.ts";
import { emptyProgram, main, runProgram } from "../../src/cli/main.ts";
import { API_URL } from "./support/builders.ts";
import { fakeContext } from "./support/fakeContext.ts";

/** Signed in, so that only the arguments can be wrong; whatever is sent fails the test. */
const ready = () =>
  fakeContext({ env: { SECUREFLAG_API_URL: API_URL, SECUREFLAG_API_TOKEN: "t", SECUREFLAG_ORGANIZATION: "1" } });

describe("usage errors exit with 2, before any request", () => {
  it.each([
    ["statsu"],
    ["status --fial"],
    ["status extra"],
    ["status --org x"],
    ["status --org 1.5"],
    ["status --timeout 0"],
    ["status --timeout 1e1"],
    ["status --timeout 3601"],
    ["status --timeout 99999999999999999999"],
    ["buy 5 --wait 86401"],
    ["buy 5 --wait 2147484"],
    ["status --api-url"],
    ["status --api-url foo"],
    ["buy 5 --yes --max-total 0500"],
    ["sandbox clock advance --by 07"],
    ["status --fail-if-available-below -1"],
    ["status --token abc"],
    ["status --password"],
    ["login --password secret"],
    ["login --email a@b.c"],
    ["login --email a@b.c --with-token"],
    ["login --password-stdin"],
    ["login"],
    ["login --no-input"],
    ["login --email a@b.c --totp 12345"],
    ["login --email a@b.c --totp abcdef"],
    ["login --web --totp 123456"],
    ["login --with-token --totp 123456"],
    ["buy 5 --yes --totp 12"],
    ["tokens create"],
    ["tokens create --name ci --scopes billing:read,"],
    ["tokens create --name ci --scopes billing:read --expires 90"],
    ["tokens create --name ci --scopes billing:read --expires 1e1d"],
    ["tokens create --name ci --scopes billing:read --max-spend -5/month"],
    ["tokens create --name ci --scopes billing:read --max-spend 5/month/month"],
    ["tokens create --name ci --scopes billing:read --max-spend £5"],
    ["tokens create --name ci --scopes billing:read --max-licenses 1.5/month"],
    ["profiles use"],
    ["profiles use nosuch"],
    ["profiles remove nosuch"],
    ["quote"],
    ...["0", "-5", "+5", "5.0", "1e3", "0x5", "five", "05", "99999999999999999", "٥"].map((count) => [
      `quote ${count}`,
    ]),
    ...["0", "-5", "+5", "5.0", "1e3", "0x5"].map((count) => [`buy ${count} --yes`]),
    ["buy 5"],
    ["buy 5 6 --yes"],
    ["buy 5 --yes --max-total £5"],
    ["buy 5 --yes --max-total 5,00"],
    ["buy 5 --yes --max-total -5"],
    ["buy 5 --yes --max-total 5."],
    ["buy 5 --yes --if-purchased many"],
    [`buy 5 --yes --po ${"x".repeat(101)}`],
    [`buy 5 --yes --note ${"x".repeat(501)}`],
    ["buy 5 --yes --po="],
    [`buy 5 --yes --idempotency-key ${"k".repeat(256)}`],
    ["buy 5 --yes --idempotency-key ключ"],
    ["buy 5 --yes --wait soon"],
    ["buy 5 --yes --max-total --no-input"],
    ["buy 5 --yes --note --json"],
    ["buy 5 --yes --po -q"],
    ["--profile --json status"],
    ["sandbox clock advance --by --json"],
    ["buy 5 --yes --from file"],
    ["purchases lst"],
    ["purchases list --limit 0"],
    ["purchases list --limit 5 --all"],
    ["purchases list --status done"],
    ["purchases show"],
    ["report --from 2026"],
    ["report --to 2026-13"],
    ["report --from 2026-05-01"],
    ["report --from 2026-05 --to 2026-04"],
    ["report --from 2016-11 --to 2026-11"],
    ["report --by note"],
    ["report --csv --json"],
    ["report --force"],
    ["report --html="],
    ["report --html /nonexistent/report.html"],
    ["report --fail-if-runway-below -1"],
    ["report --fail-if-runway-below soon"],
    ["organizations accept"],
    ["organizations accept northwind"],
    ["organizations accept 0"],
    ["organizations accept 10000000000"],
    ["organizations accept 1 2"],
    ["organizations accept 1 --yes"],
    ["sandbox --port 65536"],
    ["sandbox --port -1"],
    ["sandbox --ephemeral --data x"],
    ["sandbox --now yesterday"],
    ["sandbox --now 2026-02-30"],
    ["sandbox --now 2026-02-30T10:00:00Z"],
    ["sandbox --now 2026-02-20T10:00:00"],
    ["sandbox --seed /nonexistent/seed.json"],
    ["sandbox reset"],
    ["sandbox reset elsewhere --yes"],
    ["sandbox clock show x"],
    ["sandbox clock advance x --by 1"],
    ["sandbox clock advance"],
    ["sandbox clock advance --by 0"],
    ["sandbox clock advance --by soon"],
    ["sandbox clock advance --to-renewal --by 3"],
    ["sandbox clock advance --to soon"],
    ["help nothing"],
    ["buy --yes"],
    ["buy 5 --from quote.json"],
    ["buy --from quote.json --idempotency-key mine --yes"],
    ["buy --from /dev/zero --yes"],
    ["buy --from /nonexistent/quote.json --yes"],
    ["quote 5 --force"],
    ["quote"],
    ["quote --when"],
    ["quote 5 --compare 1,5"],
    ["quote --compare 1,0"],
    ["quote --compare 1,,5"],
    ["quote --compare x"],
    ["quote --compare 1,5 --when"],
    ["quote --compare 1,5 --save quote.json"],
    ["quote 5 --when --explain"],
    ["quote 5 --save /nonexistent/quote.json"],
    ["top-up --yes"],
    ["top-up --available -1 --yes"],
    ["top-up --available 1.5 --yes"],
    ["top-up --available 5 --purchased 5 --yes"],
    ["top-up --available 5"],
    ["top-up 5 --yes"],
    ["licenses reduce"],
    ["licenses reduce --yes"],
    ["licenses reduce 20"],
    ["licenses reduce 20 --cancel --yes"],
    ["licenses reduce -1 --yes"],
    ["licenses reduce 1.5 --yes"],
    ["licenses reduce 20 --yes --totp 12"],
    ["licenses reduce --cancel"],
    ["purchases list --from 2026-02-30"],
    ["purchases list --to today"],
    ["purchases list --from 2026-02-02 --to 2026-02-01"],
    ["purchases list --kind refund"],
    ["events list --limit 0"],
    ["events list --limit 5 --all"],
    ["events list --type Purchase"],
    ["events list --from 2026-02-02 --to 2026-02-01"],
    ["events list --csv --json"],
    ["events export"],
    ["events verify"],
    ["events verify log.jsonl --key"],
    ["users list --all=yes"],
    ["users list --csv --json"],
    ["--json users list --csv"],
    ["users add"],
    ["users add --email a@b.example --first-name A"],
    ["users add --email a --first-name A --last-name B"],
    ["users add --email a@b@c --first-name A --last-name B"],
    ["users add --email a@b.example --first-name A --last-name B --role 2"],
    ["users add --email a@b.example --first-name A --last-name B --role -1"],
    ["users add --email a@b.example --first-name A --last-name B --no-training"],
    ["users add --email a@b.example --first-name A --last-name B --role user --no-training"],
    ["organizations assignment-strategy plan"],
    ["users add --email a@b.example --first-name A --last-name B --max-total 1,00"],
    ["users add --email a@b.example --first-name A --last-name B --idempotency-key k"],
    [`users add --email a@b.example --first-name ${"A".repeat(101)} --last-name B`],
    ["users import"],
    ["users import /nonexistent/users.csv"],
    ["users import a.csv b.csv"],
    ["users remove"],
    ["users remove a@b.example"],
    ["serve"],
    ["serve reconcile --payments sandbox --test-mode"],
    ["serve reconcile --from yesterday --payments sandbox --test-mode"],
  ])("%s", async (line) => {
    const context = ready();
    const code = await runProgram(line.split(" "), context);
    expect({ code, stdout: context.written.stdout }).toEqual({ code: 2, stdout: "" });
    expect(context.written.stderr).toMatch(line.includes("--json") ? /^\{"error":/ : /^Error: \S/);
  });

  it("are one JSON document with --json", async () => {
    const context = ready();
    expect(await runProgram(["buy", "0", "--json"], context)).toBe(2);
    expect(JSON.parse(context.written.stderr)).toEqual({
      error: {
        code: "invalid_usage",
        message: expect.stringContaining("whole number"),
        hint: expect.any(String),
        exitCode: 2,
        requestId: null,
      },
    });
  });

  it.each([
    ["--api-url", ["status", "--api-url", ""]],
    ["--profile", ["status", "--profile", ""]],
    ["--org", ["status", "--org", ""]],
    ["--email", ["login", "--email", "", "--password-stdin"]],
    ["--data", ["sandbox", "--data", ""]],
    ["--data", ["sandbox", "reset", "--data", "", "--yes"]],
    ["--seed", ["sandbox", "--seed="]],
    ["<id>", ["purchases", "show", ""]],
    ["<id>", ["tokens", "revoke", "", "--yes"]],
    ["<name>", ["profiles", "use", ""]],
    ["--email", ["users", "add", "--email", "", "--first-name", "A", "--last-name", "B"]],
    ["--last-name", ["users", "add", "--email", "a@b.example", "--first-name", "A", "--last-name", " "]],
    ["<email>", ["users", "remove", "", "--yes"]],
    ["<csv>", ["users", "import", ""]],
    ["--note", ["buy", "5", "--yes", "--note", ""]],
    ["--po", ["buy", "5", "--yes", "--po", ""]],
    ["--idempotency-key", ["buy", "5", "--yes", "--idempotency-key", ""]],
    ["--max-total", ["buy", "5", "--yes", "--max-total", ""]],
  ])("reject an empty %s by name", async (name, line) => {
    const context = ready();
    expect(await runProgram(line, context)).toBe(2);
    expect(context.written.stderr).toMatch(new RegExp(`^Error: ${name} cannot be '\\s*'\\.`));
  });

  it.each([
    ["buy 0 --yes", "<licenses> cannot be '0'. It must be a whole number, 1 or more."],
    ["buy 99999999999999999999", "It must be a whole number, 1 to 9007199254740991."],
    ["status --org 99999999999999999999", "--org cannot be '99999999999999999999'. It must be a whole number, 0 to 9"],
    ["buy 5 --if-purchased 99999999999999999", "0 to 9007199254740991."],
    ["sandbox clock advance --by 0", "It must be a whole number, 1 to 9132."],
    ["sandbox clock advance --by -1", "It must be a whole number, 1 to 9132."],
    ["sandbox clock advance --by 9133", "It must be a whole number, 1 to 9132."],
    [`buy ${"7".repeat(300)}`, `<licenses> cannot be '${"7".repeat(39)}…'.`],
    [`status --org=${"x".repeat(300)}`, `--org cannot be '${"x".repeat(39)}…'.`],
    [`status ${"x".repeat(300)}`, "Too many arguments"],
    [`whoami --profile ${"x".repeat(300)}`, `--profile cannot be '${"x".repeat(39)}…'.`],
    [`whoami --profile ${"x".repeat(100)}`, `"${"x".repeat(39)}…"`],
    ["profiles use __proto__", "<name> cannot be '__proto__'."],
    ["tokens create --name ci", "Missing flag: --scopes <scopes>."],
    ["tokens create --name ci --scopes billing", "billing:read, billing:purchase, users:read, users:write"],
    ["tokens create --name ci --scopes billing:read --expires 0d", "--expires cannot be '0d'. It must be days"],
    ["tokens create --name ci --scopes billing:read --expires 367d", "at most 366d"],
    ["tokens create --name ci --scopes billing:read --max-spend 500/year", "such as 500/month"],
    ["tokens create --name ci --scopes billing:read --max-licenses ten/month", "such as 10/month"],
    ["tokens revoke tok_1", "Cannot prompt for confirmation: not a terminal."],
    ["users add --first-name A --last-name B", "Missing flag: --email <email>."],
    ["users add --email a@b.example", "Missing flags: --first-name <name>, --last-name <name>."],
    ["users add", "Missing flags: --email <email>, --first-name <name>, --last-name <name>."],
    ["users add --email a --first-name A --last-name B", '--email "a" is not an email address'],
    [
      "users add --email a@b.example --first-name A\u0000 --last-name B",
      "--first-name contains a line break or a control",
    ],
    ["users add --email a@b.example --first-name A --last-name B --no-training", "--no-training is for administrative"],
    ["users add --role boss", "administrator, manager, statistics, creator, threatcanvas-reviewer, user"],
    ["organizations assignment-strategy x", "none, initial-plan, initial-path, initial-labs"],
    ["users remove a@b.example", "Cannot prompt for confirmation: not a terminal."],
    ["login --totp JBSWY3DPEHPK3PXP", "--totp is not a one-time code"],
    ["login --web --email a@b.c", "--web cannot be used with --email <email>."],
    ["login --web --with-token", "--web cannot be used with --with-token."],
    ["purchases show", "Missing argument: <id>."],
    ["--json", "`secureflag-licenses` needs one of its commands."],
    ["purchases --json", "`secureflag-licenses purchases` needs one of its commands."],
    ["--json sandbox clock", "`secureflag-licenses sandbox clock` needs one of its commands."],
    ["sandbox foo", "Unknown command: foo."],
    ["buy 5 --max-total --no-input", "--max-total needs its <amount>, and `--no-input` is a flag."],
    ["buy 5 --note --quiet --yes", "--note needs its <text>, and `--quiet` is a flag."],
    ["status --timeout -q", "--timeout needs its <seconds>, and `-q` is a flag."],
    ["buy 5 --max-total abc", "--max-total cannot be 'abc'."],
  ])("%s reports: %s", async (line, message) => {
    const context = ready();
    expect(await runProgram([...line.split(" "), "--json"], context)).toBe(2);
    const { error } = JSON.parse(context.written.stderr);
    expect(error).toMatchObject({ code: expect.stringMatching(/^(invalid_usage|profile_unknown)$/) });
    expect(error.message).toContain(message);
  });

  it("reject an impossible number of licenses before asking for --yes", async () => {
    const context = ready();
    expect(await runProgram(["buy", "20000"], context)).toBe(2);
    expect(context.written.stderr).toContain("Cannot buy 20000 licenses at once: the limit is 10000.");
    const guarded = ready();
    expect(await runProgram(["buy", "5", "--max-licenses", "4"], guarded)).toBe(7);
  });

  const groups = "purchases users tokens licenses profiles organizations events".split(" ");
  const deeper = ["sandbox clock", "tokens trust", "serve admin", "purchases -q"];
  it.each([...groups, ...deeper])("%s alone shows its help", async (line) => {
    const [context, asked] = [ready(), ready()];
    expect(await runProgram(line.split(" "), context)).toBe(0);
    await runProgram([...line.split(" "), "--help"], asked);
    expect(context.written).toEqual(asked.written);
    expect(context.written.stdout).toContain("Usage:");
  });

  it("a group alone shows its help where the value of a flag is the name of another", async () => {
    const context = ready();
    expect(await runProgram(["--profile", "users", "purchases"], context)).toBe(0);
    expect(context.written.stdout).toContain("Usage: secureflag-licenses purchases <command>");
  });

  it.each([
    ["sandbox rest", "Did you mean reset?"],
    ["sandbox help", "Unknown command: help."],
    ["sandbox clock advnce", "Did you mean advance?"],
    ["BUY 5", "Did you mean buy?"],
    ["buy 5 -yes", "Did you mean --yes?"],
    ["buy 5 --Max-Total 5", "Did you mean --max-total?"],
    ["--jsn status", "Did you mean --json?"],
    ["purchases --jsn list", "Did you mean --json?"],
    ["purchases list --status suceeded", "Did you mean succeeded?"],
    ["help byu", "Did you mean buy?"],
    ["help exit-code", "Did you mean exit-codes?"],
    ["help purchases lst", "Did you mean list?"],
    ["help purchases nothing", "Topics: list, show, receipt, export, resume, pay, cancel, approve, reject."],
    ["help buy more", 'Unknown help topic "buy more".'],
    ["status --org", "Missing value: --org <id>."],
    ["statsu", "Did you mean status?"],
    ["buy 5 --ye", "Did you mean --yes?"],
    ["purchases lst", "Did you mean list?"],
    ["status --token x", "SECUREFLAG_API_TOKEN"],
    ["status --password x", "--password-stdin"],
  ])("%s suggests: %s", async (line, suggestion) => {
    const context = ready();
    await runProgram(line.split(" "), context);
    expect(context.written.stderr).toContain(suggestion);
  });
});

describe("the arguments of buy", () => {
  async function parse(line: readonly string[]): Promise<BuyOptions> {
    const seen: BuyOptions[] = [];
    const context = fakeContext();
    const program = emptyProgram(context, () => {});
    registerBuy(program, context, async (options) => void seen.push(options));
    addGlobalOptions(program, context.version);
    await program.parseAsync([...line], { from: "user" });
    expect(seen).toHaveLength(1);
    return seen[0] as BuyOptions;
  }

  it("have defaults", async () => {
    expect(await parse(["buy", "5"])).toEqual({
      source: { licenses: 5 },
      yes: false,
      maxTotal: null,
      maxLicenses: null,
      ifPurchased: null,
      purchaseOrder: null,
      note: null,
      dryRun: false,
      explicitKey: null,
      waitSeconds: null,
      open: true,
      profile: null,
      organizationId: null,
      apiUrl: null,
      json: false,
      input: true,
      color: true,
      quiet: false,
      verbose: false,
      timeoutMs: 30_000,
      totp: null,
    });
  });

  it("include a one-time code in the format of authenticator apps", async () => {
    expect(await parse(["buy", "5", "--totp", "123 456"])).toMatchObject({ totp: "123456" });
  });

  it("accept flags before and after the command", async () => {
    const line = ["--json", "--no-input", "--org", "7", "buy", "5", "--no-color", "-q", "--timeout", "2", "--no-open"];
    expect(await parse(line)).toMatchObject({
      json: true,
      input: false,
      organizationId: 7,
      color: false,
      quiet: true,
      timeoutMs: 2000,
      open: false,
    });
  });

  it("accept text as it is, even if it looks like a flag", async () => {
    expect(await parse(["buy", "5", "--note", "-v fix", "--po=--json"])).toMatchObject({
      note: "-v fix",
      purchaseOrder: "--json",
      json: false,
      verbose: false,
    });
  });
});

describe("help", () => {
  it("exit-codes lists every exit code of the error table", async () => {
    const context = fakeContext();
    expect(await runProgram(["help", "exit-codes"], context)).toBe(0);
    expect(context.written.stdout).toContain("interrupted");
    const told = EXIT_CODE_MEANINGS.map(([code]) => code);
    expect(told).toEqual(
      [...new Set([0, ...Object.values(ERRORS).map(({ exitCode }) => exitCode)])].sort((a, b) => a - b),
    );
  });

  it.each([["--version"], ["-V"], ["status --version"], ["purchases list -V"]])("%s", async (line) => {
    const context = fakeContext();
    expect(await main(line.split(" "), context)).toBe(0);
    expect(context.written.stdout).toBe("1.2.3\n");
  });
});
