// What an open file promises its reader, whatever the host keeps its files in, and whether its calls are awaited or block. Each host runs
// this suite over its own functions.
import {
  Bitmap,
  type OpenOptions,
  type QdbErrorCode,
  type QdbFile,
  type QdbFileSync,
  type ReadBitmapOptions,
  readBitmap,
  readBitmapSync,
  type StoredBitmap,
  StoredBitmapSync,
} from "@qdb/format";
import { describe, expect, test } from "vitest";
import type { EditingHost } from "./editing.ts";
import { errorOf } from "./errors.ts";

/** A host of QDB files whose `open` is tested. */
export interface ReadingHost<Place> extends EditingHost<Place> {
  open(place: Place, options?: Omit<OpenOptions, "beforeBits">): QdbFile | QdbFileSync | Promise<QdbFile | QdbFileSync>;
  /**
   * What a file that is open shows after a commit (default "new"): the new state, or the old one, where its bytes do not change any more, or
   * an error, where they are gone.
   */
  readonly afterCommit?: "new" | "old" | QdbErrorCode;
  /** Whether there can be no file at a place (default true). */
  readonly canBeMissing?: boolean;
}

const GRANULE = 512;
const SIZE = 100 * GRANULE - 1;

async function all<T>(values: Iterable<T> | AsyncIterable<T>): Promise<T[]> {
  const result: T[] = [];
  for await (const value of values) result.push(value);
  return result;
}

async function read(bitmap: StoredBitmap | StoredBitmapSync, options?: ReadBitmapOptions): Promise<Bitmap> {
  return bitmap instanceof StoredBitmapSync ? readBitmapSync(bitmap, options) : readBitmap(bitmap, options);
}

