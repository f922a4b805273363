import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { toCsv } from "../../../src/cli/kit/csv.ts";
import { ADDED, parseUsersCsv, type UsersCsv } from "../../../src/cli/users/csvUsers.ts";
import { type AddUserRequest, addUserRequestSchema, importUsersRequestSchema } from "../../../src/contract/users.ts";

const HEADER = "email,firstName,lastName";

const ada = { email: "ada@x.test", firstName: "Ada", lastName: "Lovelace" };

const bob = { email: "bob@x.test", firstName: "Bob", lastName: "Ross" };

function read(file: string | Uint8Array): UsersCsv {
  return parseUsersCsv(typeof file === "string" ? Buffer.from(file) : file, ADDED);
}

/** The problems as `line: message`. */
function problemsOf(file: string | Uint8Array): string[] {
  return read(file).problems.map(({ line, message }) => `${line}: ${message}`);
}

test.each(["assignmentStrategy", "Assignment strategy"])(
  "the column %j is rejected with the command to use instead",
  (column) => {
    expect(problemsOf(`${HEADER},${column}\nada@x.test,Ada,Lovelace,none`)).toEqual([
      expect.stringMatching(/^1: .*remove the column and use `secureflag-licenses organizations assignment-strategy`$/),
    ]);
  },
);

test("reports one user in several spellings, with the earlier line", () => {
  const rows = ["zo\u00e9@b\u00fccher.test,A,A", "zoe\u0301@b\u00fccher.test,B,B", "ZO\u00c9@xn--bcher-kva.test,C,C"];
  expect(problemsOf([HEADER, ...rows].join("\n"))).toEqual([
    `3: email "zoe\u0301@b\u00fccher.test" is on line 2 too`,
    `4: email "ZO\u00c9@xn--bcher-kva.test" is on line 2 too`,
  ]);
});

/** How many lines an editor shows. */
function lineCount(text: string): number {
  return text.split(/\r\n|\r|\n/).length;
}

