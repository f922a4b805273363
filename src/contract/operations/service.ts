import * as z from "zod";
import { cursorSchema } from "../basics.ts";
import { MAX_CLOCK_YEARS } from "../constants.ts";
import { clockAnswerSchema, clockRequestSchema, sandboxStateSchema } from "../sandbox.ts";
import type { Operation } from "./operation.ts";

/** Health, readiness, the description of the contract, and what only a sandbox has. */
export const serviceOperations = {
  health: {
    method: "GET",
    path: "/healthz",
    atRoot: true,
    summary: "Whether the process runs",
    access: "public",
    answers: { 200: z.object({ status: z.literal("ok") }) },
  },
  ready: {
    method: "GET",
    path: "/readyz",
    atRoot: true,
    summary: "Whether the store answers",
    access: "public",
    answers: { 200: z.object({ status: z.literal("ready") }) },
  },
  openapi: {
    method: "GET",
    path: "/openapi.json",
    atRoot: true,
    summary: "This description",
    access: "public",
    answers: { 200: z.looseObject({ openapi: z.string() }) },
  },
  getSandbox: {
    method: "GET",
    path: "/sandbox",
    atRoot: true,
    sandboxOnly: true,
    summary: "Sandbox only: the clock and the provider's captures, oldest first",
    access: "public",
    query: z.object({ after: cursorSchema.optional() }),
    answers: { 200: sandboxStateSchema },
  },
  advanceClock: {
    method: "POST",
    path: "/sandbox/clock",
    atRoot: true,
    sandboxOnly: true,
    summary: `Sandbox only: move the clock forward, at most ${MAX_CLOCK_YEARS} years or to the next renewal`,
    access: "public",
    body: clockRequestSchema,
    answers: { 200: clockAnswerSchema },
  },
} as const satisfies Record<string, Operation>;
