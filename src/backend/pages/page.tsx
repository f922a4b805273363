import { createHash } from "node:crypto";
import type { FastifyReply } from "fastify";
import type { ComponentChildren, InputHTMLAttributes, VNode } from "preact";
import { renderToString } from "preact-render-to-string";

/** The look of every page: light and dark, from a phone's width on, with visible focus. */
const STYLE = `
:root { color-scheme: light dark; --ink: #14171f; --quiet: #545b69; --paper: #fff; --line: #c9ced8; --accent: #0b57d0; --on-accent: #fff; --wrong: #b3261e; --wash: #f3f5f9; --warn: #7a4100; --warn-wash: #fff4e0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaf0; --quiet: #a9b0bf; --paper: #12141a; --line: #424957; --accent: #a8c7fa; --on-accent: #062e6f; --wrong: #ffb4ab; --wash: #1b1f28; --warn: #ffcf87; --warn-wash: #2d2008; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--wash); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 32rem; margin: 0 auto; padding: 1.5rem; background: var(--paper); min-height: 100vh; }
@media (min-width: 36rem) { main { margin: 3rem auto; padding: 2rem; min-height: 0; border: 1px solid var(--line); border-radius: .75rem; } }
.banner { margin: 0 0 1rem; padding: .5rem .75rem; border: 1px solid var(--warn); border-radius: .5rem; background: var(--warn-wash); color: var(--warn); font-weight: 700; text-align: center; }
.brand { margin: 0; color: var(--quiet); font-size: .875rem; }
h1 { margin: .25rem 0 1rem; font-size: 1.5rem; line-height: 1.25; }
dl { margin: 1rem 0; border-top: 1px solid var(--line); }
dl div { display: flex; gap: 1rem; justify-content: space-between; padding: .5rem 0; border-bottom: 1px solid var(--line); }
dt { flex: none; max-width: 50%; color: var(--quiet); } dd { min-width: 0; margin: 0; text-align: right; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
.total dd, .total dt { font-weight: 700; color: var(--ink); }
label { display: block; margin: 1rem 0 .25rem; font-weight: 600; }
input, select { width: 100%; padding: .625rem .75rem; font: inherit; color: inherit; background: var(--paper); border: 1px solid var(--quiet); border-radius: .5rem; }
fieldset { margin: 1.5rem 0 0; padding: .5rem 1rem 1rem; border: 1px solid var(--line); border-radius: .5rem; }
legend { padding: 0 .25rem; font-weight: 600; }
.choice { display: flex; gap: .75rem; align-items: baseline; font-weight: 400; overflow-wrap: anywhere; }
.choice input { flex: none; width: auto; } .choice span { min-width: 0; }
time { white-space: nowrap; }
[aria-invalid="true"] { border-color: var(--wrong); box-shadow: 0 0 0 1px var(--wrong); }
.code { font-family: ui-monospace, monospace; letter-spacing: .1em; }
.hint { margin: .25rem 0 0; color: var(--quiet); font-size: .875rem; }
.actions { display: flex; flex-wrap: wrap; gap: .75rem; margin-top: 1.5rem; }
button { flex: 1 1 10rem; padding: .75rem 1rem; font: inherit; font-weight: 600; border-radius: .5rem; border: 1px solid var(--accent); background: var(--accent); color: var(--on-accent); cursor: pointer; }
a { color: var(--accent); }
.quiet { margin: 1rem 0 0; text-align: center; }
button.second { background: transparent; color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
main > :last-child { margin-bottom: 0; }
.problem { padding: .75rem; border-left: 4px solid var(--wrong); background: var(--wash); color: var(--wrong); }
`;

/** What lets exactly this style through the content security policy. */
const STYLE_HASH = `sha256-${createHash("sha256").update(STYLE).digest("base64")}`;

/** What a browser is told of every page (security.md, Hostile input): no script at all, no framing, no referrer to others.
 * To the page itself one goes, because without it browsers keep quiet about where a form comes from (`Origin: null`). */
