import type { Fail, Scalar } from "../json-text/flat-objects.ts";

/**
 * Which extents of an allocation map are dirty.
 *
 * - `local`: those that the image itself holds, zeros included, and not its backing file: what an overlay changed since its backing file.
 *   For maps of `qemu-img map` and `nbdinfo --map=qemu:allocation-depth`.
 * - `data`: those that do not read as zeros. A hole without that guarantee counts as data. For a copy onto a target that holds nothing but
 *   zeros; over older data it misses what was zeroed (see `ExtentMap.droppedZeros`).
 * - `nodata`: those without data, for the inverted map that `qemu-img map` shows of an `x-dirty-bitmap`. A map with zeros is refused.
 */
export type AllocationRule = "data" | "local" | "nodata";

/** An extent of a map, in bytes of the disk. */
export interface ClassifiedExtent {
  readonly offset: bigint;
  readonly length: bigint;
  readonly dirty: boolean;
  /**
   * Whether the extent is clean by the rule `data`, although the image itself holds zeros there. In an overlay these zeros may replace
   * older data of the backing file.
   */
  readonly isDroppedZero?: boolean;
}

/** The numbers that nbdinfo prints as `type`, by its descriptions of them (NBD contexts base:allocation and qemu:dirty-bitmap). */
const NBD_DIRTY_TYPES: ReadonlyMap<string, bigint> = new Map([
  ["clean", 0n],
  ["dirty", 1n],
]);
const NBD_ALLOCATION_TYPES: ReadonlyMap<string, bigint> = new Map([
  ["data", 0n],
  // This description is printed by nbdinfo before 1.9.1.
  ["allocated", 0n],
  ["hole", 1n],
  ["zero", 2n],
  ["hole,zero", 3n],
]);
/** The numbers in the context qemu:allocation-depth. For deeper images the description is `backing depth N` and the number is N. */
const NBD_DEPTH_TYPES: ReadonlyMap<string, bigint> = new Map([
  ["absent", 0n],
  ["local", 1n],
]);
const BACKING_DEPTH = /^backing depth ([2-9]|[1-9][0-9]+)$/;

/**
 * Classifies an extent of a map. The object can be one of nbdinfo (`offset`, `length`, `type`, `description`), of qemu-img map (`start`,
 * `length`, `data`, `zero`) or of oVirt (`start`, `length`, `dirty` or `zero`), or a plain one (`offset`, `length`, `dirty`). If the object
 * says dirty or clean, that is used; if it describes allocation, `rule` decides. Anything ambiguous is refused by `fail`.
 */
export function classifyExtent(
  values: ReadonlyMap<string, Scalar>,
  rule: AllocationRule | undefined,
  fail: Fail,
): ClassifiedExtent {
  const range = rangeOf(values, fail);
  const dirty = isDirty(values, rule, fail);
  const isDroppedZero = rule === "data" && !dirty && isLocal(allocationOf(values, fail));
  return { ...range, dirty, isDroppedZero };
}

function rangeOf(
  values: ReadonlyMap<string, Scalar>,
  fail: Fail,
): { readonly offset: bigint; readonly length: bigint } {
  // In a map of qemu-img, `start` is an offset on the disk, and `offset` an offset in the image file.
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
    if (rule !== undefined) fail("it is described dirty or clean already; leave the option dirty out");
    return described;
  }
  const allocation = allocationOf(values, fail);
  const { data, zero, depth } = allocation;
  if (description === undefined && data === undefined && zero === undefined && depth === undefined) {
    fail("it does not say whether it is dirty or clean");
  }
  switch (rule) {
    case "data":
      return isData(allocation, fail);
    case "local":
      if (depth === undefined)
        fail('dirty: "local" is for maps that tell the depth: qemu-img map, nbdinfo --map=qemu:allocation-depth');
      return isLocal(allocation);
    case "nodata":
      return isNoData(allocation, fail);
    default:
      return fail(
        `this is a map of what is allocated, not of what is dirty; dirty: "local" makes dirty what an overlay holds itself, dirty: "data" all data, dirty: "nodata" is for QEMU's inverted map of an x-dirty-bitmap`,
      );
  }
}

