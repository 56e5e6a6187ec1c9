// Callers that pass options on have values that are undefined. Under `exactOptionalPropertyTypes`, which the tests are compiled with, an
// option accepts one only if its type says so.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type {
  Bitmap,
  BitmapInit,
  ByteSource,
  CallOptions,
  checkQdb,
  countAll,
  Digests,
  dumpQdb,
  ExtentSink,
  formatExtents,
  OpenOptions,
  ReadOptions,
  readExtentMap,
  readRawBits,
  SyncByteSource,
  transferExtents,
} from "@qdb/format";
import { readBitmap } from "@qdb/format";
import type {
  DumpOptions,
  EditCallOptions,
  EditorOptions,
  EditStoreOptions,
  FileInit,
  Limits,
  LoadOptions,
  LongCallOptions,
  MirrorOptions,
  RunOptions,
  SessionOptions,
  StreamOptions,
  WholeFileOptions,
} from "@qdb/format/container";
import { afterAll, expect, expectTypeOf, test } from "vitest";
import { type EditorOpenOptions, openQdbEditor } from "../src/container.ts";
import {
  type CopyOptions,
  createQdb,
  type DiffOptions,
  type DiskOptions,
  editQdb,
  openQdb,
  openQdbSync,
  type QdbEditOptions,
  type QdbOpenOptions,
} from "../src/index.ts";

const folder = mkdtempSync(join(tmpdir(), "qdb-undefined-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The optional properties of an object type that do not accept undefined; methods apart. `never` if there are none. */
type Refusing<T> = {
  [K in keyof T]-?: Pick<T, K> extends Required<Pick<T, K>>
    ? never
    : { [P in K]: undefined } extends Pick<T, K>
      ? never
      : K;
}[keyof T];

/** The type of the last parameter of a function, which is its options. */
type OptionsOf<F extends (...args: never[]) => unknown> =
  Required<Parameters<F>> extends [...unknown[], infer O] ? NonNullable<O> : never;

test("no option refuses undefined", () => {
  expectTypeOf<Refusing<{ readonly signal?: AbortSignal }>>().toEqualTypeOf<"signal">();
  expectTypeOf<Refusing<OpenOptions & CallOptions & ReadOptions & Digests & BitmapInit>>().toBeNever();
  expectTypeOf<Refusing<Limits & LongCallOptions & MirrorOptions & RunOptions & StreamOptions>>().toBeNever();
  expectTypeOf<Refusing<DumpOptions & LoadOptions<Bitmap> & FileInit>>().toBeNever();
  expectTypeOf<Refusing<EditCallOptions & EditorOptions & EditStoreOptions>>().toBeNever();
  expectTypeOf<Refusing<SessionOptions & WholeFileOptions>>().toBeNever();
  expectTypeOf<Refusing<Parameters<ExtentSink["write"]>[2]>>().toBeNever();
  expectTypeOf<Refusing<Pick<ByteSource & SyncByteSource, "fixedSize" | "immutable">>>().toBeNever();
  expectTypeOf<Refusing<OptionsOf<typeof checkQdb> & OptionsOf<typeof countAll>>>().toBeNever();
  expectTypeOf<Refusing<OptionsOf<typeof dumpQdb> & OptionsOf<typeof formatExtents>>>().toBeNever();
  expectTypeOf<Refusing<OptionsOf<typeof readExtentMap> & OptionsOf<typeof readRawBits>>>().toBeNever();
  expectTypeOf<Refusing<OptionsOf<typeof transferExtents>>>().toBeNever();
  expectTypeOf<Refusing<CopyOptions & DiffOptions & DiskOptions>>().toBeNever();
  expectTypeOf<Refusing<EditorOpenOptions & QdbEditOptions & QdbOpenOptions>>().toBeNever();
});

test("an option that is undefined is one that is left out", async () => {
  const path = join(folder, "vm.qdb");
  const signal: AbortSignal | undefined = undefined;
  await createQdb(path, { bitmaps: [{ name: "daily", size: 2 ** 20, comment: undefined }] }, { signal });
  const digests = { crc32: undefined, sha256: undefined };
  const options = { signal, maxBitmapBytes: undefined, acceptMirror: undefined, disk: undefined };
  await editQdb(path, (edit) => edit.bitmap("daily").mark({ offset: 0, length: 1 }), options);
  const editor = await openQdbEditor(path, { ...options, repair: undefined });
  await editor.close();
  for (const more of [{ digests }, { digests: undefined }]) {
    await using file = await openQdb(path, { ...options, ...more, clock: undefined, onMirror: undefined });
    expect(await file.bitmap("daily").count({ signal, within: undefined })).toEqual({ bits: 1, bytes: 65536n });
    expect((await readBitmap(file.bitmap("daily"), { signal })).count()).toBe(1);
    using sync = openQdbSync(path, { ...options, ...more });
    expect(sync.bitmap("daily").count()).toEqual({ bits: 1, bytes: 65536n });
  }
});