describe("valid files", () => {
  test.each<[string, string | Uint8Array, AddUserRequest[], number[]]>([
    ["one user", `${HEADER}\nada@x.test,Ada,Lovelace\n`, [ada], [2]],
    ["no newline at the end", `${HEADER}\nada@x.test,Ada,Lovelace`, [ada], [2]],
    ["CRLF line endings", `${HEADER}\r\nada@x.test,Ada,Lovelace\r\nbob@x.test,Bob,Ross\r\n`, [ada, bob], [2, 3]],
    ["CR line endings", `${HEADER}\rada@x.test,Ada,Lovelace\rbob@x.test,Bob,Ross\r`, [ada, bob], [2, 3]],
    ["mixed line endings", `${HEADER}\r\nada@x.test,Ada,Lovelace\rbob@x.test,Bob,Ross\n`, [ada, bob], [2, 3]],
    ["a byte order mark", `\ufeff${HEADER}\nada@x.test,Ada,Lovelace`, [ada], [2]],
    ["a byte order mark before a quote", `\ufeff"email",firstName,lastName\nada@x.test,Ada,Lovelace`, [ada], [2]],
    ["any order, case and spaces", "LASTNAME , Email,firstname\nLovelace, ada@x.test ,Ada", [ada], [2]],
    ["semicolons", '"email";firstName;lastName\nada@x.test;Ada;"Lovelace"', [ada], [2]],
    ["tabs", "email\tfirstName\tlastName\n\t\t\nada@x.test\tAda\tLovelace", [ada], [3]],
    ["quotes", `${HEADER}\n"ada@x.test","Ada" , "Lovelace"`, [ada], [2]],
    [
      "quotes, commas and spaces in quotes",
      `${HEADER}\nada@x.test,"Ada ""A"", the 1st"," Lovelace "`,
      [{ ...ada, firstName: 'Ada "A", the 1st' }],
      [2],
    ],
    ["blank lines", `\n \n${HEADER}\n\n\t\nada@x.test,Ada,Lovelace\n\n\nbob@x.test,Bob,Ross\n\n`, [ada, bob], [6, 9]],
    ["Excel's separator line", `sep=;\r\n${HEADER.replaceAll(",", ";")}\r\nada@x.test;Ada;Lovelace`, [ada], [3]],
    ["the same after a byte order mark, quoted", `\ufeff"SEP=,"\n\n${HEADER}\nada@x.test,Ada,Lovelace`, [ada], [4]],
    ["a custom separator", `sep=|\r${HEADER.replaceAll(",", "|")}\rada@x.test|Ada|Lovelace`, [ada], [3]],
    ["a tab as the separator", `sep=\t\n${HEADER.replaceAll(",", "\t")}\nada@x.test\tAda\tLovelace`, [ada], [3]],
    [
      "unnamed trailing columns, empty or omitted",
      `${HEADER},,\nada@x.test,Ada,Lovelace,,\n,,,,\nbob@x.test,Bob,Ross`,
      [ada, bob],
      [2, 4],
    ],
    [
      "omitted trailing optional columns",
      `${HEADER},role,adminNoTraining\nada@x.test,Ada,Lovelace\nbob@x.test,Bob,Ross,user`,
      [ada, { ...bob, role: 7 }],
      [2, 3],
    ],
    [
      "empty cells beyond the header",
      `${HEADER}\nada@x.test,Ada,Lovelace,,,\nbob@x.test,Bob,Ross, ,""`,
      [ada, bob],
      [2, 3],
    ],
    ["empty rows", `${HEADER}\n,,\nada@x.test,Ada,Lovelace\n"", ,\n`, [ada], [3]],
    [
      "letters of many scripts",
      `${HEADER}\nç@é.test,Zoë,王小明`,
      [{ email: "ç@é.test", firstName: "Zoë", lastName: "王小明" }],
      [2],
    ],
    [
      "a name like a built-in property",
      `${HEADER}\nada@x.test,__proto__,constructor`,
      [{ ...ada, firstName: "__proto__", lastName: "constructor" }],
      [2],
    ],
    [
      "the optional columns",
      `role,adminNoTraining,${HEADER}\nManager,YES,ada@x.test,Ada,Lovelace\n,,bob@x.test,Bob,Ross`,
      [{ ...ada, role: 3, adminNoTraining: true }, bob],
      [2, 3],
    ],
  ])("%s", (_, file, users, lines) => {
    expect(read(file)).toEqual({ users, lines, problems: [], isEmpty: false });
  });

  test.each([
    ["true", true],
    ["TRUE", true],
    ["yes", true],
    ["1", true],
    ["false", false],
    ["No", false],
    ["0", false],
  ])("adminNoTraining %s", (text, adminNoTraining) => {
    const file = `${HEADER},role,adminNoTraining\nada@x.test,Ada,Lovelace,administrator,${text}`;
    expect(read(file).users).toEqual([{ ...ada, role: 0, adminNoTraining }]);
  });

  test("10,000 users, in a view of a larger buffer", () => {
    const rows = Array.from({ length: 10_000 }, (_, index) => `user${index}@x.test,First,Last`);
    const all = Buffer.from(`junk\n${HEADER}\n${rows.join("\n")}`);
    const { users, lines, problems } = read(all.subarray(5));
    expect([users.length, lines.at(-1), problems]).toEqual([10_000, 10_001, []]);
  });
});

const COLUMNS_ARE = "email, firstName, lastName, and optionally role, adminNoTraining";

const STRAY_QUOTE = 'Unexpected quote: put the whole value in quotes, and double each quote inside it ("")';

const NOT_CLOSED = "A quoted value starts here and never ends; the rest of the file was not read";

const EDITOR = "save it as CSV UTF-8";

