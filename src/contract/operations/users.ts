import * as z from "zod";
import { integerTextSchema } from "../basics.ts";
import {
  addUserAnswerSchema,
  addUserRequestSchema,
  assignmentStrategySchema,
  importUsersAnswerSchema,
  importUsersRequestSchema,
  listedUserSchema,
  removeUserAnswerSchema,
  syncUsersAnswerSchema,
  syncUsersRequestSchema,
  updateUserAnswerSchema,
  updateUserRequestSchema,
} from "../users.ts";
import { type Operation, organizationParams } from "./operation.ts";

/** Enough for `MAX_IMPORTED_USERS` at about 400 bytes each. */
const IMPORT_BODY_BYTES = 4 * 1024 * 1024;

// Both paths use the same parameter name: to OpenAPI, paths that differ only in a parameter's name are the same.
const withPage = organizationParams.extend({ number: integerTextSchema.meta({ description: "The page, from 0" }) });
const withUser = organizationParams.extend({
  number: integerTextSchema
    .refine((number) => number < 2 ** 31, "is not the number of a user")
    .meta({ description: "The user's idUser" }),
});

/** Users of an organization, who take and free licenses. */
export const userOperations = {
  listUsers: {
    method: "GET",
    path: "/organizations/{organizationId}/users/{number}",
    summary: "Users, up to 20 a page from page 0; an empty page ends the list",
    access: "users:read",
    params: withPage,
    answers: { 200: z.array(listedUserSchema) },
  },
  addUser: {
    method: "POST",
    path: "/organizations/{organizationId}/users",
    summary: "Add a user, who takes a license at once",
    access: "users:write",
    params: organizationParams,
    body: addUserRequestSchema,
    answers: { 201: addUserAnswerSchema, 202: addUserAnswerSchema },
  },
  importUsers: {
    method: "POST",
    path: "/organizations/{organizationId}/users/import",
    summary: "Add many users, all or nothing; those who are users already are left as they are",
    access: "users:write",
    params: organizationParams,
    body: importUsersRequestSchema,
    maxBodyBytes: IMPORT_BODY_BYTES,
    answers: { 200: importUsersAnswerSchema },
  },
  updateUser: {
    method: "PATCH",
    path: "/organizations/{organizationId}/users/{number}",
    summary: "Change a user's role, which takes or frees a license as the role demands",
    access: "users:write",
    params: withUser,
    body: updateUserRequestSchema,
    answers: { 200: updateUserAnswerSchema, 202: updateUserAnswerSchema },
  },
  syncUsers: {
    method: "POST",
    path: "/organizations/{organizationId}/users/sync",
    summary: "Plan how the users become those of a list, or with the plan apply it, all or nothing",
    access: "users:write",
    params: organizationParams,
    body: syncUsersRequestSchema,
    maxBodyBytes: IMPORT_BODY_BYTES,
    answers: { 200: syncUsersAnswerSchema },
  },
  removeUser: {
    method: "DELETE",
    path: "/organizations/{organizationId}/users/{number}",
    summary: "Remove a user, whose license is free at once",
    access: "users:write",
    params: withUser,
    answers: { 200: removeUserAnswerSchema, 202: removeUserAnswerSchema },
  },
  getAssignmentStrategy: {
    method: "GET",
    path: "/organizations/{organizationId}/assignment-strategy",
    summary: "What the organization assigns to everybody who is added",
    access: "users:read",
    params: organizationParams,
    answers: { 200: assignmentStrategySchema.loose() },
  },
  setAssignmentStrategy: {
    method: "PUT",
    path: "/organizations/{organizationId}/assignment-strategy",
    summary: "Set what the organization assigns to everybody who is added from now on",
    access: "administrator",
    params: organizationParams,
    body: assignmentStrategySchema,
    answers: { 200: assignmentStrategySchema.loose() },
  },
} as const satisfies Record<string, Operation>;
