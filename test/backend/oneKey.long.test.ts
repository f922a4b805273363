import { expect, test } from "vitest";
import { call, organization, startBackend, submit, tokenOf } from "./support/backend.ts";
import { expectInvariants } from "./support/invariants.ts";
import { DIALECTS } from "./support/stores.ts";

test.each(DIALECTS)(
  "on %s, 64 parallel requests with one key make one purchase",
  async (dialect) => {
    const backend = await startBackend(dialect);
    try {
      const made = organization();
      await backend.addOrganization(made);
      const { id } = made;
      for (let round = 0; round < (dialect === "sqlite" ? 40 : 20); round += 1) {
        const asked = { token: tokenOf(id), body: { licenses: 1 } };
        const { id: quoteId } = (await call(backend, "POST", `/organizations/${id}/quotes`, asked)).body;
        const answers = await Promise.all(
          Array.from({ length: 64 }, () => submit(backend, id, { quoteId }, `round-${round}`)),
        );
        const bought = new Set(answers.filter(({ status }) => status < 300).map(({ body }) => body.id));
        expect(bought.size).toBe(1);
        for (const { status, headers, body } of answers) {
          if (status === 409) expect([body.code, headers["retry-after"]]).toEqual(["idempotency_key_in_use", "1"]);
          else expect([200, 201]).toContain(status);
        }
      }
      await expectInvariants(backend, id, 25);
    } finally {
      await backend.close();
    }
  },
  120_000,
);
