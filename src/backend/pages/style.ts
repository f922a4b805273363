import { createHash } from "node:crypto";

/** The look of every page: light and dark, from a phone's width on, with visible focus. */
export const STYLE = `
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
export const STYLE_HASH = `sha256-${createHash("sha256").update(STYLE).digest("base64")}`;
