// The language in which the boundary matrix is written: what is expected if a field of a golden file has some value.
import type { Change, Part } from "@qdb/conformance/authoring";
import type { Bits, Expectation } from "./sources.ts";

/** What else changes in the file, so that only this field is wrong. */
export interface Setting extends Change {
  /** Parts of the patch besides the one that writes the value. */
  readonly beside?: readonly Part[];
}

/** What the spec says about some values of a field. The first case whose `when` is true counts. */
export interface Case extends Setting {
  readonly when: (value: bigint) => boolean;
  readonly expect: (value: bigint) => Expectation;
  /** Rules that the value keeps if it is accepted, or breaks if not. */
  readonly rules: readonly string[];
  readonly why: string;
}

/** A value with its name, which becomes part of the vector's id. */
export type Value = readonly [name: string, value: bigint];

/** One field of one file. */
export interface MatrixField extends Setting {
  /** `structure.field` of spec/layout.json. */
  readonly field: string;
  /** Part of the vector ids, after `matrix-`. */
  readonly id: string;
  /** The id of the golden file. */
  readonly parent: string;
  /** Offset of the structure in the golden file. */
  readonly at: number;
  /** The value of the field in the golden file. */
  readonly current: bigint;
  /** Values besides those at the borders of type and range. */
  readonly values?: readonly Value[];
  /** Names of borders that are left out. */
  readonly skip?: readonly string[];
  readonly cases: readonly Case[];
}

const always = (): boolean => true;

/** A case: the file is refused. */
export function refuse(
  when: Case["when"] | undefined,
  error: string,
  rules: readonly string[],
  why: string,
  setting: Setting = {},
): Case {
  return { when: when ?? always, expect: () => ({ error }), rules, why, ...setting };
}

/** A case: the file's only bitmap is in error. */
export function deny(
  when: Case["when"] | undefined,
  code: string,
  rules: readonly string[],
  why: string,
  setting: Setting = {},
): Case {
  return { when: when ?? always, expect: () => ({ bitmaps: { daily: code } }), rules, why, ...setting };
}

/** A case: the file is accepted. */
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

/** The dirty extents of the golden files that have one bitmap. */
export const DIRTY: Bits = [
  ["0", "65536"],
  ["5242880", "131072"],
  ["99942400", "57600"],
];

/** Expected if the change makes no difference to a golden file of one bitmap. */
export const SAME: Expectation = { bitmaps: { daily: DIRTY } };
