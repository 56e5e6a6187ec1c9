// Files in memory for tests of code that writes. They log every operation, fail or stop at a given one, and know which bytes were on
// the disk at each time. Also functions that read such a file into plain values.
import { crc32 } from "node:zlib";
import { Bitmap, bytesSource, type Digests, isQdbError, QdbError } from "@qdb/format";
import {
  type AnyStore,
  bitmapChanges,
  bitmapPlan,
  type EditorOptions,
  type Edits,
  editsOf as editsOfState,
  type FileContents,
  imageBytes,
  loadMaps,
  type MappedBitmap,
  QdbEditor,
  readIndex,
  runSync,
  Session,
  type Store,
  type SyncStore,
  writeImage,
} from "@qdb/format/container";
import type { BitmapChange } from "../src/commit/bitmap-change.ts";
import type { MemoryStore } from "./support/memory-store.ts";

export { type Change, MemoryStore, type Op, written } from "./support/memory-store.ts";

export const ZLIB: Digests = { crc32 };

export function io(what: string): QdbError {
  return new QdbError("IO", what);
}

/** An asynchronous store over a file in memory. */
export function asyncStore(store: MemoryStore): Store {
  const later = async <T>(call: () => T): Promise<T> => {
    await Promise.resolve();
    return call();
  };
  return {
    get size() {
      return store.size;
    },
    read: (offset, length) => later(() => store.readSync(offset, length)),
    write: (offset, bytes) => later(() => store.writeSync(offset, bytes)),
    flush: () => later(() => store.flushSync()),
    truncate: (length) => later(() => store.truncateSync(length)),
    replace: (image) => later(() => store.replaceSync(image)),
  };
}

/** Fails the n-th operation that is not a read, counted from 0, and all that follow. */
export function failFrom(store: MemoryStore, n: number): void {
  let at = 0;
  store.before = (op) => {
    if (op.kind !== "read" && at++ >= n) throw io(`${op.kind} failed`);
  };
}

/** Pseudo-random numbers, the same in each run. */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Returns a different id of 16 bytes at each call. */
export function ids(): () => Uint8Array {
  let next = 1;
  return () => {
    const id = new Uint8Array(16);
    new DataView(id.buffer).setUint32(12, next++);
    return id;
  };
}

export function openEditor(
  store: AnyStore,
  options: Pick<EditorOptions, "repair" | "acceptMirror" | "maxRepairBytes" | "readsLater"> = {},
): Promise<QdbEditor> {
  return QdbEditor.open(store, { digests: ZLIB, randomId: ids(), ...options });
}

export function openSession(store: SyncStore, options: { readonly repair?: boolean } = {}): Session {
  const given = {
    digests: ZLIB,
    writerId: new Uint8Array(16).fill(0x77),
    repair: false,
    fixedSize: store.fixedSize,
    ...options,
  };
  return runSync(Session.open(store.size, given), store);
}

export function editsOf(session: Session): Edits {
  return editsOfState(session.state, { newId: ids() });
}

/** What a commit of the edits does; undefined if nothing changes. */
export function changesOf(store: SyncStore, session: Session, edits: Edits): readonly BitmapChange[] | undefined {
  const changes = runSync(edits.findChanges(), store);
  return changes === undefined ? undefined : bitmapChanges(session.state, changes);
}

/** A commit of these changes nothing but the generation. */
export function unchanged({ state }: Session): readonly { readonly from: MappedBitmap }[] {
  return state.mapped.map((from) => ({ from }));
}

export function commit(store: SyncStore, session: Session, edits: Edits): void {
  const changes = changesOf(store, session, edits);
  if (changes !== undefined) runSync(session.commit(changes), store);
  else runSync(session.fence(), store);
}

/** Marks some bits of a bitmap dirty, or clean, in one commit. */
export function flip(
  store: SyncStore,
  session: Session,
  name: string,
  dirty: boolean,
  first: number,
  end: number,
): void {
  const edits = editsOf(session);
  runSync(
    edits.change(name, (bits) => {
      if (dirty) bits.markBits({ first, end });
      else bits.unmark({ offset: first * bits.granularity, length: (end - first) * bits.granularity });
      return bits;
    }),
    store,
  );
  commit(store, session, edits);
}

/** The bitmaps of a file as one text; the error, if the file has one. */
export function view(bytes: Uint8Array): string {
  const source = bytesSource(bytes);
  try {
    const index = runSync(readIndex(bytes.length, ZLIB), source);
    const mapped = runSync(loadMaps(index, index.table.entries, ZLIB), source);
    return mapped
      .map((one) => {
        const { entry, map } = one;
        const problem = one.findProblem();
        const { size, granularity, flags } = entry.decodeFields();
        const bits = map === undefined ? "none" : hexOf(runSync(bitmapPlan(map), source).toBytes());
        const records = hexOf(entry.extraData);
        return [entry.label, size, granularity, flags, records, problem?.code ?? "ok", bits].join("|");
      })
      .join("\n");
  } catch (error) {
    if (isQdbError(error)) return `error ${error.code}`;
    throw error;
  }
}

export function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex");
}

export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** A bitmap in which these bits are dirty. */
export function bitmap(bits: number, dirty: Iterable<number> = [], granularity = 512): Bitmap {
  const made = Bitmap.clean({ size: BigInt(bits) * BigInt(granularity), granularity });
  for (const bit of dirty) made.markBits({ first: bit, end: bit + 1 });
  return made;
}

/** A whole file of bitmaps by name. */
export function fileOf(bitmaps: Readonly<Record<string, Bitmap>>, over: Partial<FileContents> = {}): Uint8Array {
  return imageBytes(
    writeImage(
      {
        form: "full",
        clusterBits: 9,
        fileId: new Uint8Array(16).fill(0xf1),
        writerId: new Uint8Array(16).fill(0x31),
        allOnes: true,
        extensions: [],
        bitmaps: Object.entries(bitmaps).map(([name, bits]) => ({
          nameBytes: utf8(name),
          flags: 0,
          extraData: [],
          bits,
        })),
        ...over,
      },
      ZLIB,
    ),
  );
}

/** Length in bytes of the canonical file with the same contents. */
export function canonicalLength(bytes: Uint8Array): number {
  const source = bytesSource(bytes);
  const index = runSync(readIndex(bytes.length, ZLIB), source);
  const mapped = runSync(loadMaps(index, index.table.entries, ZLIB), source);
  const bitmaps = mapped.map(({ entry, map }) => {
    const extraData = entry.parseRecords();
    if (map === undefined || extraData === undefined) throw new Error(`${entry.label} has no canonical form`);
    const bits = runSync(bitmapPlan(map), source);
    return { nameBytes: entry.nameBytes, flags: entry.decodeFields().flags, extraData, bits };
  });
  const { fileId, writerId, clusterBits } = index.header;
  const { extensions, allOnes } = index;
  return writeImage({ form: "full", clusterBits, fileId, writerId, allOnes, extensions, bitmaps }, ZLIB).length;
}
