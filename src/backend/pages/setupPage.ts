import type { FastifyInstance } from "fastify";
import { TOTP } from "otpauth";
import * as z from "zod";
import type { BackendDeps } from "../deps.ts";
import { isSigned, signed } from "../http/body.ts";
import { validated } from "../http/register.ts";
import { isGuessable } from "../identity/guessing.ts";
import { isCodeOf } from "../identity/oneTimeCodes.ts";
import { completeSetup, newCodeSecret, organizationNames, readSetup } from "../identity/setup.ts";
import type { SignInDeps } from "../identity/signIn.ts";
import { registerPage } from "./route.tsx";
import { PASSWORD_LENGTH, SETUP_PATH, setupDonePage, setupPage, type WrongSetup } from "./setup.tsx";

const formSchema = z.strictObject({
  token: z.string().max(64),
  secret: z.string().max(64),
  email: z.string().max(320),
  password: z.string(),
  code: z.string().max(32),
});

type Form = z.output<typeof formSchema>;

/**
 * Registers the page on which a new administrator chooses a password and adds an authenticator app. Its address has the
 * ticket, which only the person who got the link knows. The secret of the app is in the form, signed, until it is proved.
 */
export function registerSetupPage(app: FastifyInstance, deps: BackendDeps & Pick<SignInDeps, "passwords">): void {
  const pageOf = (ticket: string, email: string, secret: string, wrong?: WrongSetup) => {
    const uri = new TOTP({ issuer: "SecureFlag", label: email, secret }).toString();
    return setupPage(
      { email, path: `${SETUP_PATH}/${ticket}`, token: formToken(deps, ticket, secret), secret, uri },
      wrong,
    );
  };
  registerPage(app, deps, `${SETUP_PATH}/:ticket`, {
    async show(request) {
      const ticket = ticketOf(request.params);
      const { email } = await readSetup(deps, ticket);
      return pageOf(ticket, email, newCodeSecret(deps));
    },
    async submit(request) {
      const ticket = ticketOf(request.params);
      const { id, email } = await readSetup(deps, ticket);
      const form = validated(formSchema, request.body ?? null);
      if (!isSigned(deps, tokenParts(ticket, form.secret), form.token)) {
        const sentence = "This form is no longer valid. Add the new key to your authenticator app.";
        return pageOf(ticket, email, newCodeSecret(deps), { sentence, field: null });
      }
      const wrong = wrongOf(form, [email, ...(await organizationNames(deps, id))], deps.now());
      if (wrong) return pageOf(ticket, email, form.secret, wrong);
      const passwordHash = await deps.passwords.hash(form.password);
      await completeSetup(deps, ticket, { passwordHash, codeSecret: form.secret });
      return setupDonePage(email);
    },
  });
}

function ticketOf(params: unknown): string {
  return (params as { ticket: string }).ticket;
}

function tokenParts(ticket: string, secret: string): string[] {
  return ["setup", ticket, secret];
}

function formToken(deps: Pick<BackendDeps, "pageKey">, ticket: string, secret: string): string {
  return signed(deps, tokenParts(ticket, secret));
}

function wrongOf({ password, secret, code }: Form, context: readonly string[], now: number): WrongSetup | null {
  const length = [...password].length;
  if (length < PASSWORD_LENGTH.min || length > PASSWORD_LENGTH.max) {
    const { min, max } = PASSWORD_LENGTH;
    return { sentence: `The password must have ${min} to ${max} characters.`, field: "password" };
  }
  if (isGuessable(password, context)) {
    const sentence =
      "The password is easy to guess. Avoid your email, the organization's name, common words and sequences.";
    return { sentence, field: "password" };
  }
  if (isCodeOf(secret, code, now)) return null;
  return {
    sentence: "The code is wrong. Enter the password again, and the code that the app shows now.",
    field: "code",
  };
}
