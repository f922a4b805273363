import type { BuyOptions } from "../commands/buy.ts";
import type { Connection } from "../commands/shared/connect.ts";
import { viewOf } from "../commands/shared/output.ts";
import type { Context } from "../context.ts";
import { CliError } from "../errors.ts";
import type { Approver } from "../purchasing/tools.ts";
import { buyAgainQuestion, buyQuestion, renderChange, renderConfirmation } from "../render/confirmation.ts";
import { openPrompter } from "./asking.ts";

/** Asks the person at the terminal; the default answer is No (cli.md, Prompts). Everything is shown on stderr. */
export function personApprover(options: BuyOptions, context: Context, connection: Connection): Approver {
  const { client, signIn } = connection;
  const setting = {
    apiUrl: client.apiUrl,
    isSandbox: client.isLoopback,
    signedInAs: signIn.email ?? (signIn.source === "environment" ? "the token in SECUREFLAG_API_TOKEN" : "a token"),
  };
  return {
    async approve(offer, before) {
      const view = await viewOf(context, options, "stderr");
      if (before) context.io.note(`${renderChange(offer, before, view)}\n`);
      context.io.note(`${renderConfirmation(offer, setting, view)}\n`);
      const prompter = await openPrompter(context, options);
      if (!(await prompter.confirm(buyQuestion(offer)))) throw declined();
    },
    async buyAgain(purchase) {
      context.io.note(`${buyAgainQuestion(purchase).context}\n`);
      return (await openPrompter(context, options)).confirm(buyAgainQuestion(purchase).question);
    },
  };
}

function declined(): CliError {
  return new CliError("declined_by_person", "Nothing was bought");
}
