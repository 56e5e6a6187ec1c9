// The words in which the boundary matrix is written: what a value of one field of one golden file leads to.
import type { Change, Part } from "@qdb/conformance/authoring";
import type { Bits, Expectation } from "./sources.ts";

/** How a file is made in which only this field is wrong. */
export interface Setting extends Change {
  /** Parts beside the one that puts the value. */
  readonly beside?: readonly Part[];
}

/** What the spec says of some values; of all cases of a field the first counts whose `when` is true. */
export interface Case extends Setting {
  readonly when: (value: bigint) => boolean;
  readonly expect: (value: bigint) => Expectation;
  /** Rules that the value keeps, where it is accepted, or breaks. */
  readonly rules: readonly string[];
  readonly why: string;
}

/** A value with its name, which becomes part of the vector's id. */
export type Value = readonly [name: string, value: bigint];

/** One field of one file. */
export interface MatrixField extends Setting {
  /** `structure.field` of spec/layout.json. */
  readonly field: string;
  /** Begins the ids, behind `matrix-`. */
  readonly id: string;
  /** The golden file. */
  readonly parent: string;
  /** Where the structure begins in it. */
  readonly at: number;
  /** The value there. */
  readonly current: bigint;
  /** Values beside those at the borders of the type and of the range. */
  readonly values?: readonly Value[];
  /** Borders of the range that say nothing here. */
  readonly skip?: readonly string[];
  readonly cases: readonly Case[];
}

const always = (): boolean => true;

/** The file is refused. */
export function refuse(
  when: Case["when"] | undefined,
  error: string,
  rules: readonly string[],
  why: string,
  setting: Setting = {},
): Case {
  return { when: when ?? always, expect: () => ({ error }), rules, why, ...setting };
}

/** The bits of its one bitmap are refused. */
export function deny(
  when: Case["when"] | undefined,
  code: string,
  rules: readonly string[],
  why: string,
  setting: Setting = {},
): Case {
  return { when: when ?? always, expect: () => ({ bitmaps: { daily: code } }), rules, why, ...setting };
}

/** The file reads. */
export function accept(
  when: Case["when"] | undefined,
  expect: Expectation | ((value: bigint) => Expectation),
  rules: readonly string[],
  why: string,
  setting: Setting = {},
): Case {
  return { when: when ?? always, expect: typeof expect === "function" ? expect : () => expect, rules, why, ...setting };
}

/** A feature word as the JSON form has it. */
export function word(value: bigint): string {
  return `0x${value.toString(16).padStart(16, "0")}`;
}

/** A u64 as an i64. */
export function signed(value: bigint): string {
  return `${BigInt.asIntN(64, value)}`;
}

/** A type as the JSON form has it. */
export function type(value: bigint): string {
  return `0x${value.toString(16).padStart(8, "0")}`;
}

/** Dirty extents of the golden files of one bitmap. */
export const DIRTY: Bits = [
  ["0", "65536"],
  ["5242880", "131072"],
  ["99942400", "57600"],
];

/** A golden file of one bitmap that reads as ever. */
export const SAME: Expectation = { bitmaps: { daily: DIRTY } };
