import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type PullRequestComment, putComment } from "../../src/client/githubComments.ts";
import { type Github, type GithubFault, JOB_TOKEN, PERSON_TOKEN, startGithub, withStatus } from "../support/github.ts";

const MARKER = "<!-- plan 1 -->";
const COMMENTS = "/api/v3/repos/northwind/infra/issues/7/comments";

let github: Github;
let pauses: number[];

beforeEach(async () => {
  github = await startGithub();
  pauses = [];
});
afterEach(() => github.close());

function put(body: string, changes: Partial<PullRequestComment> = {}, env: Record<string, string> = {}) {
  const comment = { apiUrl: github.url, token: JOB_TOKEN, repository: "northwind/infra", number: 7, marker: MARKER };
  return putComment(
    { ...comment, body: `${changes.marker ?? MARKER}\n\n${body}`, ...changes },
    {
      timeoutMs: 2_000,
      env,
      userAgent: "test",
      sleep: async (milliseconds) => void pauses.push(milliseconds),
    },
  );
}

const bodies = () => github.comments.map(({ body }) => body.split("\n").at(-1));

const add = (login: string, type: "Bot" | "User", body: string) =>
  github.comments.push({ id: 1_000 + github.comments.length, body, user: { login, type } });

describe("a comment on a pull request", () => {
  test("is created once, and then updated in its place", async () => {
    expect(await put("one")).toBe("created");
    add("grace", "User", "Looks right.");
    expect(await put("two")).toBe("updated");
    expect(bodies()).toEqual(["two", "Looks right."]);
    expect(github.requests).toEqual([
      `GET ${COMMENTS}?per_page=100&page=1`,
      `POST ${COMMENTS}`,
      `GET ${COMMENTS}?per_page=100&page=1`,
      `PATCH ${COMMENTS.replace("/7/comments", "/comments")}/101`,
    ]);
  });

  test("is found after hundreds of others, however long they are", async () => {
    for (let index = 0; index < 230; index += 1) add("terraform[bot]", "Bot", `Plan ${"x".repeat(20_000)}`);
    expect(await put("one")).toBe("created");
    expect(await put("two")).toBe("updated");
    expect(github.comments.length).toBe(231);
    expect(bodies().at(-1)).toBe("two");
  });

  test("is another for another marker", async () => {
    await put("one");
    expect(await put("other", { marker: "<!-- plan 2 -->" })).toBe("created");
    expect(bodies()).toEqual(["one", "other"]);
  });

  test("of somebody else who copied the marker is left alone, and so is one that quotes it", async () => {
    add("mallory", "User", `${MARKER}\n\nApprove this`);
    add("github-actions[bot]", "Bot", `> ${MARKER}\n\nquoted`);
    github.comments.push({ id: 9, body: MARKER, user: null });
    expect(await put("one")).toBe("created");
    expect(await put("two")).toBe("updated");
    expect(bodies()).toEqual(["Approve this", "quoted", MARKER, "two"]);
  });

  test("of a person is found by the person's own token", async () => {
    add("mallory", "User", `${MARKER}\n\nApprove this`);
    expect(await put("one", { token: PERSON_TOKEN })).toBe("created");
    expect(await put("two", { token: PERSON_TOKEN })).toBe("updated");
    expect(bodies()).toEqual(["Approve this", "two"]);
  });

  test.each<[string, string, GithubFault[], number[]]>([
    ["an answer was lost", "POST", ["lost"], [1_000]],
    ["GitHub fails", "GET", [withStatus(502), withStatus(503)], [1_000, 2_000]],
    ["GitHub asks to wait", "POST", [withStatus(429, { "retry-after": "7" })], [7_000]],
    ["GitHub fails while it updates", "PATCH", [withStatus(500)], [1_000]],
  ])("is written once though %s", async (_, method, faults, expected) => {
    if (method === "PATCH") await put("zero");
    github.inject(method, ...faults);
    await put("one");
    expect(bodies()).toEqual(["one"]);
    expect(pauses).toEqual(expected);
  });

  test.each<[string, GithubFault[], Partial<PullRequestComment>, string]>([
    ["a token that may not comment", [withStatus(403)], {}, "forbidden"],
    ["a token that is invalid", [], { token: "ghs_none" }, "forbidden"],
    ["no such pull request", [], { number: 8 }, "not_found"],
    ["a locked or invalid one", [withStatus(422)], {}, "unexpected_answer"],
    ["a redirect", [withStatus(301, { location: "/x" })], {}, "unexpected_answer"],
    ["failures without an end", Array.from({ length: 4 }, () => withStatus(500)), {}, "unreachable"],
    ["a pause that is too long", [withStatus(503, { "retry-after": "3600" })], {}, "unreachable"],
  ])("is an error with %s", async (_, faults, changes, code) => {
    github.inject("GET", ...faults);
    await expect(put("one", changes)).rejects.toMatchObject({ code });
    expect(github.comments).toEqual([]);
  });

  test("is an error with a page that is not one", async () => {
    github.inject("GET", (response) => response.writeHead(200, { "content-type": "application/json" }).end("{}"));
    await expect(put("one")).rejects.toMatchObject({ code: "unexpected_answer" });
  });

  test("is sent only over https to another machine", async () => {
    await expect(put("one", { apiUrl: "http://github.example/api/v3" })).rejects.toMatchObject({
      code: "insecure_url",
    });
    await expect(put("one", {}, { NODE_TLS_REJECT_UNAUTHORIZED: "0" })).rejects.toMatchObject({ code: "insecure_tls" });
    expect(github.requests).toEqual([]);
  });
});
