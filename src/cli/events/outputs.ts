import * as z from "zod";
import { instantSchema } from "../../contract/basics.ts";
import { eventSchema } from "../../contract/events.ts";

const checkpointSchema = z.object({ number: z.int(), at: instantSchema, kid: z.string() });

/** The outputs of `events`; see `outputs`. */
export const eventsOutputs = {
  "events list": z.array(eventSchema),
  "events export": z.object({
    file: z.string(),
    organization: z.int(),
    events: z.int(),
    hash: z.string(),
    checkpoint: checkpointSchema,
  }),
  "events verify": z.object({
    organization: z.int(),
    events: z.int(),
    /** The numbers of the first and the last event; `null` without events. */
    first: z.int().nullable(),
    last: z.int().nullable(),
    /** The hash of the last event. */
    hash: z.string(),
    /** Whether the checkpoint was signed by a key that was passed, or by the key of the older checkpoint. */
    signer: z.enum(["verified", "unverified"]),
    checkpoint: checkpointSchema,
    /** The checkpoint that was passed. */
    olderCheckpoint: checkpointSchema.omit({ kid: true }).nullable(),
  }),
} as const;
