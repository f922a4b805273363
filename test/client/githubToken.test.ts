import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { requestGithubToken } from "../../src/client/githubToken.ts";
import { respond } from "../support/issuer.ts";

type Answer = (response: ServerResponse) => void;

let stop = async () => {};
afterEach(() => stop());

/** Starts what GitHub Actions requests identity tokens from; the last answer is given again and again. */
async function startGithub(...answers: Answer[]) {
  const seen: { url: string; authorization: string | undefined }[] = [];
  const server = createServer((request, response) => {
    const answer = answers[Math.min(seen.length, answers.length - 1)];
    seen.push({ url: request.url ?? "", authorization: request.headers.authorization });
    answer?.(response);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  stop = async () => {
    server.closeAllConnections();
    await once(server.close(), "close");
  };
  return { seen, origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

const pauses: number[] = [];
const options = {
  timeoutMs: 2_000,
  env: {},
  userAgent: "test",
  sleep: async (milliseconds: number) => void pauses.push(milliseconds),
};

const request = (url: string) => ({ url, token: "request-token", audience: "https://billing.example:8443" });

const token: Answer = (response) => respond(response, 200, { count: 1, value: "ey.x.y" });

describe("the identity token of a job on GitHub", () => {
  test("is requested for an audience, with what GitHub gave the job", async () => {
    const { seen, origin } = await startGithub(token);
    expect(await requestGithubToken(request(`${origin}/token?api-version=2.0`), options)).toBe("ey.x.y");
    expect(seen).toEqual([
      {
        url: "/token?api-version=2.0&audience=https%3A%2F%2Fbilling.example%3A8443",
        authorization: "Bearer request-token",
      },
    ]);
  });

  test("is requested three times if GitHub fails", async () => {
    const { seen, origin } = await startGithub(
      (response) => respond(response, 503, {}),
      (response) => response.destroy(),
      token,
    );
    pauses.length = 0;
    expect(await requestGithubToken(request(`${origin}/token`), options)).toBe("ey.x.y");
    expect([seen.length, pauses]).toEqual([3, [1_000, 2_000]]);
  });

  test.each<[string, Answer, string]>([
    ["GitHub does not answer", (response) => response.destroy(), "unreachable"],
    ["the job may not have one", (response) => respond(response, 403, {}), "unauthenticated"],
    ["the answer is a redirect", (response) => response.writeHead(302, { location: "/x" }).end(), "unauthenticated"],
    ["the answer has no token", (response) => respond(response, 200, { count: 0 }), "unexpected_answer"],
    ["the answer is not JSON", (response) => response.end("<html>"), "unexpected_answer"],
  ])("is an error if %s", async (_, answer, code) => {
    const { origin } = await startGithub(answer);
    await expect(requestGithubToken(request(`${origin}/token`), options)).rejects.toMatchObject({ code });
  });

  test.each([
    ["http://actions.example/token", "insecure_url"],
    ["token", "invalid_usage"],
  ])("is not requested at %s", async (url, code) => {
    await expect(requestGithubToken(request(url), options)).rejects.toMatchObject({ code });
  });
});
