import type { ComponentChildren, VNode } from "preact";
import { roleName } from "../../billing/roles.ts";
import type { OrganizationRole } from "../http/register.ts";
import { readerDates } from "./dates.ts";
import { Facts, Field, Hidden, type Page, Problem } from "./page.tsx";

/** The path of the sign-in page (RFC 8628, section 3.2, verification_uri). */
export const DEVICE_PATH = "/device";

const AGO = new Intl.RelativeTimeFormat("en");

/** What was wrong with the submitted form, and the status of the answer. */
export interface Wrong {
  readonly status: number;
  readonly sentence: string;
  /** The names of the fields it is about. */
  readonly fields: readonly string[];
}

/** The signed content of the forms after the first. */
export interface SignedStep {
  readonly token: string;
  readonly ticket: string;
  /** The user code as the terminal shows it. */
  readonly userCode: string;
}

/** What a person sees before they approve (src/backend/README.md, Sign-in). */
export interface Consent {
  readonly email: string;
  readonly client: string;
  /** The network address of the device. */
  readonly address: string;
  /** When the sign-in was started, and now; milliseconds. */
  readonly startedAt: number;
  readonly now: number;
  /** The reader's kind of English, a BCP 47 tag (see `readerLocale`). */
  readonly locale: string;
  /** The person's pending invitations. */
  readonly invitations: readonly OrganizationRole[];
}

/** The prefix of the checkbox that accepts an organization's invitation, before the organization's id. */
export const ACCEPT_FIELD = "accept_";

/** The first step: the terminal's code, email and password. The page never repeats a password. */
export function signInPage(known: { token: string; userCode: string; email: string }, wrong?: Wrong): Page {
  const firstEmpty = ["user_code", "email", "password"][[known.userCode, known.email, ""].indexOf("")];
  // Focus a wrong code first, otherwise the first empty field.
  const focused = wrong?.fields.find((name) => name === "user_code") ?? firstEmpty;
  const field = (name: string) => ({ name, wrong: wrong?.fields.includes(name) ?? false, autofocus: name === focused });
  return {
    status: wrong?.status ?? 200,
    title: "Sign in from your terminal",
    body: (
      <Step fields={{ step: "sign_in", token: known.token }} wrong={wrong}>
        <Field
          {...field("user_code")}
          label="Code in your terminal"
          hint="Continue only if your own terminal shows exactly this code."
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

/** The second step, for people with an authenticator app. */
export function codePage(signed: SignedStep, wrong?: Wrong): Page {
  return {
    status: wrong?.status ?? 200,
    title: "One-time code",
    body: (
      <Step fields={hiddenFields("code", signed)} wrong={wrong}>
        <Field
          name="code"
          label="Code from your authenticator app"
          hint="The 6 digits it shows now. Each code works once."
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

/** The last step: who signs in, from where and when, and what that allows. */
export function consentPage(signed: SignedStep, consent: Consent): Page {
  return {
    status: 200,
    title: "Approve this sign-in?",
    body: (
      <Step fields={hiddenFields("consent", signed)}>
        <Facts
          rows={[
            { label: "Signed in as", value: consent.email },
            { label: "Application", value: consent.client },
            { label: "Address", value: consent.address },
            { label: "Started", value: startedText(consent) },
            { label: "Code", value: <span class="code">{signed.userCode}</span> },
          ]}
        />
        <p>
          The terminal can then act in your name and do everything your role allows. An organization administrator can:
        </p>
        <ul>
          <li>see the subscription, purchases and receipts</li>
          <li>buy and pay for licenses, and reduce them from the renewal date</li>
          <li>see, add, import and remove users, and choose what new users are assigned</li>
          <li>create and revoke API tokens</li>
          <li>accept invitations to organizations</li>
        </ul>
        <p>Deny this if you did not start it yourself.</p>
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

/** Checkboxes to accept invitations; the others stay pending. */
function Invitations({ invitations }: Pick<Consent, "invitations">): VNode {
  return (
    <fieldset>
      <legend>Invitations</legend>
      <p class="hint">Select the organizations you want to join. You join them when you approve.</p>
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
 * The last page, after a decision.
 *
 * @param joined the organizations that the person joined; `withdrawn` counts invitations that no longer existed
 */
export function decidedPage(
  action: "approve" | "deny",
  { joined, withdrawn }: { joined: readonly OrganizationRole[]; withdrawn: number } = { joined: [], withdrawn: 0 },
): Page {
  return action === "approve"
    ? {
        status: 200,
        title: "You are signed in",
        body: (
          <>
            {joined.length > 0 && <p>You joined {joined.map(({ name, id }) => `${name} (${id})`).join(", ")}.</p>}
            {withdrawn > 0 && <p>An invitation you selected had been withdrawn; you did not join that organization.</p>}
            <p>Return to your terminal. You can close this page.</p>
          </>
        ),
      }
    : {
        status: 200,
        title: "Denied",
        body: <p>The terminal was not signed in. If you did not start the sign-in yourself, change your password.</p>,
      };
}

/** The last page of a sign-in that can no longer be decided. */
export function overPage({ status, sentence }: Pick<Wrong, "status" | "sentence">): Page {
  return { status, title: "This sign-in is over", body: <Problem>{sentence}</Problem> };
}

/** A form of the page, below the problem with the last one. */
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

/** Returns how long ago, and when: `3 minutes ago (22 November 2026 at 12:00 UTC)`. */
function startedText({ startedAt, now, locale }: Consent): string {
  const minutes = Math.floor((now - startedAt) / 60_000);
  const ago = minutes < 1 ? "less than a minute ago" : AGO.format(-minutes, "minute");
  return `${ago} (${readerDates(locale, "UTC").instant(startedAt)})`;
}

function hiddenFields(step: string, { token, ticket, userCode }: SignedStep): Record<string, string> {
  return { step, token, ticket, user_code: userCode };
}
