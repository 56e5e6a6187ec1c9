// What `editQdb` and `createQdb` promise, whatever the host keeps its files in. Each host runs this suite over its own functions.
import {
  Bitmap,
  type BitmapEdit,
  type BitmapInit,
  isQdbError,
  type QdbEdit,
  type QdbError,
  type QdbFile,
  readBitmap,
} from "@qdb/format";
import {
  decodeRecord,
  type EditCallOptions,
  type ExtraRecord,
  type FileInit,
  FLAG,
  type Limits,
  type MirrorOptions,
} from "@qdb/format/container";
import { describe, expect, test } from "vitest";
import { errorOf } from "./errors.ts";

/** A host of QDB files. `Place` names a file, such as a path. */
export interface EditingHost<Place> {
  /** Returns a place at which no file is. */
  place(): Place | Promise<Place>;
  createQdb(place: Place, init?: FileInit, options?: { readonly signal?: AbortSignal }): Promise<void>;
  editQdb<T>(
    place: Place,
    change: (edit: QdbEdit) => T | PromiseLike<T>,
    options?: EditCallOptions & Limits & MirrorOptions,
  ): Promise<T>;
  openQdb(place: Place): Promise<QdbFile>;
  /** Returns the bytes of the file. */
  bytes(place: Place): Uint8Array | Promise<Uint8Array>;
  /** Puts other bytes of the same length in the place of those of the file. */
  overwrite(place: Place, bytes: Uint8Array): void | Promise<void>;
}

/** Granularity of the bitmaps of the suite, in bytes, and number of their bits. */
const GRANULE = 512;
const BITS = 16;
const SIZE = BITS * GRANULE;

/** A range of bits as a range of bytes. */
function granules(first: number, count: number): { readonly offset: number; readonly length: number } {
  return { offset: first * GRANULE, length: count * GRANULE };
}

function bitsWith(dirty: readonly number[], granularity = GRANULE): Bitmap {
  const bits = Bitmap.clean({ size: SIZE, granularity });
  for (const bit of dirty) bits.markBits({ first: bit, end: bit + 1 });
  return bits;
}

function dirtyOf(bits: Bitmap): number[] {
  return Array.from({ length: bits.bitCount }, (_, bit) => bit).filter((bit) => bits.isDirty(bit));
}

function thrown(call: () => unknown): QdbError {
  try {
    call();
  } catch (error) {
    if (isQdbError(error)) return error;
    throw error;
  }
  return expect.fail("the call was to throw");
}

/** What the file says of a bitmap. */
interface Stored {
  readonly size: bigint;
  readonly granularity: number;
  readonly flags: number;
  readonly dirty: readonly number[];
  readonly records: readonly ExtraRecord[];
}

