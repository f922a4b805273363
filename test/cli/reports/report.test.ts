import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { toAscii } from "../../../src/cli/kit/ascii.ts";
import { createStyle, type View } from "../../../src/cli/kit/output.ts";
import { runProgram } from "../../../src/cli/main.ts";
import { reportPage } from "../../../src/cli/reports/page.ts";
import { reportCsv } from "../../../src/cli/reports/report.ts";
import { renderReport } from "../../../src/cli/reports/terminal.ts";
import { widthOf } from "../../support/screen.ts";
import { API_URL, report, subscription } from "../support/builders.ts";
import { fakeContext } from "../support/fakeContext.ts";
import { type ExpectedCall, scriptedClient } from "../support/script.ts";

const view = (width: number, more: Partial<View> = {}): View => ({
  width,
  style: createStyle({ env: {}, isTerminal: false, color: false }),
  ...more,
});

const shown = { report: report(), subscription: subscription({ mode: "sandbox", livemode: false }), by: null } as const;

const groups = [
  { key: "=1+1<b>\u001b[31m", purchases: 2, licenses: 5, net: { amount: 48820, currency: "GBP" } },
  { key: null, purchases: 0, licenses: 0, net: { amount: -24410, currency: "GBP" } },
];

const grouped = { ...shown, report: report({ by: groups }), by: "po" } as const;

const folder = mkdtempSync(join(tmpdir(), "report-"));
afterAll(() => rmSync(folder, { recursive: true }));

async function play(line: string, script: readonly ExpectedCall[], world = {}) {
  const scripted = scriptedClient(script);
  const env = { SECUREFLAG_API_TOKEN: "t", SECUREFLAG_API_URL: API_URL, SECUREFLAG_ORGANIZATION: "4201" };
  const context = fakeContext({ env, ...world, client: scripted.client });
  const code = await runProgram(line.split(" "), context);
  scripted.assertDone();
  return { code, ...context.written };
}

const READ: ExpectedCall[] = [
  { call: "report", with: [4201, {}], gives: report() },
  { call: "subscription", gives: subscription() },
];

describe("report in a terminal", () => {
  it("shows the months with their total, bars, runway, and how to save what is unused", () => {
    expect(renderReport(shown, view(100))).toBe(
      [
        "Organization    Northwind Labs (4201), SANDBOX",
        "Months          2026-07 to 2026-11, in Europe/London",
        "Runway          210 days, at 0.0333 users a day in the last 90 days",
        "Unused          7 licenses add £1,260.00 to the renewal, tax included",
        "",
        "Save that with `secureflag-licenses licenses reduce 22`.",
        "",
        "Nothing is known from before 2026-08.",
        "",
        "Month    Licenses  Used  Users  Purchases  Charged     Tax  Refunded       Net",
        "2026-08        25     –                 0    £0.00   £0.00     £0.00     £0.00",
        "2026-09        30    24     +2          1  £244.10  £40.68     £0.00   £244.10",
        "2026-10        30    23  +1 −2          1  £244.10  £40.68     £0.00   £244.10",
        "2026-11        30    23                 0    £0.00   £0.00   £244.10  -£244.10",
        "Total                                   2  £488.20  £81.36   £244.10   £244.10",
        "",
        "Net spend",
        "2026-08     £0.00",
        `2026-09   £244.10  ${"█".repeat(41)}`,
        `2026-10   £244.10  ${"█".repeat(41)}`,
        `2026-11  -£244.10  ${"░".repeat(41)}`,
        "",
        "Licenses used",
        `2026-08         –  ${"░".repeat(34)}`,
        `2026-09  24 of 30  ${"█".repeat(33)}${"░".repeat(8)}`,
        `2026-10  23 of 30  ${"█".repeat(31)}${"░".repeat(10)}`,
        `2026-11  23 of 30  ${"█".repeat(31)}${"░".repeat(10)}`,
        "",
        "See `secureflag-licenses events list` for what happened.",
      ].join("\n"),
    );
  });

  it.each([30, 45, 60, 80, 100])("fits %d columns, in ASCII too, with every net amount", (width) => {
    for (const inCharset of [toAscii, undefined]) {
      const text = renderReport(grouped, view(width, inCharset && { inCharset }));
      const drawn = inCharset ? inCharset(text) : text;
      // A command is never broken.
      expect(widthOf(drawn.replace(/`.*`/g, ""))).toBeLessThanOrEqual(width);
      expect(drawn.match(/244\.10/g)?.length).toBeGreaterThanOrEqual(6);
      if (inCharset) expect(drawn).toMatch(/^[\x0a\x20-\x7e]*$/);
      expect(drawn).not.toContain("\u001b");
    }
  });

  it("says so where nothing is known, nothing is unused and no users were added", () => {
    const { months } = report();
    const change = { months: months.slice(0, 1), to: "2026-07", runway: null, unused: null };
    const text = renderReport({ ...shown, report: report(change) }, view(80));
    expect(text).toContain("Nothing is known of these months.");
    expect(text).toContain("the number of users has not grown in the last 90 days");
    expect(text).not.toContain("Unused");
    expect(text).not.toContain("reduce");
  });

  it("offers no reduction where one is scheduled that saves it all", () => {
    const unused = { licenses: 7, renewalTotal: { amount: 0, currency: "GBP" } };
    const text = renderReport({ ...shown, report: report({ unused }) }, view(80));
    expect(text).toContain("7 licenses, which the renewal does not charge");
    expect(text).not.toContain("licenses reduce");
  });

  it("is one record a line off a terminal, without heads and totals; groups follow", () => {
    const lines = renderReport(grouped, view(Number.POSITIVE_INFINITY)).split("\n");
    expect(lines[0]).toBe("2026-07\t\t\t\t\t\t\t\t\t");
    expect(lines[4]).toBe("2026-11\t30\t23\t0\t0\t0\t£0.00\t£0.00\t£244.10\t-£244.10");
    expect(lines.slice(5)).toEqual(["", "=1+1<b>[31m\t2\t5\t£488.20", "No PO number\t0\t0\t-£244.10"]);
  });
});

