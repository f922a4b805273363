import { environmentFor, startSandbox } from "../support/sandbox.ts";
import { organization, seed, token } from "../support/seed.ts";
import { KEYS, runInTerminal, type TerminalRun } from "../support/terminal.ts";
import { toSvg } from "./svg.ts";

const COLUMNS = 64;
const ROWS = 40;

/** The commands that the README shows. */
const SCENES: readonly { name: string; args: readonly string[] }[] = [
  { name: "buy", args: ["buy", "5"] },
  { name: "status", args: ["status"] },
  { name: "compare", args: ["quote", "--compare", "1,5,10,25"] },
];

/** A picture by its file's name. */
export interface Picture {
  readonly name: string;
  readonly svg: string;
}

/** Runs every scene against a sandbox and draws what the terminal shows then. */
export async function drawPictures(): Promise<Picture[]> {
  const sandbox = await startSandbox({
    seed: seed(organization(4201, { tokens: [token(4201, { token: "sfl_demo" })] })),
  });
  const env = { ...environmentFor(sandbox.ready.url, 4201), SECUREFLAG_API_TOKEN: "sfl_demo" };
  const pictures: Picture[] = [];
  try {
    for (const { name, args } of SCENES) {
      const run = await runInTerminal(args, { env, columns: COLUMNS, rows: ROWS });
      await play(run);
      const command = `$ secureflag-licenses ${args.join(" ")}`;
      const typed = { text: command, column: 0, color: null, bold: true, dim: false };
      pictures.push({ name: `${name}.svg`, svg: toSvg([[typed], ...run.pieces()], COLUMNS, command) });
    }
  } finally {
    await sandbox.stop();
  }
  return pictures;
}

/** Says yes where somebody is asked. */
async function play(run: TerminalRun): Promise<void> {
  const asked = run.waitForText(/\(y\/N\)/i).then(() => run.type(`y${KEYS.enter}`));
  await Promise.race([asked.catch(() => {}), run.exitCode()]);
  await run.exitCode();
}
