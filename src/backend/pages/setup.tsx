import { Field, Hidden, type Page, Problem } from "./page.tsx";

/** The path of the page that sets up an account, before the ticket. */
export const SETUP_PATH = "/setup";

/** The length of a password, in characters (NIST SP 800-63B, section 3.1.1.2). */
export const PASSWORD_LENGTH = { min: 15, max: 1024 } as const;

/** What the form of the page is about. */
export interface SetupForm {
  readonly email: string;
  /** The path of the page, with the ticket. */
  readonly path: string;
  readonly token: string;
  /** The secret for the authenticator app, base32. */
  readonly secret: string;
  /** The same as a URI that apps open. */
  readonly uri: string;
}

/** What was wrong with the form. */
export interface WrongSetup {
  readonly sentence: string;
  readonly field: "password" | "code" | null;
}

/** Asks for a password and a one-time code. It never repeats a password. */
export function setupPage(form: SetupForm, wrong?: WrongSetup): Page {
  return {
    status: wrong === undefined ? 200 : 400,
    title: "Set up your account",
    body: (
      <>
        {wrong && <Problem>{wrong.sentence}</Problem>}
        <p>
          {form.email} becomes an administrator, who can buy licenses. Choose a password, and add the account to your
          authenticator app.
        </p>
        <form method="post" action={form.path}>
          <Hidden fields={{ token: form.token, secret: form.secret }} />
          {/* For password managers, which keep a password under the email. */}
          <input type="hidden" name="email" value={form.email} autocomplete="username" />
          <Field
            name="password"
            label="New password"
            hint={`At least ${PASSWORD_LENGTH.min} characters. Avoid your email and the organization's name.`}
            type="password"
            autocomplete="new-password"
            minlength={PASSWORD_LENGTH.min}
            maxlength={PASSWORD_LENGTH.max}
            wrong={wrong?.field === "password"}
            autofocus={wrong?.field !== "code"}
          />
          <p>
            Enter this key in your authenticator app, or <a href={form.uri}>open it there</a>:
          </p>
          <p class="code">{form.secret.replace(/(.{4})(?=.)/g, "$1 ")}</p>
          <Field
            name="code"
            label="Code from your authenticator app"
            hint="The 6 digits it shows now."
            class="code"
            inputmode="numeric"
            autocomplete="one-time-code"
            wrong={wrong?.field === "code"}
            autofocus={wrong?.field === "code"}
          />
          <div class="actions">
            <button type="submit">Set up</button>
          </div>
        </form>
      </>
    ),
  };
}

/** Shown once the account is set up. */
export function setupDonePage(email: string): Page {
  return {
    status: 200,
    title: "Your account is ready",
    body: (
      <p>
        Sign in as {email} with <span class="whole">secureflag-licenses login</span> in your terminal. You can close
        this page.
      </p>
    ),
  };
}
