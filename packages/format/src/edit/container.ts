// What edits need of the file whose bitmaps they change. A QDB file is one kind of container; a qcow2 file is another.
import type { BitmapShape } from "../bitmap/shape.ts";
import type { ClusterBits } from "../bits/cluster-bits.ts";
import type { ClusterMap } from "../bits/cluster-map.ts";
import { type Problem, QdbError } from "../errors.ts";
import type { EntryContents } from "../records/entry-contents.ts";
import type { NewBitmap } from "./edit-options.ts";

/** A bitmap as the file has it. */
export interface ContainerBitmap {
  /** The name; `hex:` and its bytes if it is not UTF-8. */
  readonly label: string;
  /** The name; undefined if it is not UTF-8. */
  readonly name: string | undefined;
  readonly shape: BitmapShape;
  /** Where the bits are; undefined if that cannot be trusted. */
  readonly map: ClusterMap | undefined;
  /** Returns the first problem because of which the bits cannot be used; undefined if there is none. */
  findProblem(): Problem | undefined;
  /** Returns name, flags and records; undefined if the records cannot be parsed, so that the entry can only be copied or removed. */
  parseEntry(): EntryContents | undefined;
  /** Whether the file has these contents already, so that the bytes of the entry can be copied. */
  hasEntry(entry: EntryContents): boolean;
}

/** An ability that a container may lack. */
export type Ability = "records" | "freeze" | "resize";

/** The file whose bitmaps are edited, in the state that was opened. */
export interface Container {
  /** The bitmaps, in the order of the file. */
  readonly bitmaps: readonly ContainerBitmap[];
  /** Bytes per cluster. */
  readonly clusterSize: number;
  /** Length in bytes of the disk whose image this file is: every bitmap is of that length. Absent if bitmaps of any disk can be in it. */
  readonly diskSize?: bigint | undefined;
  /** For each ability that this kind of file lacks, what to do instead, as the message of the error. */
  readonly lacks: Readonly<Partial<Record<Ability, string>>>;
  /** Refuses to use a bitmap as a source, where clean bits matter. @throws {QdbError} BAD_CHECKSUM if the state of the file is in doubt */
  refuseSource(label: string): void;
}

/** Refuses an action for which the container lacks an ability. @throws {QdbError} NOT_SUPPORTED, the message says what to do instead */
export function requireAbility({ lacks }: Container, ability: Ability, bitmap: string): void {
  const instead = lacks[ability];
  if (instead !== undefined) throw new QdbError("NOT_SUPPORTED", instead, { bitmap });
}

/** Refuses a new bitmap that the container cannot hold. @throws {QdbError} SIZE_MISMATCH for the bits of another disk; NOT_SUPPORTED for records */
export function requireHoldable(container: Container, { name, bits, extraData }: Omit<NewBitmap, "flags">): void {
  const { diskSize } = container;
  if (diskSize !== undefined && bits.size !== diskSize) {
    const message = `the bitmap is of a disk of ${bits.size} bytes, the image has a disk of ${diskSize}`;
    throw new QdbError("SIZE_MISMATCH", message, { bitmap: name });
  }
  if (extraData.length > 0) requireAbility(container, "records", name);
}

/** What is to be stored of one bitmap. */
export interface PendingChange {
  /** The index of the bitmap in the container; undefined if it is new. A new bitmap has `entry` and `bits`. */
  readonly index?: number;
  /** New contents of the entry; undefined if they stay. */
  readonly entry?: EntryContents;
  /** New bits; undefined if they stay. Unread clusters are those of the bitmap in the file. */
  readonly bits?: ClusterBits;
}