export function editingContract<Place>(host: EditingHost<Place>): void {
  /** The bitmaps of a file by name, in the order of the table. */
  const contentOf = async (place: Place): Promise<Record<string, Stored>> => {
    const file = await host.openQdb(place);
    const content: Record<string, Stored> = {};
    for (const bitmap of file.bitmaps) {
      const { size, granularity, flags } = bitmap.entry.decodeFields();
      const dirty = dirtyOf(await readBitmap(bitmap));
      const records = (bitmap.entry.parseRecords() ?? []).map(decodeRecord);
      content[bitmap.entry.label] = { size, granularity, flags, dirty, records };
    }
    await file.close();
    return content;
  };

  const dirtyIn = async (place: Place): Promise<Record<string, readonly number[]>> =>
    Object.fromEntries(Object.entries(await contentOf(place)).map(([name, { dirty }]) => [name, dirty]));

  const generationOf = async (place: Place): Promise<bigint> => {
    const file = await host.openQdb(place);
    const { generation } = file.index.header;
    await file.close();
    return generation;
  };

  /** A file with the bitmaps "one", of which bits 1 to 4 are dirty, and "two", of which bits 3 to 6 are. */
  const made = async (): Promise<Place> => {
    const place = await host.place();
    await host.createQdb(place, {
      bitmaps: [
        { name: "one", bits: bitsWith([1, 2, 3, 4]) },
        { name: "two", bits: bitsWith([3, 4, 5, 6]) },
      ],
    });
    return place;
  };

  /** Expects an edit to fail with a code, and the file to be the same byte for byte. */
  const expectRefusal = async (
    place: Place,
    code: string,
    change: (edit: QdbEdit) => unknown,
    options?: Parameters<typeof host.editQdb>[2],
  ): Promise<QdbError> => {
    const before = await host.bytes(place);
    const error = await errorOf(() => host.editQdb(place, change, options));
    expect(error.code, error.message).toBe(code);
    expect(await host.bytes(place)).toEqual(before);
    return error;
  };

  describe("actions", () => {
    test.each<[string, (one: BitmapEdit) => unknown, number[]]>([
      ["mark", (one) => one.mark(granules(8, 2)), [1, 2, 3, 4, 8, 9]],
      ["mark rounds outward", (one) => one.mark({ offset: 9n * 512n - 1n, length: 2n }), [1, 2, 3, 4, 8, 9]],
      ["unmark", (one) => one.unmark(granules(2, 2)), [1, 4]],
      ["unmark rounds inward", (one) => one.unmark({ offset: 2 * GRANULE + 1, length: 2 * GRANULE }), [1, 2, 4]],
      ["markAll", (one) => one.markAll(), Array.from({ length: BITS }, (_, bit) => bit)],
      ["clear", (one) => one.clear(), []],
      ["invert", (one) => one.invert(), [0, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]],
      ["merge of a bitmap of the file", (one) => one.merge("two"), [1, 2, 3, 4, 5, 6]],
      ["merge of bits", (one) => one.merge(bitsWith([9])), [1, 2, 3, 4, 9]],
      ["merge of coarser bits, outward", (one) => one.merge(bitsWith([2], 2048)), [1, 2, 3, 4, 8, 9, 10, 11]],
      ["intersect", (one) => one.intersect("two"), [3, 4]],
      ["intersect with coarser bits, outward", (one) => one.intersect(bitsWith([1], 2048)), [4]],
      ["subtract", (one) => one.subtract("two"), [1, 2]],
      ["subtract of coarser bits, inward", (one) => one.subtract(bitsWith([0], 2048)), [4]],
      ["xor", (one) => one.xor("two"), [1, 2, 5, 6]],
      ["regranulate, outward", (one) => one.regranulate(1024), [0, 1, 2]],
      ["resize to a smaller disk", (one) => one.resize(3 * GRANULE), [1, 2]],
      ["resize to a larger disk", (one) => one.resize(18 * GRANULE), [1, 2, 3, 4, 16, 17]],
      ["resize, new area clean", (one) => one.resize(18n * 512n, { newArea: "clean" }), [1, 2, 3, 4]],
    ])("%s", async (_, action, expected) => {
      const place = await made();
      await host.editQdb(place, (edit) => expect(action(edit.bitmap("one"))).toBeUndefined());
      expect(await dirtyIn(place)).toEqual({ one: expected, two: [3, 4, 5, 6] });
    });

    test("add, remove, rename", async () => {
      const place = await made();
      await host.editQdb(place, (edit) => {
        edit.add({ name: "three", size: 3 * GRANULE, granularity: 1024, enabled: false });
        edit.bitmap("one").remove();
        edit.bitmap("two").rename("zwei");
      });
      const content = await contentOf(place);
      expect(Object.keys(content)).toEqual(["zwei", "three"]);
      expect(content.three).toMatchObject({ size: 1536n, granularity: 1024, flags: 0, dirty: [] });
      expect(content.zwei?.dirty).toEqual([3, 4, 5, 6]);
    });

    test("replace", async () => {
      const place = await made();
      await host.editQdb(place, (edit) => {
        edit.bitmap("one").replace({ bits: bitsWith([7], 1024), enabled: false, comment: "anew" });
        edit.bitmap("one").mark(granules(0, 1));
      });
      const { one } = await contentOf(place);
      expect(one).toMatchObject({ granularity: 1024, flags: 0, dirty: [0, 7] });
      expect(one?.records.at(-1)).toEqual({ kind: "comment", text: "anew" });
      await host.editQdb(place, (edit) => edit.bitmap("one").freeze("next"));
      for (const name of ["one", "next"])
        await expectRefusal(place, "USAGE", (edit) => edit.bitmap(name).replace({ size: 0 }));
    });

    test("a bitmap that a collector holds: its bits cannot be read until all of it is dirty", async () => {
      const place = await made();
      await host.editQdb(place, (edit) => edit.add({ name: "three", size: SIZE, inUse: true }));
      await expectRefusal(place, "INCONSISTENT", (edit) => edit.bitmap("three").read());
      await host.editQdb(place, (edit) => edit.bitmap("three").markAll());
      expect((await contentOf(place)).three).toMatchObject({ flags: FLAG.enabled, dirty: [0] });
    });

    test("enable and disable", async () => {
      const place = await made();
      await host.editQdb(place, (edit) => edit.bitmap("one").disable());
      expect((await contentOf(place)).one?.flags).toBe(0);
      await host.editQdb(place, (edit) => edit.bitmap("one").enable());
      expect((await contentOf(place)).one?.flags).toBe(FLAG.enabled);
    });

    test("set, of records", async () => {
      const place = await made();
      const stamp = { length: BigInt(SIZE), mtime: 5n, file: 6n };
      await host.editQdb(place, (edit) => {
        edit.bitmap("one").set({ comment: "first" });
        edit.bitmap("one").set({ comment: "second", disk: "nbd://host/disk", diskStamp: stamp });
        edit.bitmap("two").set({});
      });
      const { one, two } = await contentOf(place);
      expect(one?.records.filter(({ kind }) => kind !== "id" && kind !== "created")).toEqual([
        { kind: "comment", text: "second" },
        { kind: "disk", text: "nbd://host/disk" },
        { kind: "stamp", stamp },
      ]);
      expect(two?.records.map(({ kind }) => kind)).toEqual(["id", "created"]);
    });

    test("freeze and release: a backup that failed, and one that was complete", async () => {
      const place = await made();
      await host.editQdb(place, (edit) => {
        edit.bitmap("one").freeze("next");
        edit.bitmap("next").mark(granules(9, 1));
      });
      const frozen = await contentOf(place);
      expect(frozen.one).toMatchObject({ flags: FLAG.frozen, dirty: [1, 2, 3, 4] });
      expect(frozen.next).toMatchObject({ flags: FLAG.enabled, dirty: [9] });
      expect(frozen.next?.records.find(({ kind }) => kind === "created")).toBeDefined();
      await host.editQdb(place, (edit) => edit.bitmap("one").release("failed"));
      expect(await dirtyIn(place)).toEqual({ next: [1, 2, 3, 4, 9], two: [3, 4, 5, 6] });
      await host.editQdb(place, (edit) => {
        edit.bitmap("next").freeze("last");
        edit.bitmap("next").release("done");
      });
      expect(await dirtyIn(place)).toEqual({ last: [], two: [3, 4, 5, 6] });
    });

    test("a frozen bitmap loses no dirt", async () => {
      const place = await made();
      await host.editQdb(place, (edit) => edit.bitmap("one").freeze("next"));
      for (const action of [
        (one: BitmapEdit) => one.clear(),
        (one: BitmapEdit) => one.unmark(granules(0, 16)),
        (one: BitmapEdit) => one.subtract("two"),
        (one: BitmapEdit) => one.enable(),
      ])
        await expectRefusal(place, "USAGE", (edit) => action(edit.bitmap("one")));
    });

    test("are done in the order in which they were queued", async () => {
      const place = await made();
      await host.editQdb(place, (edit) => {
        edit.bitmap("one").clear();
        edit.bitmap("one").mark(granules(7, 1));
        edit.bitmap("two").mark(granules(7, 1));
        edit.bitmap("two").merge("one");
        edit.bitmap("two").clear();
        edit.bitmap("one").merge("two");
      });
      expect(await dirtyIn(place)).toEqual({ one: [7], two: [] });
    });

    test("however many, are one commit; none are none", async () => {
      const place = await made();
      const generation = await generationOf(place);
      await host.editQdb(place, async (edit) => {
        for (let bit = 0; bit < BITS; bit++) edit.bitmap("one").mark(granules(bit, 1));
        await edit.apply();
        edit.add({ name: "three", size: 0 });
        await edit.bitmap("two").read();
        edit.bitmap("two").clear();
      });
      expect(await generationOf(place)).toBe(generation + 1n);
      const before = await host.bytes(place);
      await host.editQdb(place, () => undefined);
      await host.editQdb(place, (edit) => edit.bitmap("one").mark(granules(0, 1)));
      expect(await host.bytes(place)).toEqual(before);
    });

    test("take copies of what they are given", async () => {
      const place = await made();
      const range = { offset: 8 * GRANULE, length: GRANULE };
      const source = bitsWith([10]);
      const added = bitsWith([11]);
      const stamp = { length: 1n, mtime: 2n, file: 3n };
      await host.editQdb(place, (edit) => {
        edit.bitmap("one").mark(range);
        edit.bitmap("one").merge(source);
        edit.bitmap("one").set({ diskStamp: stamp });
        edit.add({ name: "three", bits: added });
        range.offset = 0;
        stamp.mtime = 9n;
        for (const bits of [source, added]) bits.mark(granules(0, BITS));
      });
      expect(await dirtyIn(place)).toEqual({ one: [1, 2, 3, 4, 8, 10], two: [3, 4, 5, 6], three: [11] });
      expect((await contentOf(place)).one?.records).toContainEqual({
        kind: "stamp",
        stamp: { length: 1n, mtime: 2n, file: 3n },
      });
    });
  });

  describe("names follow the queue", () => {
    test("a bitmap that is not there is NOT_FOUND at once", async () => {
      const place = await made();
      await expectRefusal(place, "NOT_FOUND", (edit) => {
        edit.bitmap("one").clear();
        edit.bitmap("none");
      });
      await host.editQdb(place, (edit) => {
        const error = thrown(() => edit.bitmap("none"));
        expect([error.code, error.where]).toEqual(["NOT_FOUND", { bitmap: "none" }]);
        expect(thrown(() => edit.bitmap("one").merge("none")).code).toBe("NOT_FOUND");
        expect(edit.has("none")).toBe(false);
        expect(edit.has("one")).toBe(true);
      });
      expect(await dirtyIn(place)).toEqual({ one: [1, 2, 3, 4], two: [3, 4, 5, 6] });
    });

    test("a bitmap that was added is there, and one that was removed is not", async () => {
      const place = await made();
      await host.editQdb(place, (edit) => {
        edit.add({ name: "three", size: SIZE, granularity: GRANULE });
        edit.bitmap("three").merge("one");
        const one = edit.bitmap("one");
        one.remove();
        expect(edit.has("one")).toBe(false);
        expect(thrown(() => edit.bitmap("one")).code).toBe("NOT_FOUND");
        expect(thrown(() => one.clear()).code).toBe("NOT_FOUND");
        expect(thrown(() => one.read()).code).toBe("NOT_FOUND");
        edit.add({ name: "one", size: SIZE, granularity: GRANULE });
        expect(thrown(() => one.clear()).code).toBe("NOT_FOUND");
        edit.bitmap("one").mark(granules(15, 1));
      });
      expect(await dirtyIn(place)).toEqual({ two: [3, 4, 5, 6], three: [1, 2, 3, 4], one: [15] });
    });

    test("a bitmap that was renamed goes by its new name, wherever it was got", async () => {
      const place = await made();
      await host.editQdb(place, (edit) => {
        const [early, late] = [edit.bitmap("one"), edit.bitmap("one")];
        early.rename("eins");
        expect([early.name, late.name]).toEqual(["eins", "eins"]);
        expect(thrown(() => edit.bitmap("one")).code).toBe("NOT_FOUND");
        late.mark(granules(8, 1));
        edit.bitmap("eins").mark(granules(9, 1));
        edit.bitmap("two").rename("one");
        edit.bitmap("eins").intersect("one");
      });
      expect(await dirtyIn(place)).toEqual({ eins: [3, 4], one: [3, 4, 5, 6] });
    });

    test("a successor is there, and a frozen bitmap that was released is not", async () => {
      const place = await made();
      await host.editQdb(place, (edit) => {
        edit.bitmap("one").freeze("next");
        edit.bitmap("next").mark(granules(8, 1));
        const one = edit.bitmap("one");
        one.release("done");
        expect(thrown(() => one.mark(granules(0, 1))).code).toBe("NOT_FOUND");
        expect(edit.has("one")).toBe(false);
      });
      expect(await dirtyIn(place)).toEqual({ next: [8], two: [3, 4, 5, 6] });
    });

    test("a name that is taken is refused", async () => {
      const place = await made();
      await expectRefusal(place, "ALREADY_EXISTS", (edit) => edit.add({ name: "one", size: 0 }));
      await expectRefusal(place, "ALREADY_EXISTS", (edit) => edit.bitmap("one").rename("two"));
      await expectRefusal(place, "ALREADY_EXISTS", (edit) => edit.bitmap("one").freeze("two"));
    });
  });

  describe("reading the bits in an edit", () => {
    test("shows what is queued so far, and nothing of what follows", async () => {
      const place = await made();
      const seen = await host.editQdb(place, async (edit) => {
        const one = edit.bitmap("one");
        one.mark(granules(8, 1));
        const early = one.read();
        one.clear();
        const late = one.read();
        one.mark(granules(9, 1));
        return [dirtyOf(await early), dirtyOf(await late)];
      });
      expect(seen).toEqual([[1, 2, 3, 4, 8], []]);
      expect((await dirtyIn(place)).one).toEqual([9]);
    });

    test("facts are those of what is queued so far", async () => {
      const place = await made();
      const id = "00112233-4455-6677-8899-aabbccddeeff";
      const parent = "ffeeddcc-bbaa-9988-7766-554433221100";
      const diskStamp = { length: 5n, mtime: -2n, file: 3n };
      const facts = await host.editQdb(place, async (edit) => {
        edit.bitmap("one").regranulate(1024);
        edit.bitmap("one").freeze("next");
        edit.bitmap("one").set({ comment: "text" });
        edit.add({
          name: "three",
          size: 5,
          inUse: true,
          enabled: false,
          id,
          parent,
          created: 7n,
          disk: "d",
          diskStamp,
        });
        const three = edit.bitmap("three").facts();
        edit.bitmap("three").markAll();
        edit.bitmap("three").resize(6);
        return Promise.all([edit.bitmap("one").facts(), three, edit.bitmap("three").facts()]);
      });
      const size = BigInt(SIZE);
      const any = { id: expect.any(String), created: expect.any(BigInt) };
      const three = {
        granularity: 65536,
        enabled: false,
        frozen: false,
        id,
        parent,
        created: 7n,
        disk: "d",
        diskStamp,
      };
      expect(facts).toEqual([
        {
          ...any,
          size,
          granularity: 1024,
          enabled: false,
          frozen: true,
          inUse: false,
          comment: "text",
          successor: "next",
        },
        { ...three, size: 5n, inUse: true },
        { ...three, size: 6n, inUse: false },
      ]);
    });

    test("gives a copy", async () => {
      const place = await made();
      await host.editQdb(place, async (edit) => {
        (await edit.bitmap("one").read()).mark(granules(0, BITS));
        edit.bitmap("two").clear();
      });
      expect(await dirtyIn(place)).toEqual({ one: [1, 2, 3, 4], two: [] });
    });

    test("within a limit of memory, which fails the read alone", async () => {
      const place = await made();
      const options = { maxBitmapBytes: 1 };
      await expectRefusal(place, "LIMIT", (edit) => edit.bitmap("one").read(), options);
      await host.editQdb(
        place,
        async (edit) => {
          expect((await errorOf(() => edit.bitmap("one").read())).code).toBe("LIMIT");
          edit.bitmap("two").disable();
        },
        options,
      );
      expect((await contentOf(place)).two?.flags).toBe(0);
    });
  });

  describe("all of it or nothing", () => {
    test("a callback that throws: its error, and nothing is changed", async () => {
      const place = await made();
      const before = await host.bytes(place);
      for (const change of [
        (edit: QdbEdit) => {
          edit.bitmap("one").clear();
          throw new RangeError("of the callback");
        },
        async (edit: QdbEdit) => {
          edit.bitmap("one").clear();
          await edit.apply();
          throw new RangeError("of the callback");
        },
      ])
        await expect(host.editQdb(place, change)).rejects.toThrow(new RangeError("of the callback"));
      expect(await host.bytes(place)).toEqual(before);
    });

    test("an action that fails: its error, and nothing is changed", async () => {
      const place = await made();
      const outside = { offset: SIZE, length: 1 };
      await expectRefusal(place, "USAGE", (edit) => {
        edit.bitmap("one").clear();
        edit.bitmap("two").mark(outside);
        edit.bitmap("two").xor(bitsWith([], 1024));
        edit.add({ name: "three", size: 0 });
      });
      const small = Bitmap.clean({ size: GRANULE, granularity: GRANULE });
      await expectRefusal(place, "SIZE_MISMATCH", (edit) => edit.bitmap("one").merge(small));
      const error = await expectRefusal(place, "SIZE_MISMATCH", (edit) => {
        edit.add({ name: "small", bits: small });
        edit.bitmap("one").merge("small");
      });
      expect(error.message).toMatch(/; the source is "small"$/);
    });

    test("even if the callback catches the error of an action", async () => {
      const place = await made();
      const codes: string[] = [];
      await expectRefusal(place, "USAGE", async (edit) => {
        edit.bitmap("one").mark({ offset: SIZE, length: 1 });
        for (const call of [() => edit.apply(), () => edit.bitmap("two").read()])
          codes.push((await errorOf(call)).code);
        edit.bitmap("two").clear();
      });
      expect(codes).toEqual(["USAGE", "USAGE"]);
    });

    test("the callback's own error comes before that of an action", async () => {
      const place = await made();
      const edited = host.editQdb(place, async (edit) => {
        edit.bitmap("one").mark({ offset: SIZE, length: 1 });
        await edit.apply().catch(() => {
          throw new RangeError("of the callback");
        });
      });
      await expect(edited).rejects.toThrow(new RangeError("of the callback"));
    });

    test("arguments that can never be right are refused at once, and queue nothing", async () => {
      const place = await made();
      await host.editQdb(place, (edit) => {
        const one = edit.bitmap("one");
        for (const call of [
          () => one.mark({ offset: Number.NaN, length: 1 }),
          () => one.unmark({ offset: 0, length: 0.5 }),
          () => one.resize(2 ** 53),
          () => one.rename(""),
          () => one.rename("a\0b"),
          () => one.rename("\ud800"),
          () => one.freeze("x".repeat(1024)),
          () => one.set({ comment: "\ud800" }),
          () => one.set({ diskStamp: { length: -1n, mtime: 0n, file: 0n } }),
          () => one.release("perhaps" as "done"),
          () => edit.add({ name: "", size: 0 }),
          () => edit.add({ name: "three", size: 1, granularity: 1000 }),
          () => edit.add({ name: "three", size: -1 }),
          () => edit.add({ name: "three", size: 0, id: "no id" }),
          () => edit.add({ name: "three", bits: bitsWith([]), granularity: 512 } as unknown as BitmapInit),
        ])
          expect(thrown(call).code).toBe("USAGE");
        expect(thrown(() => edit.add({ name: "three", size: 2n ** 62n })).code).toBe("LIMIT");
        expect(thrown(() => edit.add({ name: "three", bits: bitsWith([]), size: SIZE - 1 })).code).toBe(
          "SIZE_MISMATCH",
        );
        expect([edit.has("three"), edit.has("")]).toEqual([false, false]);
      });
      expect(await dirtyIn(place)).toEqual({ one: [1, 2, 3, 4], two: [3, 4, 5, 6] });
    });

    test("what the callback returns is what the edit resolves to", async () => {
      const place = await made();
      expect(await host.editQdb(place, () => 7)).toBe(7);
      expect(await host.editQdb(place, async (edit) => [edit.has("one")])).toEqual([true]);
      const thenable: PromiseLike<string> = {
        // biome-ignore lint/suspicious/noThenProperty: a promise of another library is what is tested.
        then: (resolved, rejected) => Promise.resolve("later").then(resolved, rejected),
      };
      expect(await host.editQdb(place, () => thenable)).toBe("later");
    });

    test("an edit inside an edit of the same file is LOCKED", async () => {
      const place = await made();
      await host.editQdb(place, async (edit) => {
        edit.bitmap("one").clear();
        expect((await errorOf(() => host.editQdb(place, () => undefined))).code).toBe("LOCKED");
      });
      expect((await dirtyIn(place)).one).toEqual([]);
      await host.editQdb(place, () => undefined);
    });

    test("a reader sees the old state until the edit has resolved", async () => {
      const place = await made();
      await host.editQdb(place, async (edit) => {
        edit.bitmap("one").clear();
        await edit.apply();
        expect((await dirtyIn(place)).one).toEqual([1, 2, 3, 4]);
      });
      expect((await dirtyIn(place)).one).toEqual([]);
    });

    test("after the edit has ended, nothing can be queued", async () => {
      const place = await made();
      const left = await host.editQdb(place, (edit) => [edit] as const);
      const failed: QdbEdit[] = [];
      await expectRefusal(place, "LOCKED", async (edit) => {
        failed.push(edit);
        await host.editQdb(place, () => undefined);
      });
      const before = await host.bytes(place);
      for (const edit of [...left, ...failed]) {
        expect(thrown(() => edit.add({ name: "three", size: 0 })).code).toBe("USAGE");
        expect(thrown(() => edit.bitmap("one").clear()).code).toBe("USAGE");
        expect((await errorOf(() => edit.bitmap("one").read())).code).toBe("USAGE");
        expect((await errorOf(() => edit.apply())).code).toBe("USAGE");
      }
      expect(await host.bytes(place)).toEqual(before);
    });

    test("a signal ends it before its commit: ABORTED", async () => {
      const place = await made();
      const reason = new Error("enough");
      let isCalled = false;
      const before = await expectRefusal(
        place,
        "ABORTED",
        () => {
          isCalled = true;
        },
        { signal: AbortSignal.abort(reason) },
      );
      expect([before.cause, isCalled]).toEqual([reason, false]);
      const within = new AbortController();
      await expectRefusal(
        place,
        "ABORTED",
        (edit) => {
          edit.bitmap("one").clear();
          within.abort(reason);
        },
        { signal: within.signal },
      );
      const atLast = new AbortController();
      await expectRefusal(
        place,
        "ABORTED",
        async (edit) => {
          edit.bitmap("one").clear();
          await edit.apply();
          atLast.abort(reason);
        },
        { signal: atLast.signal },
      );
    });

    test("the report of the commit is shown once the changes are stored, and not before", async () => {
      const place = await made();
      const reports: unknown[] = [];
      const onCommit = (report: unknown): void => void reports.push(report);
      await host.editQdb(place, (edit) => edit.bitmap("one").clear(), { onCommit });
      expect(reports).toEqual([{ madeDirty: [], growth: undefined }]);
      await expectRefusal(place, "NOT_FOUND", (edit) => edit.bitmap("none"), { onCommit });
      expect(reports).toHaveLength(1);
    });

    test("a file that is not there is NOT_FOUND", async () => {
      const place = await host.place();
      expect((await errorOf(() => host.editQdb(place, () => undefined))).code).toBe("NOT_FOUND");
    });
  });

  test("a header that was read from its mirror: said, and its bits are given out only if that is accepted", async () => {
    const place = await made();
    const bytes = await host.bytes(place);
    await host.overwrite(place, bytes.fill(0xff, 100, 104));
    const mirrors: string[] = [];
    const onMirror = ({ headerSource }: { readonly headerSource: string }): void => void mirrors.push(headerSource);
    for (const change of [
      (edit: QdbEdit) => edit.bitmap("one").read(),
      (edit: QdbEdit) => edit.bitmap("one").merge("two"),
    ])
      await expectRefusal(place, "BAD_CHECKSUM", change, { onMirror });
    expect(mirrors).toEqual(["mirror", "mirror"]);
    await host.editQdb(place, (edit) => edit.bitmap("one").merge("two"), { acceptMirror: true, onMirror });
    await host.editQdb(place, () => undefined, { onMirror });
    expect(mirrors).toHaveLength(3);
    expect((await dirtyIn(place)).one).toEqual([1, 2, 3, 4, 5, 6]);
  });

  describe("a new file", () => {
    test("takes the defaults of the command: full form, clusters of 4 KiB, 64 KiB a bit, enabled, clean", async () => {
      const place = await host.place();
      const earliest = BigInt(Date.now()) * 1_000_000n;
      await host.createQdb(place, { bitmaps: [{ name: "daily", size: 100_000 }] });
      const file = await host.openQdb(place);
      expect([file.index.form, file.index.clusterSize, file.index.allOnes]).toEqual(["full", 4096, true]);
      await file.close();
      const { daily } = await contentOf(place);
      expect(daily).toMatchObject({ size: 100_000n, granularity: 65536, flags: FLAG.enabled, dirty: [] });
      const [id, created, ...more] = daily?.records ?? [];
      expect(more).toEqual([]);
      expect(id).toEqual({ kind: "id", uuid: expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/) });
      if (created?.kind !== "created") return expect.fail("no time of creation");
      expect(created.ns).toBeGreaterThanOrEqual(earliest);
      expect(created.ns).toBeLessThanOrEqual(BigInt(Date.now()) * 1_000_000n);
    });

    test("takes what it is given", async () => {
      const place = await host.place();
      const id = "00112233-4455-6677-8899-aabbccddeeff";
      const parent = "ffeeddcc-bbaa-9988-7766-554433221100";
      const stamp = { length: 1n, mtime: -2n, file: 3n };
      await host.createQdb(place, {
        clusterSize: 512,
        bitmaps: [
          { name: "a", size: 2n ** 40n, granularity: 2 ** 31, enabled: false, id, parent, created: 5n },
          {
            name: "ü",
            bits: bitsWith([0, 15]),
            size: SIZE,
            disk: "nbd://host/vda",
            diskStamp: stamp,
            comment: "a\nb",
            id,
            created: 5n,
          },
        ],
      });
      const file = await host.openQdb(place);
      expect(file.index.clusterSize).toBe(512);
      await file.close();
      expect(await contentOf(place)).toEqual({
        a: {
          size: 2n ** 40n,
          granularity: 2 ** 31,
          flags: 0,
          dirty: [],
          records: [
            { kind: "id", uuid: id },
            { kind: "parent", uuid: parent },
            { kind: "created", ns: 5n },
          ],
        },
        ü: {
          size: BigInt(SIZE),
          granularity: GRANULE,
          flags: FLAG.enabled,
          dirty: [0, 15],
          records: [
            { kind: "disk", text: "nbd://host/vda" },
            { kind: "stamp", stamp },
            { kind: "id", uuid: id },
            { kind: "created", ns: 5n },
            { kind: "comment", text: "a\nb" },
          ],
        },
      });
    });

    test("may be empty; two have different ids", async () => {
      const ids = new Set<string>();
      for (let count = 0; count < 2; count++) {
        const place = await host.place();
        await host.createQdb(place);
        const file = await host.openQdb(place);
        expect(file.bitmaps).toEqual([]);
        ids.add(file.index.header.fileId.toString());
        await file.close();
      }
      expect(ids.size).toBe(2);
    });

    test("is refused if there is one: ALREADY_EXISTS", async () => {
      const place = await made();
      const before = await host.bytes(place);
      expect((await errorOf(() => host.createQdb(place, {}))).code).toBe("ALREADY_EXISTS");
      expect(await host.bytes(place)).toEqual(before);
    });

    test.each<[string, string, FileInit]>([
      ["two bitmaps of one name", "DUPLICATE_NAME", { bitmaps: ["a", "a"].map((name) => ({ name, size: 0 })) }],
      ["a cluster size", "USAGE", { clusterSize: 1000 }],
      ["a name", "USAGE", { bitmaps: [{ name: "", size: 0 }] }],
      ["a size", "USAGE", { bitmaps: [{ name: "a", size: 0.5 }] }],
      ["a granularity", "USAGE", { bitmaps: [{ name: "a", size: 1, granularity: 256 }] }],
      ["a number of bits", "LIMIT", { bitmaps: [{ name: "a", size: 2n ** 50n }] }],
    ])("is not made with %s that the format does not allow: %s", async (_, code, init) => {
      const place = await host.place();
      expect((await errorOf(() => host.createQdb(place, init))).code).toBe(code);
      await host.createQdb(place);
    });

    test("a signal ends it: ABORTED, and there is no file", async () => {
      const place = await host.place();
      expect((await errorOf(() => host.createQdb(place, {}, { signal: AbortSignal.abort() }))).code).toBe("ABORTED");
      await host.createQdb(place);
    });
  });
}