describe("invalid files", () => {
  test.each<[string, string | Uint8Array, string[]]>([
    ["an empty file", "", ["1: The file is empty"]],
    ["only a byte order mark", "\ufeff", ["1: The file is empty"]],
    ["blank lines", "\r\n \r\n", ["1: The file is empty"]],
    ["separators", ",,,\n,,", ["1: The file is empty"]],
    ["only a header", `${HEADER}\n\n`, ["1: No users below the header"]],
    ["no header", "ada@x.test,Ada,Lovelace", [`1: The first row must name the columns: ${COLUMNS_ARE}`]],
    ["arbitrary text", "<html>", [`1: The first row must name the columns: ${COLUMNS_ARE}`]],
    ["UTF-16", Buffer.from(`\ufeff${HEADER}`, "utf16le"), [`1: The file is UTF-16 text; ${EDITOR}`]],
    ["UTF-16 without a byte order mark", Buffer.from(HEADER, "utf16le"), [`1: The file is UTF-16 text; ${EDITOR}`]],
    [
      "UTF-16, big-endian",
      Buffer.from(`\ufeff${HEADER}`, "utf16le").swap16(),
      [`1: The file is UTF-16 text; ${EDITOR}`],
    ],
    ["a spreadsheet", Buffer.from("PK\u0003\u0004\u0014"), [`1: This is a spreadsheet; ${EDITOR}`]],
    ["3 MB plus one byte", Buffer.alloc(3_000_001, "a"), ["1: The file is larger than 3 MB"]],
    [
      "Latin-1",
      Buffer.from(`${HEADER}\nada@x.test,Zo\u00eb,L\r\nbob@x.test,Bob,\nc@x.test,C,\u00e9`, "latin1"),
      [
        "2: Not UTF-8 text; save the file as CSV UTF-8",
        "3: lastName is empty",
        "4: Not UTF-8 text; save the file as CSV UTF-8",
      ],
    ],
    [
      "a truncated character at the end",
      Buffer.from(`${HEADER}\nada@x.test,Ada,Zoë`).subarray(0, -1),
      ["2: Not UTF-8 text; save the file as CSV UTF-8"],
    ],
    [
      "missing, unknown and duplicate columns",
      "\nEmail,first_name,EMAIL,x\u001b[31m,,x\u001b[31m\na,b,c,d,e,f",
      [
        '2: Unknown column "first_name"; did you mean firstName?',
        `2: Unknown column "x[31m"; the columns are ${COLUMNS_ARE}`,
        "2: A column has no name",
        "2: Duplicate column email",
        "2: Missing column firstName",
        "2: Missing column lastName",
      ],
    ],
    [
      "values in unnamed trailing columns, and beyond them",
      `sep=,\n${HEADER},,\n"ada\n@x.test",Ada,Lovelace,,x\nbob@x.test,Bob,Ross,,,x\nc@x.test,C`,
      [
        "3: Column 5 has a value, but no name in the header",
        "5: 6 values, but the header has 5 columns",
        "6: 2 values, but the header has 5 columns",
      ],
    ],
    ["an unnamed column in the middle", `email,,firstName,lastName\n1,,2,3`, ["1: A column has no name"]],
    ["only the separator line", "sep=;", ["1: The file is empty"]],
    [
      "__proto__ as a column",
      `${HEADER},__proto__\n1,2,3,4`,
      [`1: Unknown column "__proto__"; the columns are ${COLUMNS_ARE}`],
    ],
    [
      "ragged rows",
      `${HEADER}\nada@x.test,Ada\n\n"bob\n@x.test",Bob,Ross,x\nada@x.test`,
      [
        "2: 2 values, but the header has 3 columns",
        "4: 4 values, but the header has 3 columns",
        "6: 1 value, but the header has 3 columns",
      ],
    ],
    [
      "an omitted required column after an optional one",
      `role,${HEADER}\nuser,ada@x.test,Ada`,
      ["2: 3 values, but the header has 4 columns"],
    ],
    [
      "a different separator below the header",
      `${HEADER}\nada@x.test;Ada;L`,
      ["2: 1 value, but the header has 3 columns"],
    ],
    ["an unclosed quote", `${HEADER}\r\n\r\nada@x.test,"Ada,L\r\nbob@x.test,B`, [`3: ${NOT_CLOSED}`]],
    ["an unclosed quote in the header", `"${HEADER}\nada@x.test,A,L`, [`1: ${NOT_CLOSED}`]],
    [
      "quotes in the middle, and every problem after them",
      `${HEADER}\nada@x.test,Ada "A",L\nbob@x.test,"B"ob,R\n,C,C\nd@x.test,5",D\ne@x.test,E,`,
      [`2: ${STRAY_QUOTE}`, `3: ${STRAY_QUOTE}`, "4: email is empty", `5: ${STRAY_QUOTE}`, "6: lastName is empty"],
    ],
    [
      "line numbers after quoted line breaks",
      `${HEADER}\r\na@x.test,"A\r\nA",A\r\nb@x.test,"B\nB",B\rc@x.test,"C\rC",C\nd@x.test,D,`,
      [
        "2: firstName contains a line break or a control character",
        "4: firstName contains a line break or a control character",
        "6: firstName contains a line break or a control character",
        "8: lastName is empty",
      ],
    ],
    [
      "control characters",
      `${HEADER}\nada\0@x.test,Ada,L\nbob@x.test,B\u001b[2J,R\u202e\nc\u200b@x.test,C,C\n\0,\0,\0`,
      [
        '2: email "ada@x.test" contains an invisible character',
        "3: firstName contains a line break or a control character",
        "3: lastName contains a line break or a control character",
        '4: email "c\u200b@x.test" contains an invisible character',
        '5: email "" contains an invisible character',
        "5: firstName is empty",
        "5: lastName is empty",
      ],
    ],
    [
      "invalid emails",
      `${HEADER}\nada,A,A\na b@x.test,A,A\na@b@x.test,A,A\n${"a".repeat(321)}@x.test,A,A\n,A,A\n"a,b@x.test",A,A`,
      [
        '2: email "ada" is not an email address',
        '3: email "a b@x.test" is not an email address',
        '4: email "a@b@x.test" is not an email address',
        `5: email "${"a".repeat(39)}…" has more than 320 characters`,
        "6: email is empty",
        '7: email "a,b@x.test" is not an email address',
      ],
    ],
    [
      "a duplicate email in different spellings",
      `${HEADER}\nada@x.test,A,A\nbob@x.test,B,B\nADA@X.TEST,A,A\n,C,C\n,C,C\nada@x.test,A,A`,
      [
        '4: email "ADA@X.TEST" is on line 2 too',
        "5: email is empty",
        "6: email is empty",
        '7: email "ada@x.test" is on line 2 too',
      ],
    ],
    [
      "empty and oversized names",
      `${HEADER}\na@x.test,,\nb@x.test,${"x".repeat(101)}, \u00a0`,
      [
        "2: firstName is empty",
        "2: lastName is empty",
        "3: firstName has more than 100 characters",
        "3: lastName is empty",
      ],
    ],
    [
      "invalid values",
      `${HEADER},role,adminNoTraining\na@x.test,A,A,boss,maybe\nb@x.test,B,B,-1,\nc@x.test,C,C,2,\nd@x.test,D,D,reviewer,`,
      [
        '2: role "boss" is not one of administrator, manager, statistics, creator, threatcanvas-reviewer, user',
        '2: adminNoTraining "maybe" is not true or false',
        '3: role "-1" is not one of administrator, manager, statistics, creator, threatcanvas-reviewer, user',
        '4: role "2" is not one of administrator, manager, statistics, creator, threatcanvas-reviewer, user',
        '5: role "reviewer" is not one of administrator, manager, statistics, creator, threatcanvas-reviewer, user',
      ],
    ],
    [
      "users without training",
      `${HEADER},role,adminNoTraining\na@x.test,A,A,,true\nb@x.test,B,B,7,yes\nc@x.test,C,C,user,1\nd@x.test,D,D,4,1`,
      [2, 3, 4].map((line) => `${line}: adminNoTraining is for administrative roles; the role user always trains`),
    ],
    [
      "more than 10,000 users",
      `${HEADER}\n${",,\n".repeat(1000)}${Array.from({ length: 10_002 }, (_, index) => `user${index}@x.test,First,Last\n`).join("\n")}`,
      ["21002: An import has at most 10,000 users; nothing from here on was read"],
    ],
  ])("%s", (_, file, problems) => {
    expect(problemsOf(file)).toEqual(problems);
  });
});

