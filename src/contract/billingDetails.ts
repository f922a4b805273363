import * as z from "zod";
import { isEmailAddress } from "./email.ts";
import { isCountry, parseVatNumber } from "./vat.ts";

/** A line of a name or an address, without the spaces around it. */
const lineSchema = z
  .string()
  .trim()
  .min(1)
  .max(200)
  .regex(/^[^\p{Cc}\p{Zl}\p{Zp}]*$/u, "contains a control character");

const addressSchema = z.array(lineSchema).max(8);

const countrySchema = z.string().refine(isCountry, "is not a country of ISO 3166 such as GB");

/** Who sells: what a service prints on receipts. */
const sellerSchema = z.strictObject({
  name: lineSchema,
  address: addressSchema.min(1),
  country: countrySchema,
  vatNumber: z.string().nullable().default(null),
});

/** A seller as a setting: the same, with the VAT number in its usual form. */
export const sellerSettingSchema = sellerSchema.transform(({ vatNumber, ...seller }, context) => {
  const number = vatNumber === null ? null : parseVatNumber(vatNumber, seller.country);
  if (vatNumber !== null && number === null) {
    context.addIssue({ code: "custom", path: ["vatNumber"], message: notVatNumber(seller.country) });
  }
  return { ...seller, vatNumber: number };
});

/** Says what is wrong with a VAT number. */
export function notVatNumber(country: string | null): string {
  return country === null ? "is not a VAT number such as GB999999973" : `is not a VAT number of ${country}`;
}

/** The seller on a receipt. */
const namedSellerSchema = z.object({
  name: z.string(),
  address: z.array(z.string()),
  country: z.string(),
  vatNumber: z.string().nullable(),
});

/** A seller, parsed. */
export type Seller = z.infer<typeof namedSellerSchema>;

/** An organization's billing details, which receipts name as the buyer; the name is the organization's unless it is set. */
export const billingDetailsSchema = z.object({
  name: z.string(),
  address: z.array(z.string()),
  country: z.string().nullable(),
  vatNumber: z.string().nullable(),
  email: z.string().nullable(),
});

/** Billing details, parsed. */
export type BillingDetails = z.infer<typeof billingDetailsSchema>;

/** The seller and the buyer as they were when a receipt was issued; `null` on older ones, and by older backends left out. */
export const partiesShape = {
  seller: namedSellerSchema.nullable().default(null),
  buyer: billingDetailsSchema.nullable().default(null),
};

/** The body of `PUT …/billing-details`: only the fields passed are changed, and `null` clears one. */
export const billingDetailsRequestSchema = z.strictObject({
  name: lineSchema.nullable().optional(),
  address: addressSchema.optional(),
  country: countrySchema.nullable().optional(),
  vatNumber: z.string().min(1).max(40).nullable().optional(),
  email: z.string().refine(isEmailAddress, "is not an email address").nullable().optional(),
});

/** A change of billing details to send. */
export type BillingDetailsRequest = z.infer<typeof billingDetailsRequestSchema>;