const HEADERS = {
  "Content-Type": "text/html; charset=utf-8",
  "Content-Security-Policy": [
    "default-src 'none'",
    `style-src '${STYLE_HASH}'`,
    "form-action 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ].join("; "),
  "X-Frame-Options": "DENY",
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "same-origin",
  "Cross-Origin-Opener-Policy": "same-origin",
} as const;

/** A whole page, and what it answers with. Every text in it is escaped by the renderer. */
export interface Page {
  readonly status: number;
  readonly title: string;
  /** What has to be known before anything else on the page, such as that no money moves. */
  readonly banner?: string | null;
  readonly body: ComponentChildren;
}

/** Sends a page. */
export function sendPage(reply: FastifyReply, { status, title, banner = null, body }: Page): FastifyReply {
  const html = `<!doctype html>${renderToString(
    <Document title={title} banner={banner}>
      {body}
    </Document>,
  )}`;
  return reply.code(status).headers(HEADERS).send(html);
}

function Document(props: { title: string; banner: string | null; children: ComponentChildren }): VNode {
  const { title, banner, children } = props;
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="robots" content="noindex" />
        <meta name="color-scheme" content="light dark" />
        <title>{`${title} · SecureFlag licenses`}</title>
        <style dangerouslySetInnerHTML={{ __html: STYLE }} />
      </head>
      <body>
        <main>
          {banner !== null && <p class="banner">{banner}</p>}
          <p class="brand">SecureFlag licenses</p>
          <h1>{title}</h1>
          {children}
        </main>
      </body>
    </html>
  );
}

const PROBLEM_ID = "problem";

/** What went wrong, told to a screen reader at once, and again by the fields that it is about. At most one of a page. */
export function Problem({ children }: { children: ComponentChildren }): VNode {
  return (
    <p class="problem" role="alert" id={PROBLEM_ID}>
      {children}
    </p>
  );
}

/** A field with its name above it. */
type FieldProps = InputHTMLAttributes & {
  readonly name: string;
  readonly label: string;
  /** A sentence below it. */
  readonly hint?: string;
  /** Whether the page's `Problem` is about it. */
  readonly wrong?: boolean;
};

/** A field of a form; everything but what is named here goes to its input. */
export function Field({ label, hint, wrong, ...input }: FieldProps): VNode {
  const hintId = hint === undefined ? undefined : `${input.name}-hint`;
  const described = [wrong ? PROBLEM_ID : undefined, hintId].filter((id) => id !== undefined).join(" ");
  return (
    <>
      <label for={input.name}>{label}</label>
      <input
        id={input.name}
        required
        aria-invalid={wrong ? "true" : undefined}
        aria-describedby={described || undefined}
        {...input}
      />
      {hint !== undefined && (
        <p class="hint" id={hintId}>
          {hint}
        </p>
      )}
    </>
  );
}

/** Fields that a form carries without showing them. */
export function Hidden({ fields }: { fields: Readonly<Record<string, string>> }): VNode {
  return (
    <>
      {Object.entries(fields).map(([name, value]) => (
        <input key={name} type="hidden" name={name} value={value} />
      ))}
    </>
  );
}

/** Facts as names and values. */
export function Facts({ rows }: { rows: readonly (readonly [string, ComponentChildren])[] }): VNode {
  return (
    <dl>
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/**
 * The language that a reader likes best of those that dates can be written in (RFC 9110, section 12.5.4).
 *
 * @returns a BCP 47 tag; American English where the header names none
 */
export function readerLocale(acceptLanguage: string | undefined): string {
  const ranges = (acceptLanguage ?? "").slice(0, MAX_LENGTH).split(",").map(readRange);
  const wanted = ranges.filter(({ weight }) => weight > 0).sort((one, other) => other.weight - one.weight);
  return wanted.map(({ tag }) => supported(tag)).find((tag) => tag !== null) ?? "en-US";
}

const MAX_LENGTH = 1_000;

function readRange(text: string): { tag: string; weight: number } {
  const [tag = "", ...parameters] = text.split(";").map((part) => part.trim());
  const weight = parameters.find((parameter) => /^q=/i.test(parameter))?.slice(2) ?? "1";
  return { tag, weight: /^[01](\.\d{1,3})?$/.test(weight) ? Number(weight) : 0 };
}

/** Languages and regions only: an extension could ask for another calendar or other digits. */
function supported(tag: string): string | null {
  if (!/^[a-z]{2,3}(-[a-z]{4})?(-([a-z]{2}|\d{3}))?$/i.test(tag)) return null;
  return Intl.DateTimeFormat.supportedLocalesOf(tag)[0] ?? null;
}