describe("report --csv", () => {
  it("has a row a month, unknown cells empty, and a negative amount is no formula", () => {
    expect(reportCsv(report()).split("\n")).toEqual([
      "month,purchased,used,usersAdded,usersRemoved,purchases,charged,tax,refunded,net,currency",
      "2026-07,,,,,,,,,,GBP",
      "2026-08,25,,0,0,0,0.00,0.00,0.00,0.00,GBP",
      "2026-09,30,24,2,0,1,244.10,40.68,0.00,244.10,GBP",
      "2026-10,30,23,1,2,1,244.10,40.68,0.00,244.10,GBP",
      "2026-11,30,23,0,0,0,0.00,0.00,244.10,-244.10,GBP",
    ]);
  });

  it("reads nothing but the report, and says that groups are not in it", async () => {
    const script: ExpectedCall[] = [
      { call: "report", with: [4201, { from: "2026-01", to: "2026-11", by: "token" }], gives: report({ by: groups }) },
    ];
    const { code, stdout, stderr } = await play("report --csv --from 2026-01 --to 2026-11 --by token", script);
    expect([code, stdout]).toEqual([0, `${reportCsv(report())}\n`]);
    expect(stderr).toContain("--json");
  });
});

describe("report --fail-if-runway-below", () => {
  it.each([
    [211, 7],
    [210, 0],
    [0, 0],
  ])("%d ends with %d, and then prints nothing and saves nothing", async (minimum, exitCode) => {
    const path = join(folder, `${minimum}.html`);
    const { code, stdout, stderr } = await play(`report --html ${path} --fail-if-runway-below ${minimum}`, READ);
    expect(code).toBe(exitCode);
    if (exitCode === 0) return;
    expect(stdout).toBe("");
    expect(stderr).toContain("210 days");
    expect(statSync(path, { throwIfNoEntry: false })).toBeUndefined();
  });

  it("a runway that is not known never fails", async () => {
    const script: ExpectedCall[] = [{ call: "report", gives: report({ runway: null }) }];
    expect((await play("report --json --fail-if-runway-below 9999", script)).code).toBe(0);
  });
});

describe("report --html", () => {
  it("saves a file that only its owner reads, prints the report as well, and replaces nothing without --force", async () => {
    const path = join(folder, "report.html");
    const { code, stdout, stderr } = await play(`report --json --html ${path}`, READ);
    expect([code, JSON.parse(stdout), stderr]).toEqual([0, report(), ""]);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const page = readFileSync(path, "utf8");
    expect((await play(`report --html ${path}`, [])).code).toBe(2);
    const again = await play(`report --html ${path} --force`, READ);
    expect([again.code, again.stderr]).toEqual([0, expect.stringContaining("Saved the report")]);
    expect(readFileSync(path, "utf8")).toBe(page);
  });

  it("is one page without script that needs nothing else, with both charts and every figure", () => {
    const page = reportPage(grouped);
    expect(page).toMatch(/^<!doctype html>\n<html lang="en">/);
    expect(page).not.toMatch(/<script|<link|<img|<iframe|\bsrc=|\bhref=|url\(|@import|\bon\w+=/i);
    expect(page.match(/<svg [^>]*role="img" aria-label="[^"]+"/g)).toHaveLength(2);
    expect(page.match(/class="spent"/g)).toHaveLength(4);
    expect(page.match(/<rect class="used"/g)).toHaveLength(3);
    expect(page).toContain("SANDBOX: no money moves");
    for (const text of ["2026-11", "-£244.10", "£1,260.00", "210 days", "licenses reduce 22", "No PO number"])
      expect(page).toContain(text);
    expect(page).not.toContain("2026-07</th>");
    expect(reportPage({ ...shown, subscription: subscription({ livemode: true, mode: "live" }) })).not.toContain(
      "no money moves",
    );
  });

  it("escapes and cleans whatever comes from the backend", () => {
    const evil = `</title><script>alert(1)</script>"'&\u202e\u0000`;
    const organization = { id: 4201, name: evil };
    const page = reportPage({
      report: report({ organization, by: groups.map((group) => ({ ...group, key: evil })) }),
      subscription: subscription({ organization: { ...organization, timeZone: evil } }),
      by: "buyer",
    });
    expect(page).not.toContain("<script");
    expect(page.match(/<\/title>/g)).toHaveLength(1);
    expect(page).not.toMatch(/[\u202e\0]/);
    expect(page).toContain("&lt;script");
  });

  it("draws 120 months, large amounts and no spending at all", () => {
    const months = Array.from({ length: 120 }, (_, index) => ({
      ...report().months[3],
      month: `${2017 + Math.floor(index / 12)}-${String((index % 12) + 1).padStart(2, "0")}`,
      net: { amount: index === 7 ? 9_007_199_254_740_991 : 0, currency: "GBP" },
    })) as ReturnType<typeof report>["months"];
    for (const some of [months, months.slice(20), months.slice(20, 21)]) {
      const page = reportPage({ ...shown, report: report({ months: some, from: some[0]?.month ?? "" }) });
      const numbers = [...page.matchAll(/ (?:x|y|x1|x2|y1|y2|width|height)="([^"]*)"/g)].map(([, text]) =>
        Number(text),
      );
      expect(numbers.length).toBeGreaterThan(10);
      expect(numbers.every((number) => number >= 0 && number <= 360)).toBe(true);
      expect(page).not.toMatch(/NaN|Infinity/);
    }
  });
});
