import type { StoredCredential } from "../../../src/cli/connection/credentials.ts";
import { PROBLEMS, type ProblemCode } from "../../../src/contract/problemCodes.ts";
import { type Answer, problem } from "../../client/backend.ts";
import { me, quote, subscription } from "../support/builders.ts";
import { KEY } from "../support/playBuy.ts";
import type { ErrorCase, Stage } from "./stage.ts";

/** A read that succeeds. */
export const ok = (json: unknown): Answer => ({ status: 200, json });

/** A refusal, with what the embedded backend says. */
export const says = (code: ProblemCode, detail: string, more: object = {}, headers: Record<string, string> = {}) =>
  problem(PROBLEMS[code].status, code, { detail, ...more }, headers);

export const READ = ok(subscription());

export const QUOTED: Answer = { status: 201, json: quote(5) };

/** What pricing 5 licenses asks. */
export const OFFER: readonly Answer[] = [READ, QUOTED];

export const ME = ok(me());

/** A purchase that was accepted under the first key of a command. */
export const accepted = (made: object): Answer => ({ status: 201, json: { ...made, idempotencyKey: KEY } });

export const ADD = "users add --email ada@northwind.example --first-name Ada --last-name Lovelace";

export const NO_TOKEN = { SECUREFLAG_API_TOKEN: "" };

type World = NonNullable<ErrorCase["world"]>;

/** A person at a terminal who gives these answers. */
export const person =
  (...answers: (string | boolean)[]): World =>
  () => ({ isTerminal: true, answers });

/** What is piped in. */
export const piped =
  (input: string): World =>
  () => ({ input });

/** A disk that is full. */
export const noRoom: World = () => ({ isStdoutFull: true });

/** A sign-in whose access token has expired. */
export const credential = ({ apiUrl }: Pick<Stage, "apiUrl">): StoredCredential => ({
  apiUrl,
  email: "admin@northwind.example",
  accessToken: "access",
  accessExpiresAt: 0,
  refreshToken: "refresh",
  scopes: [],
});
