/** Runs the program from its sources: `npm run dev -- <arguments>`. */
import { createContext, main } from "../src/cli/main.ts";

process.exitCode = 1;
process.exitCode = await main(process.argv.slice(2), createContext());
