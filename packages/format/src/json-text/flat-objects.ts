import type { QdbError } from "../errors.ts";
import { quote } from "../quote.ts";
import { JsonScanner, type Parse } from "./scanner.ts";

/** A value in a flat JSON object. A whole number is a bigint, exact at any size; a number with a fraction or an exponent is a `number`. */
export type Scalar = string | boolean | null | bigint | number;

/** Refuses the input at the current position. @throws {QdbError} the error that the visitor makes of the message */
export type Fail = (message: string) => never;

/** A place in an array of objects. Line and column are counted from 1. */
export interface ObjectPlace {
  /** Index of the object; undefined before and after the array. */
  readonly index: number | undefined;
  /** Key whose value was being read; undefined between values. */
  readonly key: string | undefined;
  readonly line: number;
  readonly column: number;
}

/** Receives the objects of an array, one by one. */
export interface ObjectVisitor {
  /** Receives the values of an object by their keys. `fail` refuses the object. */
  object(values: ReadonlyMap<string, Scalar>, fail: Fail): void;
  /** A faster way for objects in the usual spelling: they are matched as a whole instead of token by token. */
  readonly usual?: {
    /** A sticky regular expression that matches an object together with the comma after it. */
    readonly pattern: RegExp;
    take(match: RegExpExecArray): void;
  };
  /** Makes the error for input that is refused. */
  error(message: string, place: ObjectPlace): QdbError;
}

const PUNCTUATION = /^[[\]{}:,]$/;
const NUMBER = /^-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$/;
const WORDS: ReadonlyMap<string, Scalar> = new Map<string, Scalar>([
  ["true", true],
  ["false", false],
  ["null", null],
]);

/**
 * Parses a JSON array of flat objects from text that arrives in parts. `JSON.parse` cannot be used for maps of large disks: it rounds
 * numbers above 2^53, and needs the whole text in memory. Any other input is refused with its place.
 */
export class FlatObjects {
  readonly #visitor: ObjectVisitor;
  readonly #scanner = new JsonScanner({
    maxToken: 64 * 1024,
    unendedString: "it ends inside a string",
    error: (message, _, line, column) =>
      this.#visitor.error(message, { index: this.#index, key: this.#key, line, column }),
  });
  readonly #fail: Fail = (message) => this.#scanner.fail("", message);
  /** Index of the current object; undefined until the array has begun. */
  #index: number | undefined;
  /** Key whose value is being read; undefined between values. */
  #key: string | undefined;

  constructor(visitor: ObjectVisitor) {
    this.#visitor = visitor;
  }

  /** Parses the array up to the end of the input. @throws {QdbError} the errors that the visitor makes; what the visitor throws */
  *parse(): Parse<void> {
    const first = yield* this.#scanner.token("");
    if (first === "") this.#fail("there is nothing in it");
    if (first !== "[") this.#fail(`an array of objects is expected, it begins with ${quote(first)}`);
    this.#scanner.take(first);
    this.#index = 0;
    if (!(yield* this.#isEmpty("]"))) yield* this.#items();
    const more = yield* this.#scanner.token("");
    if (more !== "") this.#fail(`more follows after the array: ${quote(more)}`);
  }

  *#items(): Parse<void> {
    const { usual } = this.#visitor;
    for (let index = 0; ; index++) {
      this.#index = index;
      if (usual !== undefined) {
        const match = this.#scanner.takeMatch(usual.pattern);
        if (match !== undefined) {
          usual.take(match);
          continue;
        }
      }
      this.#visitor.object(yield* this.#object(), this.#fail);
      const token = this.#scanner.tokenHere("") ?? (yield* this.#token());
      this.#index = index + 1;
      if (token !== "]") this.#require(token, ",");
      this.#scanner.take(token);
      if (token === "]") return;
    }
  }

  /** Parses an object. This is one long generator, because a nested one for each key would be 40 % slower. */
  *#object(): Parse<ReadonlyMap<string, Scalar>> {
    const scanner = this.#scanner;
    const values = new Map<string, Scalar>();
    this.#take(scanner.tokenHere("") ?? (yield* this.#token()), "{");
    if (yield* this.#isEmpty("}")) return values;
    for (;;) {
      const keyToken = scanner.tokenHere("") ?? (yield* this.#token());
      if (!keyToken.startsWith('"')) this.#fail(`a key in quotes is expected, ${quote(keyToken)} found`);
      const key = scanner.textOf(keyToken, "");
      this.#key = key;
      // JSON does not define which of two values of the same key counts.
      if (values.has(key)) this.#fail("the key stands there twice");
      scanner.take(keyToken);
      this.#take(scanner.tokenHere("") ?? (yield* this.#token()), ":");
      const valueToken = scanner.tokenHere("") ?? (yield* this.#token());
      values.set(key, this.#scalar(valueToken));
      scanner.take(valueToken);
      const next = scanner.tokenHere("") ?? (yield* this.#token());
      if (next !== "}") this.#require(next, ",");
      scanner.take(next);
      this.#key = undefined;
      if (next === "}") return values;
    }
  }

  /** Whether the array or object that has just begun is empty. If it is, its closing bracket is consumed. */
  *#isEmpty(end: string): Parse<boolean> {
    const token = this.#scanner.tokenHere("") ?? (yield* this.#token());
    if (token === end) this.#scanner.take(token);
    return token === end;
  }

  #require(token: string, expected: string): void {
    if (token !== expected) this.#fail(`${quote(expected)} is expected, ${quote(token)} found`);
  }

  #take(token: string, expected: string): void {
    this.#require(token, expected);
    this.#scanner.take(token);
  }

  /** Returns the next token, without consuming it. @throws {QdbError} the visitor's error at the end of the input */
  *#token(): Parse<string> {
    const token = yield* this.#scanner.token("");
    if (token === "") this.#fail("it ends too early");
    return token;
  }

  #scalar(token: string): Scalar {
    if (token.startsWith('"')) return this.#scanner.textOf(token, "");
    const word = WORDS.get(token);
    if (word !== undefined) return word;
    const number = NUMBER.exec(token);
    if (number !== null) return number[1] === undefined && number[2] === undefined ? BigInt(token) : Number(token);
    return this.#fail(
      PUNCTUATION.test(token)
        ? "a plain value is expected, not an array or object"
        : `${quote(token)} is no JSON value`,
    );
  }
}