describe("unusual files", () => {
  test.each([
    ["quotes", '"'],
    ["separators", ","],
    ["carriage returns", "\r"],
    ["NULs", "\0"],
    ["spaces", " "],
    ["short rows", "a\n"],
    ["blank rows", " \n"],
    ["rows of tabs", "\t\t\n"],
    ["empty values", '"",'],
    ["stray quotes", '"a"b\n'],
    ["three quotes per line", '"""\n'],
    ["unclosed quotes", '"a\n'],
    ["quotes everywhere", 'a,"b""c\n'],
    ["unknown columns", "a,"],
    ["binary data", "\xff\n"],
  ])("reads 100 KB of %s below a header within ten seconds", (_, piece) => {
    const header = piece.includes("\t") ? HEADER.replaceAll(",", "\t") : HEADER;
    const rows = Buffer.from(piece.repeat(100_000 / piece.length), "latin1");
    const began = performance.now();
    expect(read(Buffer.concat([Buffer.from(`${header}\n`), rows])).problems.length).toBeGreaterThan(0);
    // Half a second is much; work that grows with the square of the file takes more than twenty.
    expect(performance.now() - began).toBeLessThan(10_000);
  });

  const token = fc.constantFrom(
    ...[HEADER, "email", "__proto__", "ada@x.test", "A", "7", "true", ",", ";", "\t", " ", '"', '""'],
    ...["\n", "\r", "\r\n", "\0", "\u001b", "\u202e", "\ufeff", "é", "=", "'"],
  );
  const textual = fc.array(token, { maxLength: 60 }).map((parts) => parts.join(""));
  const below = textual.map((text) => `${HEADER},role\n${text}`);

  test("never throws, gives every problem a line number, and returns valid users, for any bytes", () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.tuple(below, fc.uint8Array({ maxLength: 20 })).map(([text, rest]) => Buffer.concat([Buffer.from(text), rest])),
      fc.oneof(textual, below).map((text) => Buffer.from(text)),
    );
    fc.assert(
      fc.property(bytes, (file) => {
        const { users, lines, problems } = read(file);
        const last = lineCount(Buffer.from(file).toString("latin1"));
        for (const line of [...lines, ...problems.map((problem) => problem.line)]) {
          expect(line).toBeGreaterThanOrEqual(1);
          expect(line).toBeLessThanOrEqual(last);
        }
        expect(lines).toHaveLength(users.length);
        const sorted = problems.map(({ line }) => line);
        expect(sorted).toEqual(sorted.toSorted((one, other) => one - other));
        if (problems.length === 0) expect(importUsersRequestSchema.parse({ users })).toEqual({ users });
        for (const { message } of problems) expect(message).not.toMatch(/[\p{Control}\p{Bidi_Control}]/u);
      }),
      { numRuns: 2_000 },
    );
  });

  test("reads every kind of line ending alike", () => {
    // A NUL at the beginning looks like UTF-16.
    const utf8 = fc.oneof(textual, below).filter((text) => !text.slice(0, 3).includes("\0"));
    const lineFeeds = utf8.map((text) => text.replaceAll(/\r\n?/g, "\n"));
    fc.assert(
      fc.property(lineFeeds, fc.constantFrom("\r", "\r\n"), (text, end) => {
        const shape = (file: string) => {
          const { lines, problems } = read(file);
          return { lines, problems };
        };
        expect(shape(text.replaceAll("\n", end))).toEqual(shape(text));
      }),
    );
  });

  test("counts lines as an editor does", () => {
    const between = fc.constantFrom("\n", "\r\n", "\r", "\n\n", "\r\n \r\n", "\r\r", "\n,,\n");
    const row = fc.constantFrom(
      { text: ",First,Last", problem: "email is empty" },
      { text: '"x","Two\nlines","x\r\n\r\n"', problem: 'email "x" is not an email address' },
      { text: "a@x.test,First", problem: "2 values, but the header has 3 columns" },
      { text: 'a"b,c,d', problem: STRAY_QUOTE },
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(between, row)), fc.boolean(), (rows, marked) => {
        let text = `${marked ? "\ufeff" : ""}${HEADER}`;
        const expected: string[] = [];
        for (const [gap, { text: written, problem }] of rows) {
          text += gap;
          expected.push(`${lineCount(text)}: ${problem}`);
          text += written;
        }
        const found = problemsOf(`${text}\nb@x.test,B,B`).filter((problem) => !/Name| too$/.test(problem));
        expect(found).toEqual(expected);
      }),
    );
  });

  test("reads back what the CSV writer writes", () => {
    const name = fc
      .string({ unit: fc.constantFrom(..."aé王\"',;\t =-😀".split("")), minLength: 1, maxLength: 20 })
      .map((text) => `x${text}x`.replaceAll("\t", " "));
    const local = fc.string({ unit: fc.constantFrom(..."abc1é'".split("")), minLength: 1, maxLength: 8 });
    const user = fc.record({
      email: local.map((text) => `${text}@x.test`),
      firstName: name,
      lastName: name,
      role: fc.constantFrom(0, 3, 4, 5, 6),
      adminNoTraining: fc.boolean(),
    });
    const list = fc.uniqueArray(user, { selector: ({ email }) => email.toLowerCase(), minLength: 1 });
    fc.assert(
      fc.property(list, (users) => {
        const wellFormed = users.filter((one) => addUserRequestSchema.safeParse(one).success);
        fc.pre(wellFormed.length === users.length);
        const heads = Object.keys(users[0] ?? {});
        const file = toCsv(
          heads,
          users.map((one) => Object.values(one)),
        );
        expect(read(file)).toEqual({ users, lines: users.map((_, index) => index + 2), problems: [], isEmpty: false });
      }),
    );
  });
});
