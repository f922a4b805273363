import type { Reply } from "./call.ts";
import { ClientError } from "./errors.ts";
import { outcomeUnknown } from "./outcome.ts";

/**
 * Returns an answer if it is about the organization that was asked for.
 *
 * @param changeHint where the answer is one to a change, how a person finds out what became of it
 * @throws ClientError `unexpected_answer`, `outcome_unknown` with a `changeHint`
 */
export function ofOrganization<Answer extends { readonly organization: { readonly id: number } }>(
  organizationId: number,
  { value }: Reply<Answer>,
  changeHint: string | null = null,
): Answer {
  if (value.organization.id === organizationId) return value;
  throw another(`organization ${organizationId}`, value.organization.id, changeHint);
}

/** Whether a purchase is the one that was asked for: by its id, the first 8 digits of it or more, or its receipt. */
export function isNamed(name: string, id: string, receiptNumber: string | null): boolean {
  const isBeginning = /^pur_(\d+_)?[0-9a-f]{8,}$/.test(name);
  return (
    name === id ||
    name === receiptNumber ||
    (isBeginning && (id.startsWith(name) || withoutOrganization(id).startsWith(name)))
  );
}

function withoutOrganization(id: string): string {
  return id.replace(/^pur_\d+_/, "pur_");
}

/** The error of an answer about something else than was asked for; see `ofOrganization`. */
export function another(asked: string, answered: string | number, changeHint: string | null = null): ClientError {
  const message = `The backend was asked for ${asked} and answered with ${answered}`;
  const error = new ClientError("unexpected_answer", message);
  return changeHint === null ? error : outcomeUnknown(error, changeHint);
}
