import { createHash } from "node:crypto";
import type { FastifyReply } from "fastify";
import type { ComponentChildren, InputHTMLAttributes, VNode } from "preact";
import { renderToString } from "preact-render-to-string";

/** The style of every page: light and dark, from a phone's width up, with visible focus. */
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
dl div { padding: .5rem 0; border-bottom: 1px solid var(--line); }
dt { color: var(--quiet); } dd { min-width: 0; margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
dl .amount { display: flex; gap: 1rem; justify-content: space-between; } .amount dd { text-align: right; }
.total dd, .total dt { font-weight: 700; color: var(--ink); }
@media (min-width: 36rem) { dl div { display: flex; gap: 1rem; justify-content: space-between; } dt { flex: none; max-width: 50%; } dd { text-align: right; } .amount dt { flex: 1; max-width: none; } }
label { display: block; margin: 1rem 0 .25rem; font-weight: 600; }
input, select { width: 100%; padding: .625rem .75rem; font: inherit; color: inherit; background: var(--paper); border: 1px solid var(--quiet); border-radius: .5rem; }
select { text-overflow: ellipsis; }
fieldset { margin: 1.5rem 0 0; padding: .5rem 1rem 1rem; border: 1px solid var(--line); border-radius: .5rem; }
legend { padding: 0 .25rem; font-weight: 600; }
.choice { display: flex; gap: .75rem; align-items: baseline; font-weight: 400; overflow-wrap: anywhere; }
.choice input { flex: none; width: auto; } .choice span { min-width: 0; }
.whole { white-space: nowrap; }
[aria-invalid="true"] { border-color: var(--wrong); box-shadow: 0 0 0 1px var(--wrong); }
.code { font-family: ui-monospace, monospace; letter-spacing: .1em; }
.hint { display: block; margin: .25rem 0 0; color: var(--quiet); font-size: .875rem; font-weight: 400; }
.actions { display: flex; flex-wrap: wrap; gap: .75rem; margin-top: 1.5rem; }
a { color: var(--accent); }
button, .button { flex: 1 1 10rem; padding: .75rem 1rem; font: inherit; font-weight: 600; border-radius: .5rem; border: 1px solid var(--accent); background: var(--accent); color: var(--on-accent); cursor: pointer; text-align: center; text-decoration: none; }
.quiet { margin: 1rem 0 0; text-align: center; }
button.second { background: transparent; color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
main > :last-child { margin-bottom: 0; }
.problem { padding: .75rem; border-left: 4px solid var(--wrong); background: var(--wash); color: var(--wrong); }
`;

/** Allows exactly this style in the content security policy. */
const STYLE_HASH = `sha256-${createHash("sha256").update(STYLE).digest("base64")}`;

/**
 * The headers of every page (src/backend/README.md, Pages): no script, no framing, no referrer to other origins. The page
 * itself gets one, because without it browsers hide where a form comes from (`Origin: null`).
 */
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

/** A whole page and its status. The renderer escapes every text in it. */
export interface Page {
  readonly status: number;
  readonly title: string;
  readonly body: ComponentChildren;
  /** The path to redirect to with status 303, so that a browser can come back to the page without the form. */
  readonly location?: string;
}

/**
 * Sends a page.
 *
 * @param banner shown above everything else, `null` for none
 */
export function sendPage(
  reply: FastifyReply,
  { status, title, body, location }: Page,
  banner: string | null,
): FastifyReply {
  const html = `<!doctype html>${renderToString(
    <Document title={title} banner={banner}>
      {body}
    </Document>,
  )}`;
  const headers = { ...HEADERS, ...(location !== undefined && { Location: location }) };
  return reply.code(status).headers(headers).send(html);
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

/** An error, which screen readers announce at once and again at the fields it is about. At most one per page. */
export function Problem({ children }: { children: ComponentChildren }): VNode {
  return (
    <p class="problem" role="alert" id={PROBLEM_ID}>
      {children}
    </p>
  );
}

/** The properties of `Field`. */
type FieldProps = InputHTMLAttributes & {
  readonly name: string;
  readonly label: string;
  /** A sentence below the field. */
  readonly hint?: string;
  /** Whether the page's `Problem` is about this field. */
  readonly wrong?: boolean;
};

/** A labeled form field; other properties are passed to its input. */
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

/** Hidden fields of a form. */
export function Hidden({ fields }: { fields: Readonly<Record<string, string>> }): VNode {
  return (
    <>
      {Object.entries(fields).map(([name, value]) => (
        <input key={name} type="hidden" name={name} value={value} />
      ))}
    </>
  );
}

/** A row of `Facts`. Only the label and the value of an amount stay side by side on a phone. */
export interface Fact {
  readonly label: string;
  readonly value: ComponentChildren;
  readonly kind?: "amount" | "total";
  /** Smaller lines below the label. */
  readonly details?: readonly string[];
}

/** A list of labels and values. */
export function Facts({ rows }: { rows: readonly Fact[] }): VNode {
  return (
    <dl>
      {rows.map(({ label, value, kind, details = [] }) => (
        <div key={label} class={kind === "total" ? "amount total" : kind}>
          <dt>
            {label}
            {details.map((detail) => (
              <span key={detail} class="hint">
                {detail}
              </span>
            ))}
          </dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
