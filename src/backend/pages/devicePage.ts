import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import * as z from "zod";
import type { DeviceGrantRow } from "../database/schema.ts";
import type { BackendDeps } from "../deps.ts";
import { BackendError } from "../errors.ts";
import { browserSecret, isSigned, signed } from "../http/body.ts";
import { type OrganizationRole, validated } from "../http/register.ts";
import { approveGrant, countWrongSignIn, denyGrant, findGrant, formatUserCode } from "../identity/deviceGrants.ts";
import { acceptInvitation, invitationsOf } from "../identity/memberships.ts";
import { checkPassword, type SignInDeps } from "../identity/signIn.ts";
import { codeForTicket, issueTicket, readTicket, type SignedIn } from "../identity/tickets.ts";
import { readerLocale } from "./dates.ts";
import {
  ACCEPT_FIELD,
  codePage,
  consentPage,
  DEVICE_PATH,
  decidedPage,
  overPage,
  type SignedStep,
  signInPage,
} from "./device.tsx";
import type { Page } from "./page.tsx";
import { registerPage } from "./route.tsx";

const MAX_USER_CODE_LENGTH = 64;

const common = { token: z.string().max(64), user_code: z.string().max(MAX_USER_CODE_LENGTH) };

const signInSchema = z.strictObject({
  ...common,
  step: z.literal("sign_in"),
  email: z.string().max(320),
  password: z.string().max(1024),
});

const ticket = z.string().max(64);

const codeSchema = z.strictObject({ ...common, step: z.literal("code"), ticket, code: z.string().max(32) });

const consentFields = { ...common, step: z.literal("consent"), ticket, action: z.enum(["approve", "deny"]) };

const ACCEPTANCE = new RegExp(`^${ACCEPT_FIELD}(\\d{1,10})$`);

const consentSchema = z
  .object(consentFields)
  // A checked checkbox is `on`; scripts that send every field may send an empty one.
  .catchall(z.enum(["on", ""]))
  .refine(
    (form) => Object.keys(form).every((name) => Object.hasOwn(consentFields, name) || ACCEPTANCE.test(name)),
    "unknown field",
  );

const formSchema = z.discriminatedUnion("step", [signInSchema, codeSchema, consentSchema]);

type SignInForm = z.output<typeof signInSchema>;

type CodeForm = z.output<typeof codeSchema>;

type ConsentForm = z.output<typeof consentSchema>;

/** A request to the page. */
interface Visit {
  readonly deps: BackendDeps & SignInDeps;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  /** The secret in the browser's cookie. */
  readonly secret: string;
}

/**
 * Registers the page on which a person approves a terminal's sign-in (RFC 8628, section 3.3): email and password, one-time
 * code, consent. Each step is a plain form, signed for the browser and its content, and reads everything again.
 */
export function registerDevicePage(app: FastifyInstance, deps: BackendDeps & SignInDeps): void {
  const visitOf = (request: FastifyRequest, reply: FastifyReply): Visit => {
    return { deps, request, reply, secret: browserSecret(deps, DEVICE_PATH, request, reply) };
  };
  registerPage(app, deps, DEVICE_PATH, {
    async show(request, reply) {
      const { user_code: asked } = request.query as { user_code?: unknown };
      const userCode = typeof asked === "string" && asked.length <= MAX_USER_CODE_LENGTH ? asked : "";
      return signInStep(visitOf(request, reply), { userCode });
    },
    submit: async (request, reply) => submitForm(visitOf(request, reply), validated(formSchema, request.body ?? null)),
  });
}

async function submitForm(visit: Visit, form: SignInForm | CodeForm | ConsentForm): Promise<Page> {
  const parts = form.step === "sign_in" ? signInParts(visit) : stepParts(visit, form.step, form.ticket, form.user_code);
  if (!isSigned(visit.deps, parts, form.token)) {
    const sentence = "This form is no longer valid in this browser; sign in again. The page needs its cookie.";
    return signInStep(visit, { userCode: form.user_code }, { status: 403, sentence, fields: [] });
  }
  if (form.step === "sign_in") return submitPassword(visit, form);
  const grant = await settled(findGrant(visit.deps, form.user_code, visit.request.ip));
  if (grant instanceof BackendError) return overPage(wrongOf(visit, grant));
  return form.step === "code" ? submitCode(visit, form, grant) : submitDecision(visit, form, grant);
}

async function submitPassword(visit: Visit, form: SignInForm): Promise<Page> {
  const { deps, request } = visit;
  const known = { userCode: form.user_code, email: form.email };
  const grant = await settled(findGrant(deps, form.user_code, request.ip));
  if (grant instanceof BackendError) return signInStep(visit, known, wrongOf(visit, grant, ["user_code"]));
  const user = await settled(checkPassword(deps, form, request.ip));
  if (user instanceof BackendError) {
    if (user.code === "unauthenticated" && !(await staysOpen(visit, grant, form.user_code)))
      return endedByWrongSignIns();
    return signInStep(visit, known, wrongOf(visit, user, ["email", "password"]));
  }
  const userCode = formatUserCode(form.user_code);
  if (user.totp_secret === null) return askConsent(visit, userCode, grant, { user, mfaAt: null });
  return codePage(signedStep(visit, "code", await issueTicket(deps, user.id, "mfa", null), userCode));
}

