import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import * as z from "zod";
import type { DeviceGrantRow } from "../database/schema.ts";
import type { BackendDeps } from "../deps.ts";
import { ProblemError } from "../errors.ts";
import { browserSecret, isSigned, signed } from "../http/body.ts";
import { type Membership, validated } from "../http/register.ts";
import { approveGrant, countWrongSignIn, denyGrant, findGrant, formatUserCode } from "../identity/deviceGrants.ts";
import { acceptInvitation, invitationsOf } from "../identity/memberships.ts";
import { checkPassword, type SignInDeps } from "../identity/signIn.ts";
import { codeForTicket, issueTicket, readTicket, type SignedIn } from "../identity/tickets.ts";
import { readerLocale } from "./dates.ts";
import {
  ACCEPT_FIELD,
  type Carried,
  codePage,
  consentPage,
  DEVICE_PATH,
  decidedPage,
  overPage,
  signInPage,
} from "./device.tsx";
import type { Page } from "./page.tsx";
import { registerPage } from "./route.tsx";

const LONGEST_USER_CODE = 64;

const common = { token: z.string().max(64), user_code: z.string().max(LONGEST_USER_CODE) };

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
  // A checkbox that is checked says `on`; scripts that send every field may send an empty one.
  .catchall(z.enum(["on", ""]))
  .refine(
    (form) => Object.keys(form).every((name) => Object.hasOwn(consentFields, name) || ACCEPTANCE.test(name)),
    "unknown field",
  );

const formSchema = z.discriminatedUnion("step", [signInSchema, codeSchema, consentSchema]);

type SignInForm = z.output<typeof signInSchema>;

type CodeForm = z.output<typeof codeSchema>;

type ConsentForm = z.output<typeof consentSchema>;

/** One browser on the page. */
interface Visit {
  readonly deps: BackendDeps & SignInDeps;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  /** The secret of its cookie. */
  readonly secret: string;
}

/**
 * The page on which a person lets a terminal in (RFC 8628, section 3.3): email and password, one-time code, consent. Its
 * steps are plain forms to the same address. Each is signed for the browser and for what it carries, and each looks
 * everything up again.
 */
export function registerDevicePage(app: FastifyInstance, deps: BackendDeps & SignInDeps): void {
  const visitOf = (request: FastifyRequest, reply: FastifyReply): Visit => {
    return { deps, request, reply, secret: browserSecret(deps, DEVICE_PATH, request, reply) };
  };
  registerPage(app, deps, DEVICE_PATH, {
    async show(request, reply) {
      const { user_code: asked } = request.query as { user_code?: unknown };
      const userCode = typeof asked === "string" && asked.length <= LONGEST_USER_CODE ? asked : "";
      return signInStep(visitOf(request, reply), { userCode });
    },
    take: async (request, reply) => takeForm(visitOf(request, reply), validated(formSchema, request.body ?? null)),
  });
}

async function takeForm(visit: Visit, form: SignInForm | CodeForm | ConsentForm): Promise<Page> {
  const parts =
    form.step === "sign_in" ? signInParts(visit) : carriedParts(visit, form.step, form.ticket, form.user_code);
  if (!isSigned(visit.deps, parts, form.token)) {
    const sentence = "This form is no longer good in this browser; sign in again. The page needs its cookie.";
    return signInStep(visit, { userCode: form.user_code }, { status: 403, sentence, fields: [] });
  }
  if (form.step === "sign_in") return takePassword(visit, form);
  const grant = await settled(findGrant(visit.deps, form.user_code, visit.request.ip));
  if (grant instanceof ProblemError) return overPage(wrongOf(visit, grant));
  return form.step === "code" ? takeCode(visit, form, grant) : takeDecision(visit, form, grant);
}

async function takePassword(visit: Visit, form: SignInForm): Promise<Page> {
  const { deps, request } = visit;
  const known = { userCode: form.user_code, email: form.email };
  const grant = await settled(findGrant(deps, form.user_code, request.ip));
  if (grant instanceof ProblemError) return signInStep(visit, known, wrongOf(visit, grant, ["user_code"]));
  const user = await settled(checkPassword(deps, form, request.ip));
  if (user instanceof ProblemError) {
    if (user.code === "unauthenticated" && !(await staysOpen(visit, grant, form.user_code)))
      return endedByWrongSignIns();
    return signInStep(visit, known, wrongOf(visit, user, ["email", "password"]));
  }
  const userCode = formatUserCode(form.user_code);
  if (user.totp_secret === null) return askConsent(visit, userCode, grant, { user, mfaAt: null });
  return codePage(carried(visit, "code", await issueTicket(deps, user.id, "mfa", null), userCode));
}

