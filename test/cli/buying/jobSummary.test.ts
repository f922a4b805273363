import { describe, expect, it } from "vitest";
import { codeSpan, link, renderJobSummary } from "../../../src/cli/buying/jobSummary.ts";
import { failedPurchase, ORIGIN, openPurchase, payablePurchase, purchase } from "../support/builders.ts";

describe("renderJobSummary", () => {
  it("shows what requires approval, the amount, the deadline, the page and the next step", () => {
    expect(renderJobSummary(openPurchase("requires_approval"), true)).toBe(
      [
        "### A license purchase requires approval",
        "No license was added and nothing was charged yet.",
        "- Purchase: `pur_1`\n- Licenses: 5\n- Total: £244.10 (£203.42 + £40.68 tax)\n- Can be paid until: 2026-11-23 10:00 UTC",
        `[Approve the payment](<${ORIGIN}/pay/pur_1>)`,
        "Then run `secureflag-licenses purchases resume`, or this job again.",
        "",
      ].join("\n\n"),
    );
  });

  it("links only to trusted pages", () => {
    const text = renderJobSummary(openPurchase("requires_approval"), false);
    expect(text).toContain(`Approve the payment at \`${ORIGIN}/pay/pur_1\``);
    expect(text).not.toContain("](");
  });

  it("says why a purchase failed, and whether it can still be paid", () => {
    const payable = renderJobSummary(payablePurchase(), true);
    expect(payable).toContain("- Reason: `The bank declined the card.`");
    expect(payable).toContain("`secureflag-licenses purchases pay pur_1`");
    expect(renderJobSummary(failedPurchase(), true)).not.toContain("purchases pay");
  });

  it.each([purchase(), openPurchase("processing"), openPurchase("needs_review")])("is empty for $status", (found) => {
    expect(renderJobSummary(found, true)).toBeNull();
  });

  it("keeps the backend's text in code spans", () => {
    const hostile = "x`\n\n## Fake\n<img src=x onerror=alert(1)> | [a](http://evil.example) @everyone \u001b[2J``` ";
    const text = renderJobSummary(failedPurchase({ id: hostile, failure: { code: "x", message: hostile } }), true);
    for (const line of text?.split("\n").filter((one) => one.includes("Fake")) ?? []) {
      expect(line).toMatch(/^- \w+: (`{4}) x` ## Fake .* \1$/);
    }
    expect(text).not.toMatch(/^## Fake|\u001b/m);
  });
});

describe("codeSpan", () => {
  it.each([
    ["plain", "`plain`"],
    ["a`b", "``a`b``"],
    ["`a", "`` `a ``"],
    ["a\r\n\r\nb", "`a b`"],
    ["", "`-`"],
    ["x".repeat(400), `\`${"x".repeat(300)}\``],
  ])("%j", (text, span) => {
    expect(codeSpan(text)).toBe(span);
  });
});

it("link escapes what Markdown would read as character references", () => {
  expect(link("Go", "https://pay.example/a?b=1&copy;=`2`)>\\#<x")).toBe(
    "[Go](<https://pay.example/a?b=1&#38;copy&#59;=&#96;2&#96;&#41;%3E&#92;&#35;%3Cx>)",
  );
});