async function submitCode(visit: Visit, form: CodeForm, grant: DeviceGrantRow): Promise<Page> {
  const answer = { challenge: form.ticket, code: form.code };
  const signedIn = await settled(codeForTicket(visit.deps, answer, visit.request.ip));
  if (!(signedIn instanceof BackendError)) return askConsent(visit, form.user_code, grant, signedIn);
  if (signedIn.code !== "mfa_invalid") return signInStep(visit, { userCode: form.user_code }, wrongOf(visit, signedIn));
  if (!(await staysOpen(visit, grant, form.user_code))) return endedByWrongSignIns();
  return codePage(signedStep(visit, "code", form.ticket, form.user_code), wrongOf(visit, signedIn, ["code"]));
}

async function submitDecision(visit: Visit, form: ConsentForm, grant: DeviceGrantRow): Promise<Page> {
  const signedIn = await settled(readTicket(visit.deps, form.ticket, "page"));
  if (signedIn instanceof BackendError) {
    return signInStep(visit, { userCode: form.user_code }, wrongOf(visit, signedIn));
  }
  const answer = form.action === "approve" ? await acceptChecked(visit, form, signedIn) : undefined;
  const decided = await settled(
    form.action === "approve"
      ? approveGrant(visit.deps, grant, signedIn.user, signedIn.mfaAt)
      : denyGrant(visit.deps, grant),
  );
  return decided instanceof BackendError ? overPage(wrongOf(visit, decided)) : decidedPage(form.action, answer);
}

/** Accepts the selected invitations, before the terminal gets its tokens and reads the memberships. */
async function acceptChecked({ deps }: Visit, form: ConsentForm, { user }: SignedIn) {
  const checked = Object.entries(form).filter(([, value]) => value === "on");
  const ids = checked.map(([name]) => Number(ACCEPTANCE.exec(name)?.[1]));
  const joined: OrganizationRole[] = [];
  for (const organizationId of ids) {
    const change = { actor: user.email, at: deps.clock.now() };
    const membership = await settled(acceptInvitation(deps.database, { organizationId, userId: user.id }, change));
    if (!(membership instanceof BackendError)) joined.push(membership);
  }
  return { joined, withdrawn: ids.length - joined.length };
}

async function askConsent(
  visit: Visit,
  userCode: string,
  grant: DeviceGrantRow,
  { user, mfaAt }: SignedIn,
): Promise<Page> {
  const pageTicket = await issueTicket(visit.deps, user.id, "page", mfaAt);
  return consentPage(signedStep(visit, "consent", pageTicket, userCode), {
    email: user.email,
    client: `${grant.client_id}, the command line`,
    address: grant.address,
    startedAt: grant.created_at,
    now: visit.deps.now(),
    locale: readerLocale(visit.request.headers["accept-language"]),
    invitations: await invitationsOf(visit.deps.database, user.id),
  });
}

function signInStep(
  visit: Visit,
  { userCode, email = "" }: { userCode: string; email?: string },
  wrong?: Parameters<typeof signInPage>[1],
): Page {
  return signInPage({ token: signed(visit.deps, signInParts(visit)), userCode, email }, wrong);
}

/** Counts a wrong sign-in, and reports whether the grant is still open. */
async function staysOpen({ deps, request }: Visit, grant: DeviceGrantRow, userCode: string): Promise<boolean> {
  await countWrongSignIn(deps, grant);
  return !((await settled(findGrant(deps, userCode, request.ip))) instanceof BackendError);
}

function endedByWrongSignIns(): Page {
  const sentence = "Too many failed sign-ins, so the terminal was denied; run the command again for a new code.";
  return overPage({ status: 401, sentence });
}

function signInParts({ secret }: Visit): string[] {
  return ["device", "sign_in", secret];
}

/** Later steps are signed with the person and the user code, so that a decision is about what was shown. */
function stepParts({ secret }: Visit, step: string, secretTicket: string, userCode: string): string[] {
  return ["device", step, secret, secretTicket, userCode];
}

function signedStep(visit: Visit, step: "code" | "consent", secretTicket: string, userCode: string): SignedStep {
  const token = signed(visit.deps, stepParts(visit, step, secretTicket, userCode));
  return { token, ticket: secretTicket, userCode };
}

/** Shows a refusal on a page, and sends its headers, such as `Retry-After`. */
function wrongOf({ reply }: Visit, problem: BackendError, fields: readonly string[] = []) {
  reply.headers(problem.headers);
  return { status: problem.status, sentence: `${problem.message}.`, fields };
}

/** Returns a refusal as a value; throws any other error. */
async function settled<Value>(work: Promise<Value>): Promise<Value | BackendError> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof BackendError) return error;
    throw error;
  }
}
