import type { Scalar, ScannedObject } from "./extents-scan.ts";

/** What an allocation map is to mean: `data` is dirty, or, in QEMU's inverted map of an x-dirty-bitmap, what is no data. */
export type AllocationRule = "data" | "nodata";

/** An extent of a disk, in bytes, with what is known of it. */
export interface Extent {
  readonly offset: bigint;
  readonly length: bigint;
  readonly dirty: boolean;
}

/** The type of an extent in nbdinfo's words (NBD: base:allocation, qemu:dirty-bitmap). */
const NBD_DIRTY_TYPES: ReadonlyMap<string, bigint> = new Map([
  ["clean", 0n],
  ["dirty", 1n],
]);
const NBD_ALLOCATION_TYPES: ReadonlyMap<string, bigint> = new Map([
  ["data", 0n],
  ["hole", 1n],
  ["zero", 2n],
  ["hole,zero", 3n],
]);

type Fail = (message: string) => never;

/**
 * What an object of a map says: those of nbdinfo (`offset`, `length`, `type`, `description`), of qemu-img map (`start`, `length`,
 * `data`, `zero`), of oVirt (`start`, `length`, `dirty` or `zero`), and plain ones (`offset`, `length`, `dirty`). What is
 * described is taken at its word, allocation only as `rule` says, and everything that can be read in two ways goes to `fail`.
 */
export function classifyExtent({ values }: ScannedObject, rule: AllocationRule | undefined, fail: Fail): Extent {
  return { ...rangeOf(values, fail), dirty: isDirty(values, rule, fail) };
}

function rangeOf(
  values: ReadonlyMap<string, Scalar>,
  fail: Fail,
): { readonly offset: bigint; readonly length: bigint } {
  // In qemu-img's map `offset` is a place in the image file, and `start` the one of the disk.
  if (values.has("start") && values.has("offset") && !values.has("data")) fail("it has both start and offset");
  const key = values.has("start") ? "start" : "offset";
  return { offset: wholeNumber(values, key, fail), length: wholeNumber(values, "length", fail) };
}

function wholeNumber(values: ReadonlyMap<string, Scalar>, key: string, fail: Fail): bigint {
  const value = values.get(key);
  if (value === undefined) return fail(`${key} is missing`);
  if (typeof value !== "bigint" || value < 0n) return fail(`${key} is no whole number from 0 on`);
  return value;
}

function boolean(values: ReadonlyMap<string, Scalar>, key: string, fail: Fail): boolean | undefined {
  const value = values.get(key);
  return value === undefined || typeof value === "boolean" ? value : fail(`${key} is neither true nor false`);
}

function isDirty(values: ReadonlyMap<string, Scalar>, rule: AllocationRule | undefined, fail: Fail): boolean {
  const description = describedByNbd(values, fail);
  const isWord = description === "dirty" || description === "clean";
  const dirty = boolean(values, "dirty", fail);
  if (isWord && dirty !== undefined && dirty !== (description === "dirty"))
    fail("dirty and description contradict each other");
  const described = dirty ?? (isWord ? description === "dirty" : undefined);
  if (described !== undefined) {
    if (rule !== undefined) fail("it is described dirty or clean already; leave --dirty out");
    return described;
  }
  const allocation = { description, data: boolean(values, "data", fail), zero: boolean(values, "zero", fail) };
  if (allocation.description === undefined && allocation.data === undefined && allocation.zero === undefined) {
    fail("it does not say whether it is dirty or clean");
  }
  if (rule === undefined) {
    fail(
      "this is a map of what is allocated, not of what is dirty; --dirty=data makes all data dirty, --dirty=nodata is for QEMU's inverted map of an x-dirty-bitmap",
    );
  }
  return rule === "data" ? isData(allocation) : isNoData(allocation, fail);
}

/** nbdinfo's description, after a look at whether its type is the one that belongs to it. */
function describedByNbd(values: ReadonlyMap<string, Scalar>, fail: Fail): string | undefined {
  const description = values.get("description");
  const type = values.get("type");
  if (description === undefined) {
    if (type !== undefined) fail("it has a type, but no description that says what the type means");
    return undefined;
  }
  const expected =
    typeof description === "string"
      ? (NBD_DIRTY_TYPES.get(description) ?? NBD_ALLOCATION_TYPES.get(description))
      : undefined;
  if (typeof description !== "string" || expected === undefined) {
    return fail(`its description is none of ${[...NBD_DIRTY_TYPES.keys(), ...NBD_ALLOCATION_TYPES.keys()].join("; ")}`);
  }
  if (type !== undefined && type !== expected)
    fail(`type and description contradict each other: ${description} has the type ${expected}`);
  return description;
}

interface Allocation {
  readonly description: string | undefined;
  readonly data: boolean | undefined;
  readonly zero: boolean | undefined;
}

/** Only what reads as zeros is no data. A hole that does not say so can hold anything. */
function isData({ description, data, zero }: Allocation): boolean {
  if (description !== undefined) return description !== "zero" && description !== "hole,zero";
  return data === true || zero !== true;
}

function isNoData({ data, zero }: Allocation, fail: Fail): boolean {
  if (data === undefined || zero === undefined)
    return fail("--dirty=nodata is for maps of qemu-img, which say data and zero");
  if (zero)
    fail(
      "--dirty=nodata is for maps of an x-dirty-bitmap, which have no zeros; this one has, and seems to tell what is allocated",
    );
  return !data;
}
