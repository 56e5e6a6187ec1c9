import { isQdbError, QdbError } from "@qdb/format";
import { describeWhere, ERROR_CODES } from "@qdb/format/container";
import { expect, test } from "vitest";

test("an error carries its code, its place and its cause", () => {
  const cause = new Error("deep");
  const where = { structure: "header", field: "version", offset: 4, bitmap: "daily" };
  const error = new QdbError("BAD_FIELD", "wrong", where, { cause });
  expect(error).toBeInstanceOf(Error);
  expect([error.name, error.code, error.message, error.cause]).toEqual(["QdbError", "BAD_FIELD", "wrong", cause]);
  expect(error.where).toEqual(where);
  expect(String(error)).toBe("QdbError: wrong");
  expect(Object.keys(QdbError.from({ code: "IO", message: "m", where: {} })).sort()).toEqual(["code", "name", "where"]);
});

test("isQdbError tells it from every other value, and one code from another", () => {
  const error = new QdbError("IO", "x");
  expect(isQdbError(error)).toBe(true);
  expect(isQdbError(error, "IO")).toBe(true);
  expect(isQdbError(error, "LIMIT", "IO")).toBe(true);
  expect(isQdbError(error, "LIMIT")).toBe(false);
  for (const other of [new Error("x"), { code: "IO", name: "QdbError" }, null, undefined, "IO", 5, {}]) {
    expect(isQdbError(other)).toBe(false);
  }
});

test("an error of another copy of the package is one too", () => {
  const foreign = Object.assign(new Error("y"), { code: "LIMIT", where: {} });
  Object.defineProperty(foreign, Symbol.for("@qdb/format/QdbError"), { value: true });
  expect(isQdbError(foreign, "LIMIT")).toBe(true);
});

test("codes are unique", () => {
  expect(new Set(ERROR_CODES).size).toBe(ERROR_CODES.length);
});

test("where in words, the name harmless", () => {
  expect(describeWhere({})).toBe("");
  expect(describeWhere({ bitmap: "a\nb", structure: "L1 entry", field: "descriptor", offset: 8192 })).toBe(
    String.raw`bitmap "a\x0ab", L1 entry, descriptor, offset 8192`,
  );
  expect(describeWhere({ offset: 2n ** 60n })).toBe("offset 1152921504606846976");
  expect(describeWhere({ offset: 0 })).toBe("offset 0");
});