/** Returns nbdinfo's description of an extent; undefined if the object has none. Refuses a description that does not go with the type. */
function describedByNbd(values: ReadonlyMap<string, Scalar>, fail: Fail): string | undefined {
  const description = values.get("description");
  const type = values.get("type");
  if (description === undefined) {
    if (type !== undefined) fail("it has a type, but no description that says what the type means");
    return undefined;
  }
  const expected = typeof description === "string" ? nbdType(description) : undefined;
  if (typeof description !== "string" || expected === undefined) {
    const words = [NBD_DIRTY_TYPES, NBD_ALLOCATION_TYPES, NBD_DEPTH_TYPES].flatMap((types) => [...types.keys()]);
    return fail(`its description is none of ${words.join("; ")}; backing depth N`);
  }
  if (type !== undefined && type !== expected)
    fail(`type and description contradict each other: ${description} has the type ${expected}`);
  return description;
}

function nbdType(description: string): bigint | undefined {
  const backing = BACKING_DEPTH.exec(description)?.[1];
  if (backing !== undefined) return BigInt(backing);
  return NBD_DIRTY_TYPES.get(description) ?? NBD_ALLOCATION_TYPES.get(description) ?? NBD_DEPTH_TYPES.get(description);
}

/** From where the bytes of an extent come, according to a map. A property is undefined if the map does not say it. */
interface Allocation {
  /** nbdinfo's description of the bytes, such as `hole,zero`. */
  readonly description: string | undefined;
  readonly data: boolean | undefined;
  readonly zero: boolean | undefined;
  /** Number of the image from which the bytes come: 0 for the image itself, 1 for its backing file, and so on. */
  readonly depth: bigint | undefined;
  /** Whether any image of the backing chain holds the bytes. */
  readonly present: boolean | undefined;
}

function allocationOf(values: ReadonlyMap<string, Scalar>, fail: Fail): Allocation {
  const description = describedByNbd(values, fail);
  const data = boolean(values, "data", fail);
  const zero = boolean(values, "zero", fail);
  const present = boolean(values, "present", fail);
  const depth = values.has("depth") ? wholeNumber(values, "depth", fail) : undefined;
  const type = description === undefined || NBD_ALLOCATION_TYPES.has(description) ? undefined : nbdType(description);
  if (type === undefined) return { description, data, zero, depth, present };
  if (depth !== undefined || present !== undefined)
    fail("its description and its depth are two answers to one question");
  // nbdinfo counts the images from 1, and prints 0 if no image holds the bytes.
  return { description: undefined, data, zero, depth: type === 0n ? 0n : type - 1n, present: type !== 0n };
}

/** Whether an extent counts as data: every extent that is not certain to read as zeros, also a hole without that guarantee. */
function isData({ description, data, zero }: Allocation, fail: Fail): boolean {
  if (description !== undefined) return description !== "zero" && description !== "hole,zero";
  if (data === undefined && zero === undefined)
    fail('dirty: "data" is for maps that tell data from zeros; this one tells the depth, which dirty: "local" is for');
  return data === true || zero !== true;
}

/**
 * Whether the image itself holds the bytes of an extent, zeros included. If there is no `present`, as in maps of older programs, the bytes
 * count as present.
 */
function isLocal({ data, depth, present }: Allocation): boolean {
  return depth === 0n && (present !== false || data === true);
}

function isNoData({ data, zero }: Allocation, fail: Fail): boolean {
  if (data === undefined || zero === undefined)
    return fail('dirty: "nodata" is for maps of qemu-img, which say data and zero');
  if (zero)
    fail(
      'dirty: "nodata" is for maps of an x-dirty-bitmap, which have no zeros; this one has, and seems to tell what is allocated',
    );
  return !data;
}