export function readingContract<Place>(host: ReadingHost<Place>): void {
  /** A file with the bitmap "daily", of which bits 0, 5, 6 and 99 are dirty, and "empty". */
  const made = async (): Promise<Place> => {
    const place = await host.place();
    const bits = Bitmap.clean({ size: SIZE, granularity: GRANULE });
    for (const bit of [0, 5, 6, 99]) bits.markBits({ first: bit, end: bit + 1 });
    await host.createQdb(place, {
      bitmaps: [
        { name: "daily", bits },
        { name: "empty", size: 0, enabled: false },
      ],
    });
    return place;
  };

  const EXTENTS = [
    { offset: 0n, length: 512n },
    { offset: 2560n, length: 1024n },
    { offset: 50_688n, length: 511n },
  ];

  /** Opens a file for one test, and closes it in any case. */
  const reading = async (
    place: Place,
    work: (file: QdbFile | QdbFileSync) => Promise<void>,
    options?: Omit<OpenOptions, "beforeBits">,
  ): Promise<void> => {
    const file = await host.open(place, options);
    try {
      await work(file);
    } finally {
      await file.close();
    }
  };

  test("the fields of a bitmap say what is in the table", async () => {
    const place = await host.place();
    const id = "00112233-4455-6677-8899-aabbccddeeff";
    const parent = "ffeeddcc-bbaa-9988-7766-554433221100";
    const diskStamp = { length: 1n, mtime: -2n, file: 3n };
    const records = { id, parent, created: 5n, disk: "nbd://host/disk", diskStamp, comment: "text" };
    await host.createQdb(place, {
      bitmaps: [
        { name: "daily", size: 2n ** 40n, granularity: 2 ** 20, ...records },
        { name: "plain", size: 7, enabled: false, id, created: 5n },
        { name: "held", size: 7, inUse: true },
      ],
    });
    await host.editQdb(place, (edit) => edit.bitmap("plain").freeze("next"));
    await reading(place, async (file) => {
      expect(file.bitmaps.map(({ name, state }) => [name, state])).toEqual([
        ["daily", "ok"],
        ["plain", "frozen"],
        ["held", "inconsistent"],
        ["next", "ok"],
      ]);
      expect(file.bitmap("daily")).toMatchObject({
        ...{ name: "daily", label: "daily", size: 2n ** 40n, granularity: 2 ** 20, ...records },
        ...{ enabled: true, frozen: false, inUse: false, state: "ok", problem: undefined, successor: undefined },
      });
      expect(file.bitmap("plain")).toMatchObject({
        ...{ size: 7n, granularity: 65536, enabled: false, frozen: true, successor: "next", id, parent: undefined },
        ...{ disk: undefined, diskStamp: undefined, comment: undefined },
      });
      expect(file.bitmap("held")).toMatchObject({ inUse: true, problem: { code: "INCONSISTENT" } });
      expect((await errorOf(() => read(file.bitmap("held")))).code).toBe("INCONSISTENT");
      expect((await errorOf(() => file.bitmap("none"))).code).toBe("NOT_FOUND");
    });
  });

  describe("the bits of a bitmap", () => {
    test("come as extents, in batches, as counts, and as a Bitmap", async () => {
      await reading(await made(), async (file) => {
        const daily = file.bitmap("daily");
        expect(await all(daily.extents())).toEqual(EXTENTS);
        const batches = await all(daily.batches());
        expect(batches.flatMap((batch) => [...batch.rangesBig()])).toEqual(EXTENTS);
        expect(await daily.count()).toMatchObject({ bits: 4, bytes: 2047n });
        const bits = await read(daily);
        expect([...bits.extents()]).toEqual(EXTENTS);
        bits.mark({ offset: 0, length: SIZE });
        expect(await all(daily.extents())).toEqual(EXTENTS);
        const empty = file.bitmap("empty");
        expect([await all(empty.extents()), await empty.count()]).toMatchObject([[], { bits: 0, bytes: 0n }]);
      });
    });

    test("of a range are clipped to it", async () => {
      await reading(await made(), async (file) => {
        const within = { offset: 100, length: 3000n };
        const daily = file.bitmap("daily");
        expect(await all(daily.extents({ within }))).toEqual([
          { offset: 100n, length: 412n },
          { offset: 2560n, length: 540n },
        ]);
        expect(await daily.count({ within })).toMatchObject({ bits: 3, bytes: 952n });
        for (const call of [
          () => all(daily.extents({ within: { offset: SIZE, length: 1 } })),
          () => daily.count({ within: { offset: -1, length: 1 } }),
        ])
          expect((await errorOf(call)).code).toBe("USAGE");
      });
    });

    const { afterCommit = "new" } = host;
    test(`after a commit, in each call: ${afterCommit}`, async () => {
      const place = await made();
      const showsNew = async (file: QdbFile | QdbFileSync): Promise<void> => {
        const daily = file.bitmap("daily");
        expect(await daily.count()).toMatchObject({ bits: 2 });
        expect(await all(daily.extents())).toEqual([EXTENTS[0], EXTENTS[2]]);
        expect(file.bitmaps.map(({ name }) => name)).toEqual(["daily"]);
      };
      await reading(place, async (file) => {
        const daily = file.bitmap("daily");
        const empty = file.bitmap("empty");
        expect(await daily.count()).toMatchObject({ bits: 4 });
        await host.editQdb(place, (edit) => {
          edit.bitmap("daily").unmark({ offset: 2560, length: 1024 });
          edit.bitmap("empty").remove();
        });
        if (afterCommit === "new") {
          await showsNew(file);
          expect((await errorOf(() => empty.count())).code).toBe("NOT_FOUND");
        } else if (afterCommit === "old") {
          expect(await daily.count()).toMatchObject({ bits: 4 });
          expect(await all(daily.extents())).toEqual(EXTENTS);
          expect(await empty.count()).toMatchObject({ bits: 0 });
        } else {
          for (const call of [() => daily.count(), () => all(daily.extents()), () => read(daily)])
            expect((await errorOf(call)).code).toBe(afterCommit);
        }
      });
      await reading(place, showsNew);
    });

    test("take no more memory than allowed", async () => {
      const maxBitmapBytes = 12;
      await reading(
        await made(),
        async (file) => {
          expect((await errorOf(() => read(file.bitmap("daily")))).code).toBe("LIMIT");
          expect(await all(file.bitmap("daily").extents())).toEqual(EXTENTS);
        },
        { maxBitmapBytes },
      );
    });

    test("are refused if the header was read from its mirror, unless that is accepted", async () => {
      const place = await made();
      await host.overwrite(place, (await host.bytes(place)).fill(0xff, 100, 104));
      let mirrors = 0;
      const onMirror = (): void => void mirrors++;
      await reading(
        place,
        async (file) => {
          for (const call of [() => read(file.bitmap("daily")), () => all(file.bitmap("daily").extents())])
            expect((await errorOf(call)).code).toBe("BAD_CHECKSUM");
        },
        { onMirror },
      );
      expect(mirrors).toBe(1);
      await reading(place, async (file) => expect(await all(file.bitmap("daily").extents())).toEqual(EXTENTS), {
        acceptMirror: true,
      });
    });
  });

  test("a signal that is aborted ends a call, and opening: ABORTED", async () => {
    const place = await made();
    const signal = AbortSignal.abort();
    await reading(place, async (file) => {
      const daily = file.bitmap("daily");
      for (const call of [
        () => daily.count({ signal }),
        () => read(daily, { signal }),
        () => all(daily.extents({ signal })),
      ])
        expect((await errorOf(call)).code).toBe("ABORTED");
      expect(await daily.count()).toMatchObject({ bits: 4 });
    });
    expect((await errorOf(() => host.open(place, { signal }))).code).toBe("ABORTED");
  });

  if (host.canBeMissing !== false)
    test("a file that is not there is NOT_FOUND", async () => {
      const place = await host.place();
      expect((await errorOf(() => host.open(place))).code).toBe("NOT_FOUND");
    });

  test("it can be disposed of, and closed twice", async () => {
    const file = await host.open(await made());
    if (Symbol.asyncDispose in file) await file[Symbol.asyncDispose]();
    else file[Symbol.dispose]();
    await file.close();
  });
}
