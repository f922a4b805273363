import type { ComponentChildren, VNode } from "preact";
import { roleName } from "../../billing/roles.ts";
import type { Membership } from "../http/register.ts";
import { readerDates } from "./dates.ts";
import { Facts, Field, Hidden, type Page, Problem } from "./page.tsx";

/** Where the page lives (RFC 8628, section 3.2, verification_uri). */
export const DEVICE_PATH = "/device";

const AGO = new Intl.RelativeTimeFormat("en");

/** A sentence about what was wrong with the form before, and the status that goes with it. */
export interface Wrong {
  readonly status: number;
  readonly sentence: string;
  /** The fields that it is about. */
  readonly fields: readonly string[];
}

/** What the forms after the first carry, as it was signed. */
export interface Carried {
  readonly token: string;
  readonly ticket: string;
  /** As the terminal shows it. */
  readonly userCode: string;
}

/** What a person is told before they approve (security.md, Signing in). */
export interface Consent {
  readonly email: string;
  readonly client: string;
  /** The network address that the sign-in was begun from. */
  readonly address: string;
  /** When it was begun, and now; milliseconds. */
  readonly begun: number;
  readonly now: number;
  /** The reader's kind of English, a BCP 47 tag (see `readerLocale`). */
  readonly locale: string;
  /** The organizations that wait for the person to accept their invitation. */
  readonly invitations: readonly Membership[];
}

/** The name of the checkbox that accepts an organization's invitation: this, and the organization's number. */
export const ACCEPT_FIELD = "accept_";

/** The first step: the code of the terminal, email and password. A password is never given back. */
export function signInPage(known: { token: string; userCode: string; email: string }, wrong?: Wrong): Page {
  const firstEmpty = ["user_code", "email", "password"][[known.userCode, known.email, ""].indexOf("")];
  // What is filled in and wrong is what its person looks at next.
  const focused = wrong?.fields.find((name) => name === "user_code") ?? firstEmpty;
  const field = (name: string) => ({ name, wrong: wrong?.fields.includes(name) ?? false, autofocus: name === focused });
  return {
    status: wrong?.status ?? 200,
    title: "Sign in from your terminal",
    body: (
      <Step fields={{ step: "sign_in", token: known.token }} wrong={wrong}>
        <Field
          {...field("user_code")}
          label="Code of the terminal"
          hint="Go on only if your own terminal shows exactly this code."
          class="code"
          value={known.userCode}
          autocomplete="off"
          autocapitalize="characters"
          spellcheck={false}
        />
        <Field
          {...field("email")}
          label="Email"
          value={known.email}
          inputmode="email"
          autocomplete="username"
          autocapitalize="none"
          spellcheck={false}
        />
        <Field {...field("password")} label="Password" type="password" autocomplete="current-password" />
        <div class="actions">
          <button type="submit">Continue</button>
        </div>
      </Step>
    ),
  };
}

/** The second step, for who has an authenticator app. */
export function codePage(carried: Carried, wrong?: Wrong): Page {
  return {
    status: wrong?.status ?? 200,
    title: "One-time code",
    body: (
      <Step fields={hiddenFields("code", carried)} wrong={wrong}>
        <Field
          name="code"
          label="Code of your authenticator app"
          hint="The 6 digits that it shows now. Each code works once."
          wrong={wrong !== undefined}
          class="code"
          inputmode="numeric"
          autocomplete="one-time-code"
          autofocus
        />
        <div class="actions">
          <button type="submit">Continue</button>
        </div>
      </Step>
    ),
  };
}

/** The last step: who lets whom in, asked from where and when. */
export function consentPage(carried: Carried, consent: Consent): Page {
  return {
    status: 200,
    title: "Approve this sign-in?",
    body: (
      <Step fields={hiddenFields("consent", carried)}>
        <Facts
          rows={[
            { label: "Signed in as", value: consent.email },
            { label: "Application", value: consent.client },
            { label: "From the address", value: consent.address },
            { label: "Started", value: startedText(consent) },
            { label: "Code", value: <span class="code">{carried.userCode}</span> },
          ]}
        />
        <p>
          The terminal will be able to do everything that your role allows, in your name. For an organization
          administrator, that is to:
        </p>
        <ul>
          <li>see the subscription, purchases and receipts</li>
          <li>buy licenses, pay for them, and reduce them from the renewal date on</li>
          <li>see, add, import and remove users, and set what new users are assigned</li>
          <li>create and revoke API tokens</li>
          <li>accept invitations to organizations</li>
        </ul>
        <p>Deny it if you did not start this yourself.</p>
        {consent.invitations.length > 0 && <Invitations invitations={consent.invitations} />}
        <div class="actions">
          <button type="submit" name="action" value="approve">
            Approve
          </button>
          <button type="submit" name="action" value="deny" class="second">
            Deny
          </button>
        </div>
      </Step>
    ),
  };
}

/** Which of the invitations the person accepts; those without a check mark keep waiting. */
function Invitations({ invitations }: Pick<Consent, "invitations">): VNode {
  return (
    <fieldset>
      <legend>Invitations</legend>
      <p class="hint">Check the organizations that you want to join. They see that you accepted when you approve.</p>
      {invitations.map(({ id, name, role }) => (
        <label key={id} class="choice">
          <input type="checkbox" name={`${ACCEPT_FIELD}${id}`} />
          <span>
            {name} ({id}), as {roleName(role)}
          </span>
        </label>
      ))}
    </fieldset>
  );
}

/**
 * The end after an answer.
 *
 * @param joined the organizations whose invitation was accepted; `withdrawn` how many others no longer had one
 */
export function decidedPage(
  action: "approve" | "deny",
  { joined, withdrawn }: { joined: readonly Membership[]; withdrawn: number } = { joined: [], withdrawn: 0 },
): Page {
  return action === "approve"
    ? {
        status: 200,
        title: "You are signed in",
        body: (
          <>
            {joined.length > 0 && <p>You joined {joined.map(({ name, id }) => `${name} (${id})`).join(", ")}.</p>}
            {withdrawn > 0 && <p>An invitation that you accepted was withdrawn before; you did not join.</p>}
            <p>Go back to your terminal; you may close this page.</p>
          </>
        ),
      }
    : {
        status: 200,
        title: "Denied",
        body: <p>The terminal was not signed in. If you did not start this yourself, change your password.</p>,
      };
}

/** The end without an answer: what was asked is over. */
export function overPage({ status, sentence }: Pick<Wrong, "status" | "sentence">): Page {
  return { status, title: "This sign-in is over", body: <Problem>{sentence}</Problem> };
}

/** A form of the page, with what was wrong before above it. */
function Step(props: {
  fields: Record<string, string>;
  wrong?: Wrong | undefined;
  children: ComponentChildren;
}): VNode {
  return (
    <>
      {props.wrong && <Problem>{props.wrong.sentence}</Problem>}
      <form method="post" action={DEVICE_PATH}>
        <Hidden fields={props.fields} />
        {props.children}
      </form>
    </>
  );
}

/** How long ago, and when: `3 minutes ago (22 November 2026 at 12:00 UTC)`. */
function startedText({ begun, now, locale }: Consent): string {
  const minutes = Math.floor((now - begun) / 60_000);
  const ago = minutes < 1 ? "less than a minute ago" : AGO.format(-minutes, "minute");
  return `${ago} (${readerDates(locale, "UTC").instant(begun)})`;
}

function hiddenFields(step: string, { token, ticket, userCode }: Carried): Record<string, string> {
  return { step, token, ticket, user_code: userCode };
}
