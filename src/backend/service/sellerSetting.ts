import type { Kysely } from "kysely";
import { type Seller, sellerSettingSchema } from "../../contract/billingDetails.ts";
import type { Database } from "../database/schema.ts";
import { parseStrictJson } from "../http/body.ts";
import { describeIssue } from "../http/register.ts";
import { readSetting, writeSetting } from "../seeding/store.ts";
import type { SettingsReader } from "./given.ts";

/** The seller's name on the payment page, and what receipts say of the seller; `null` for what is not set. */
interface SellerSetting {
  readonly name: string | null;
  readonly details: Seller | null;
}

const EXAMPLE =
  '{"name":"Example Ltd","address":["1 Example Street","London"],"country":"GB","vatNumber":"GB999999973"}';

/** Reads the seller: a name alone, or JSON, which receipts print as well. */
export async function sellerSetting(reader: SettingsReader): Promise<SellerSetting> {
  const text = await reader.variable("SELLER", "seller");
  if (!text?.startsWith("{")) return { name: text || null, details: null };
  const result = sellerSettingSchema.safeParse(parsed(text));
  if (result.success) return { name: result.data.name, details: result.data };
  for (const { path, message } of result.error.issues.flatMap(describeIssue)) {
    reader.refuse(path === "" ? `--seller must be JSON such as ${EXAMPLE}` : `--seller: ${path} ${message}`);
  }
  return { name: null, details: null };
}

/** Returns what JSON says, or `null`, which no setting is, for anything else. */
function parsed(text: string): unknown {
  try {
    return parseStrictJson(text);
  } catch {
    return null;
  }
}

const SELLER = "seller";

/** Records the seller of the service in its database, for the receipts of operator commands. */
export async function noteSeller(database: Kysely<Database>, seller: Seller | null): Promise<void> {
  const text = JSON.stringify(seller);
  if ((await readSetting(database, SELLER)) !== text) await writeSetting(database, SELLER, text);
}

/** Reads the seller that the service last started with. */
export async function readNotedSeller(database: Kysely<Database>): Promise<Seller | null> {
  return JSON.parse((await readSetting(database, SELLER)) ?? "null") as Seller | null;
}
