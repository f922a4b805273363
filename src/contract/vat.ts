/** The countries of ISO 3166-1, alpha-2. */
const COUNTRIES: ReadonlySet<string> = new Set(
  (
    "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA " +
    "CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA " +
    "GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP " +
    "KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS " +
    "MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS " +
    "RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW " +
    "TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW"
  ).split(" "),
);

/** Whether a text is the code of a country, `GB`. */
export function isCountry(text: string): boolean {
  return COUNTRIES.has(text);
}

/** The English name of a country; the code itself if it has none. */
export function countryName(code: string): string {
  return (isCountry(code) && new Intl.DisplayNames("en", { type: "region" }).of(code)) || code;
}

const BRITISH = /^(\d{9}|\d{12}|GD\d{3}|HA\d{3})$/;

/**
 * What follows the prefix of a VAT number. The European Union and Northern Ireland: https://ec.europa.eu/taxation_customs/vies,
 * question 11 of its FAQ. The United Kingdom, Switzerland and Norway: their tax offices.
 */
const FORMS: Readonly<Record<string, RegExp>> = {
  AT: /^U\d{8}$/,
  BE: /^[01]\d{9}$/,
  BG: /^\d{9,10}$/,
  CH: /^E\d{9}(MWST|TVA|IVA)?$/,
  CY: /^\d{8}[A-Z]$/,
  CZ: /^\d{8,10}$/,
  DE: /^\d{9}$/,
  DK: /^\d{8}$/,
  EE: /^\d{9}$/,
  EL: /^\d{9}$/,
  ES: /^([A-Z]\d{7}[A-Z\d]|\d{8}[A-Z])$/,
  FI: /^\d{8}$/,
  FR: /^[A-HJ-NP-Z\d]{2}\d{9}$/,
  GB: BRITISH,
  HR: /^\d{11}$/,
  HU: /^\d{8}$/,
  IE: /^(\d{7}[A-W][A-I]?|\d[A-Z+*]\d{5}[A-W])$/,
  IT: /^\d{11}$/,
  LT: /^(\d{9}|\d{12})$/,
  LU: /^\d{8}$/,
  LV: /^\d{11}$/,
  MT: /^\d{8}$/,
  NL: /^\d{9}B\d{2}$/,
  NO: /^\d{9}(MVA)?$/,
  PL: /^\d{10}$/,
  PT: /^\d{9}$/,
  RO: /^[1-9]\d{1,9}$/,
  SE: /^\d{12}$/,
  SI: /^\d{8}$/,
  SK: /^\d{10}$/,
  XI: BRITISH,
};

/** Elsewhere: letters and digits, with a digit at least. */
const GENERAL = /^(?=.*\d)[A-Z\d]{4,20}$/;

/**
 * Checks the form of a VAT number, not its checksum, and returns it in capitals, without spaces, dots and hyphens, and with
 * the prefix of its country: `gb 999 9999 73` → `GB999999973`.
 *
 * @param country where the business is; its prefix may be left out, and a number of another country is allowed
 * @returns `null` for what is not a VAT number
 */
export function parseVatNumber(text: string, country: string | null): string | null {
  const number = text.replaceAll(/[\s.\-/]/g, "").toUpperCase();
  const [prefix, rest] = [number.slice(0, 2), number.slice(2)];
  const form = formOf(prefix);
  if (form?.test(rest)) return number;
  const own = country === "GR" ? "EL" : country;
  const ownForm = own === null ? null : formOf(own);
  if (ownForm) return ownForm.test(number) ? `${own}${number}` : null;
  if (country === null && form) return null;
  return GENERAL.test(number) ? number : null;
}

function formOf(prefix: string): RegExp | null {
  return Object.hasOwn(FORMS, prefix) ? (FORMS[prefix] ?? null) : null;
}