async function takeCode(visit: Visit, form: CodeForm, grant: DeviceGrantRow): Promise<Page> {
  const answer = { challenge: form.ticket, code: form.code };
  const signedIn = await settled(codeForTicket(visit.deps, answer, visit.request.ip));
  if (!(signedIn instanceof ProblemError)) return askConsent(visit, form.user_code, grant, signedIn);
  if (signedIn.code !== "mfa_invalid") return signInStep(visit, { userCode: form.user_code }, wrongOf(visit, signedIn));
  if (!(await staysOpen(visit, grant, form.user_code))) return endedByWrongSignIns();
  return codePage(carried(visit, "code", form.ticket, form.user_code), wrongOf(visit, signedIn, ["code"]));
}

async function takeDecision(visit: Visit, form: ConsentForm, grant: DeviceGrantRow): Promise<Page> {
  const signedIn = await settled(readTicket(visit.deps, form.ticket, "page"));
  if (signedIn instanceof ProblemError) {
    return signInStep(visit, { userCode: form.user_code }, wrongOf(visit, signedIn));
  }
  const answer = form.action === "approve" ? await acceptChecked(visit, form, signedIn) : undefined;
  const decided = await settled(
    form.action === "approve"
      ? approveGrant(visit.deps, grant, signedIn.user, signedIn.mfaAt)
      : denyGrant(visit.deps, grant),
  );
  return decided instanceof ProblemError ? overPage(wrongOf(visit, decided)) : decidedPage(form.action, answer);
}

/** Accepts the invitations that were checked, before the terminal learns of the sign-in and asks who it is. */
async function acceptChecked({ deps }: Visit, form: ConsentForm, { user }: SignedIn) {
  const checked = Object.entries(form).filter(([, value]) => value === "on");
  const ids = checked.map(([name]) => Number(ACCEPTANCE.exec(name)?.[1]));
  const joined: Membership[] = [];
  for (const organizationId of ids) {
    const change = { actor: user.email, at: deps.clock.now() };
    const membership = await settled(acceptInvitation(deps.database, { organizationId, userId: user.id }, change));
    if (!(membership instanceof ProblemError)) joined.push(membership);
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
  return consentPage(carried(visit, "consent", pageTicket, userCode), {
    email: user.email,
    client: `${grant.client_id}, the command line`,
    address: grant.address,
    begun: grant.created_at,
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

/** Counts a wrong sign-in, and tells whether the code may be tried again. */
async function staysOpen({ deps, request }: Visit, grant: DeviceGrantRow, userCode: string): Promise<boolean> {
  await countWrongSignIn(deps, grant);
  return !((await settled(findGrant(deps, userCode, request.ip))) instanceof ProblemError);
}

function endedByWrongSignIns(): Page {
  const sentence =
    "The sign-in went wrong too often, so the terminal was denied; run the command again for a new code.";
  return overPage({ status: 401, sentence });
}

function signInParts({ secret }: Visit): string[] {
  return ["device", "sign_in", secret];
}

/** A step that follows is signed with who signed in and for which code, so that a person decides on what they saw. */
function carriedParts({ secret }: Visit, step: string, secretTicket: string, userCode: string): string[] {
  return ["device", step, secret, secretTicket, userCode];
}

function carried(visit: Visit, step: "code" | "consent", secretTicket: string, userCode: string): Carried {
  const token = signed(visit.deps, carriedParts(visit, step, secretTicket, userCode));
  return { token, ticket: secretTicket, userCode };
}

/** What a refusal is on a page; a pause that it names is answered too. */
function wrongOf({ reply }: Visit, problem: ProblemError, fields: readonly string[] = []) {
  reply.headers(problem.headers);
  return { status: problem.status, sentence: `${problem.message}.`, fields };
}

/** A refusal as a value; anything else that goes wrong is thrown. */
async function settled<Value>(work: Promise<Value>): Promise<Value | ProblemError> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof ProblemError) return error;
    throw error;
  }
}
