import { isQdbError, QdbError } from "@qdb/format";
import type { AllocationRule } from "@qdb/format/container";
import type { Spool } from "@qdb/format/internal";
import { lookAtDisk, type StampedDisk } from "@qdb/io-node";
import { granularityOf, type NewBitmaps } from "../files/new-bitmaps.ts";
import { requireRaw } from "../files/raw-images.ts";
import { inputName } from "../files/read-input.ts";
import type { Call } from "../shell/command.ts";
import { isComplete } from "../shell/errors.ts";
import { parseSize } from "../shell/size.ts";

/** The options of an import, in one form for all formats. */
export interface ImportRequest {
  readonly call: Call;
  /** Path of the source, or `-` for standard input. */
  readonly source: string;
  /** The values of -B, in the order given. */
  readonly names: readonly string[];
  /** Granularity in bytes; undefined if it was not given. */
  readonly granularity: number | undefined;
  /** Size of the disk in bytes, given or taken from `disk`; undefined if neither was given. */
  readonly size: bigint | undefined;
  /** The disk to name in the new bitmaps; undefined if none was given. */
  readonly disk: StampedDisk | undefined;
  readonly allocation: AllocationRule | undefined;
  /** Whether a bitmap whose bits cannot be used is stored as a usable one that is all dirty. */
  readonly markInconsistent: boolean;
}

/** Reads a source in one format, and returns the bitmaps to store. A source that cannot be read again is read into the spool. */
export type Importer = (request: ImportRequest, spool: Spool) => Promise<NewBitmaps>;

/**
 * Returns the options of a call as an import request.
 * @throws {QdbError} USAGE for options that exclude each other, or for a bad value; for --disk as {@link lookAtDisk}
 */
export function requestOf(call: Call, source: string): ImportRequest {
  const diskPath = call.value("disk");
  const sizeText = call.value("size");
  if (diskPath !== undefined && sizeText !== undefined) {
    throw new QdbError("USAGE", "--size and --disk exclude each other; the size is the disk's; try: qdb import --help");
  }
  let disk: StampedDisk | undefined;
  if (diskPath !== undefined) {
    requireRaw(diskPath, "name the raw disk, or give its size with --size");
    disk = lookAtDisk(diskPath);
  }
  return {
    call,
    source,
    names: call.values("bitmap"),
    granularity: granularityOf(call),
    size: sizeText === undefined ? disk?.size : parseSize(sizeText, "--size"),
    disk,
    allocation: allocationOf(call.value("dirty")),
    markInconsistent: call.value("inconsistent") === "mark-all",
  };
}

function allocationOf(value: string | undefined): AllocationRule | undefined {
  return value === "data" || value === "local" || value === "nodata" ? value : undefined;
}

/** Returns the one name given with -B, for a format without names. @throws {QdbError} USAGE if there is not exactly one */
export function onlyName({ names }: ImportRequest, format: string): string {
  const [name, ...more] = names;
  if (name !== undefined && more.length === 0) return name;
  throw new QdbError(
    "USAGE",
    `${format} has no names in it: give the bitmap one with -B NAME, once; try: qdb import --help`,
  );
}

/** Refuses options that have no meaning for a format. @throws {QdbError} USAGE */
export function refuseOptions({ call }: ImportRequest, format: string, options: readonly string[]): void {
  const given = options.find((option) => call.has(option));
  if (given === undefined) return;
  throw new QdbError("USAGE", `--${given} does not go with ${format}; try: qdb import --help`);
}

/** Runs work on the source, and adds the name of the source to the messages of its errors. @throws {QdbError} what the work throws */
export async function aboutSource<T>({ source }: Pick<ImportRequest, "source">, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const name = inputName(source);
    if (!isQdbError(error) || isComplete(error) || error.message.includes(name)) throw error;
    throw new QdbError(error.code, `${name}: ${error.message}`, error.where, { cause: error });
  }
}
