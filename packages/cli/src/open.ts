import { type BitmapEntry, type DiskStamp, decodeRecord, QdbError, type QdbFile, quote, RECORD } from "@qdb/format";
import { openQdb, stampDiffers } from "@qdb/io-node";
import type { Call } from "./command.ts";
import { inFile } from "./errors.ts";

/** Does work on a QDB file; errors of the file name it and say what to do. @throws {QdbError} as the work */
export async function about<T>(path: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw inFile(path, error);
  }
}

/** Does work with what is open, and closes it. Of two errors the work's is the one to report: it knows what state a file is in. @throws {QdbError} as the work, or as closing */
export async function closing<T>(opened: { close(): Promise<void> }, work: () => Promise<T>): Promise<T> {
  let result: T;
  try {
    result = await work();
  } catch (error) {
    await opened.close().catch(() => undefined);
    throw error;
  }
  await opened.close();
  return result;
}

/** Refuses `-` where only a file will do. @throws {QdbError} USAGE */
export function requireFile(path: string): void {
  if (path !== "-") return;
  throw new QdbError(
    "USAGE",
    "- (standard input or output) is not possible here; name a file, or ./- for one of that name",
  );
}

/** Opens a QDB file for reading. @throws {QdbError} as `openQdb` */
export async function openFile(path: string, call: Pick<Call, "signal">): Promise<QdbFile> {
  requireFile(path);
  return about(path, () => openQdb(path, { signal: call.signal }));
}

/** What is known of a bitmap's disk: `unknown` where it has no stamp, or its disk is not found. */
export type DiskState = "unknown" | "same" | "changed";

/** Compares the disk stamp of a bitmap with the disk that its record names, when it is there (spec §3, record 2). */
export function diskState(entry: Pick<BitmapEntry, "records">): DiskState {
  const { stamp, disk } = knownRecords(entry);
  // A stamp that breaks its own rule counts as a difference.
  if (stamp === undefined)
    return entry.records?.some(({ type }) => type === RECORD.stamp) === true ? "changed" : "unknown";
  if (disk === undefined || disk === "" || disk.includes("\0")) return "unknown";
  try {
    return stampDiffers(stamp, disk) ? "changed" : "same";
  } catch (error) {
    // What is there, but is no image, is another disk; what cannot be looked at is as good as not there.
    return error instanceof QdbError && error.code === "USAGE" ? "changed" : "unknown";
  }
}

/** Refuses a bitmap whose disk is another one, or changed, since it was stored. @throws {QdbError} WRONG_DISK */
export function requireSameDisk(entry: Pick<BitmapEntry, "records" | "label">, call: Pick<Call, "has">): void {
  if (call.has("ignore-disk-change") || diskState(entry) !== "changed") return;
  const { disk } = knownRecords(entry);
  const what =
    disk === undefined
      ? "its disk stamp is broken"
      : `its disk ${quote(disk)} is another one or has changed since it was stored`;
  throw new QdbError(
    "WRONG_DISK",
    `${what}: writes may be missing from the bitmap; make a new one, or insist with --ignore-disk-change`,
    { bitmap: entry.label },
  );
}

/** The records of a bitmap by their kind; those that break their own rule are not among them. */
export interface KnownRecords {
  readonly disk?: string;
  readonly stamp?: DiskStamp;
  readonly id?: string;
  readonly parent?: string;
  /** Nanoseconds since the epoch. */
  readonly created?: bigint;
  readonly comment?: string;
  readonly successor?: string;
}

/** Decodes the records of a bitmap. */
export function knownRecords(entry: Pick<BitmapEntry, "records">): KnownRecords {
  const known: { -readonly [K in keyof KnownRecords]: KnownRecords[K] } = {};
  for (const item of entry.records ?? []) {
    const record = decodeRecord(item);
    switch (record.kind) {
      case "disk":
      case "comment":
      case "successor":
        known[record.kind] = record.text;
        break;
      case "stamp":
        known.stamp = record.stamp;
        break;
      case "id":
      case "parent":
        known[record.kind] = record.uuid;
        break;
      case "created":
        known.created = record.ns;
        break;
      case "unknown":
        break;
    }
  }
  return known;
}
