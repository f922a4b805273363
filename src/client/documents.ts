import type { CreditNote, Receipt } from "../contract/billing.ts";
import type { BillingDetails, BillingDetailsRequest } from "../contract/billingDetails.ts";
import type { ReportKey } from "../contract/constants.ts";
import type { Report } from "../contract/report.ts";
import { another, isNamed, ofOrganization } from "./asked.ts";
import type { Caller, Reply } from "./call.ts";
import type { PdfFile } from "./pdf.ts";

/** The calls about receipts, what they say of the buyer, and reports. Every method throws `ClientError`. */
export interface DocumentCalls {
  receipt(organizationId: number, purchaseId: string): Promise<Receipt>;
  /** The receipt as a PDF file of at most 1 MB. */
  receiptPdf(organizationId: number, purchaseId: string): Promise<PdfFile>;
  /** The credit note of a refunded purchase. */
  creditNote(organizationId: number, purchaseId: string): Promise<CreditNote>;
  /** The credit note as a PDF file, as `receiptPdf`. */
  creditNotePdf(organizationId: number, purchaseId: string): Promise<PdfFile>;
  /** How receipts name the organization. */
  billingDetails(organizationId: number): Promise<BillingDetails>;
  /** Changes only the fields passed. `outcome_unknown` where an answer was lost and no refusal came after it. */
  setBillingDetails(organizationId: number, request: BillingDetailsRequest): Promise<BillingDetails>;
  /** Without `from` and `to`: the last 12 months. */
  report(organizationId: number, query: { from?: string; to?: string; by?: ReportKey }): Promise<Report>;
}

const DETAILS_HINT = "See `secureflag-licenses organizations billing`. Running the same command again is safe.";

/** The calls of `DocumentCalls` at one backend. */
export function documentCalls(caller: Caller): DocumentCalls {
  const repeat = "transient";
  const of = (organizationId: number, purchaseId: string) =>
    ({ params: { organizationId, purchaseId }, repeat }) as const;
  return {
    receipt: async (organizationId, purchaseId) =>
      ofPurchase(purchaseId, await caller.call("getReceipt", of(organizationId, purchaseId))),
    receiptPdf: (organizationId, purchaseId) => caller.download("getReceipt", of(organizationId, purchaseId)),
    creditNote: async (organizationId, purchaseId) =>
      ofPurchase(purchaseId, await caller.call("getCreditNote", of(organizationId, purchaseId))),
    creditNotePdf: (organizationId, purchaseId) => caller.download("getCreditNote", of(organizationId, purchaseId)),
    billingDetails: async (organizationId) =>
      (await caller.call("getBillingDetails", { params: { organizationId }, repeat })).value,
    setBillingDetails: async (organizationId, body) =>
      (await caller.change("setBillingDetails", { params: { organizationId }, body, repeat }, DETAILS_HINT)).value,
    report: async (organizationId, query) =>
      ofOrganization(organizationId, await caller.call("getReport", { params: { organizationId }, query, repeat })),
  };
}

function ofPurchase<Document extends { readonly purchaseId: string; readonly receiptNumber: string }>(
  purchaseId: string,
  { value }: Reply<Document>,
): Document {
  if (isNamed(purchaseId, value.purchaseId, value.receiptNumber)) return value;
  throw another(purchaseId, value.purchaseId);
}
