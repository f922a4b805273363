/** How many characters a password has besides the words that others can guess. */
const MIN_OWN_CHARACTERS = 8;

/** How many different characters a password has. */
const MIN_DISTINCT = 5;

/** Names of people and organizations that are shorter are parts of other words. */
const MIN_WORD = 4;

/** What many passwords are made of, and what this service is about. */
const COMMON_WORDS = [
  "password",
  "passphrase",
  "secureflag",
  "administrator",
  "billing",
  "licenses",
  "letmein",
  "welcome",
  "changeme",
  "qwertyuiop",
  "asdfghjkl",
  "zxcvbnm",
  "qwerty",
  "admin",
];

/**
 * Whether a password can be guessed by someone who knows what it is for: little is left of it without common words,
 * sequences and words of its context, or it repeats few characters (NIST SP 800-63B, section 3.1.1.2).
 *
 * @param context what others know, such as an email and the names of organizations
 */
export function isGuessable(password: string, context: readonly string[]): boolean {
  const plain = plainOf(password);
  if (new Set(plain).size < MIN_DISTINCT) return true;
  const words = [...context.flatMap(wordsOf), ...COMMON_WORDS].filter((word) => word.length >= MIN_WORD);
  const longestFirst = words.toSorted((one, other) => other.length - one.length);
  const own = longestFirst.reduce((left, word) => left.replaceAll(word, ""), plain);
  return own.length - lengthOfSequences(own) < MIN_OWN_CHARACTERS;
}

/** The text and its words, without case, marks and anything between words. */
function wordsOf(text: string): string[] {
  return [text, ...text.split(/[^\p{L}\p{N}]+/u)].map(plainOf);
}

function plainOf(text: string): string {
  const letters = text.normalize("NFKD").replace(/[^\p{L}\p{N}]/gu, "");
  return letters.toLowerCase();
}

/** How many characters only continue a sequence: each is the one before, or its neighbor in the same direction. */
function lengthOfSequences(text: string): number {
  const codes = [...text].map((character) => character.codePointAt(0) ?? 0);
  const steps = codes.slice(1).map((code, index) => stepBetween(codes[index] ?? 0, code));
  return steps.filter((step, index) => Math.abs(step) <= 1 && step === steps[index - 1]).length;
}

const [ZERO, NINE] = [0x30, 0x39];

function stepBetween(from: number, to: number): number {
  return from === NINE && to === ZERO ? 1 : to - from;
}
