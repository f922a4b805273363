import { expect, test } from "vitest";
import { isGuessable } from "../../../src/backend/identity/guessing.ts";

const CONTEXT = ["ada.lovelace@northwind.example", "Northwind Traders Ltd"];

test.each([
  "ada.lovelace@northwind.example",
  "ADA-LOVELACE-2026",
  "northwindtraders",
  "Northwind Traders Ltd 1!",
  "Ñorthwind Träders 99",
  "password-password-1",
  "secureflag billing admin",
  "aaaaaaaaaaaaaaaa",
  "abababababababab",
  "1234567890123456",
  "abcdefghijklmnopq",
  "qwertyuiopasdfghjkl",
])("a password like %s can be guessed", (password) => {
  expect(isGuessable(password, CONTEXT)).toBe(true);
});

test.each([
  "a password of some length",
  "correct horse battery staple",
  "Ada and 7 dancing kettles",
  "kV9#tq2LmZ!x0Rw",
  "пароль из нескольких слов",
  "長い合言葉を選んで安全に使う",
])("a password like %s cannot", (password) => {
  expect(isGuessable(password, CONTEXT)).toBe(false);
});
