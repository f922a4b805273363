import * as z from "zod";
import { cursorSchema, dateSchema, integerTextSchema, pageSchema } from "../basics.ts";
import { EXPORT_MEDIA_TYPE, eventSchema, publicKeysSchema, signedCheckpointSchema } from "../events.ts";
import { type Operation, organizationParams } from "./operation.ts";

const page = { limit: integerTextSchema.optional(), after: cursorSchema.optional() };

/** The audit log of an organization, and what proves that nothing in it was changed. */
export const eventOperations = {
  listEvents: {
    method: "GET",
    path: "/organizations/{organizationId}/events",
    summary:
      "The audit log, oldest first unless `order` is `newest`; `from` and `to` are dates in the billing time zone, both " +
      "included; `type` is a type such as `purchase.accepted`, or what several begin with, such as `purchase`",
    access: "billing:read",
    params: organizationParams,
    query: z.object({
      ...page,
      from: dateSchema.optional(),
      to: dateSchema.optional(),
      type: z
        .string()
        .regex(/^[a-z_]+(\.[a-z_]+)?$/, "is not a type such as purchase.accepted")
        .optional(),
      order: z.enum(["oldest", "newest"]).optional(),
    }),
    answers: { 200: pageSchema(eventSchema) },
  },
  exportEvents: {
    method: "GET",
    path: "/organizations/{organizationId}/events/export",
    summary: "The whole audit log as lines of JSON, which end with the public keys and a signed checkpoint",
    access: "billing:read",
    params: organizationParams,
    streamsAs: EXPORT_MEDIA_TYPE,
    answers: { 200: z.string() },
  },
  listCheckpoints: {
    method: "GET",
    path: "/organizations/{organizationId}/events/checkpoints",
    summary: "The signed checkpoints of the audit log, newest first: one for each day with events, and each export's",
    access: "billing:read",
    params: organizationParams,
    query: z.object(page),
    answers: { 200: pageSchema(signedCheckpointSchema) },
  },
  getEventKeys: {
    method: "GET",
    path: "/.well-known/secureflag-licenses-keys.json",
    atRoot: true,
    summary: "The public keys that verify checkpoints of audit logs, as a JWK set",
    access: "public",
    answers: { 200: publicKeysSchema },
  },
} as const satisfies Record<string, Operation>;
