import type { FastifyReply } from "fastify";
import type { ComponentChildren, InputHTMLAttributes, VNode } from "preact";
import { renderToString } from "preact-render-to-string";
import { STYLE, STYLE_HASH } from "./style.ts";

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
