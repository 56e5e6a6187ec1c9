// Each L1 area is read and validated once: what is asked of a bitmap afterwards makes no map and looks at no entry again.
import { crc32 } from "node:zlib";
import { bytesSource } from "@qdb/format";
import { countAllPlan, loadMaps, runSync } from "@qdb/format/container";
import { expect, test, vi } from "vitest";
import { QdbClusterMap } from "../src/maps/qdb-cluster-map.ts";
import { file, type HandBitmap, rep } from "./hand.ts";
import { index } from "./reading.ts";

const size = 2n * 4096n * 512n;
const good: HandBitmap = { name: "good", size, granularity: 512, clusters: [rep(0xff, 512), "zeros"] };
/** Its second entry has the reserved bit 2. */
const broken: HandBitmap = { name: "broken", size, granularity: 512, clusters: ["zeros", { descriptor: 4n }] };
const damaged: HandBitmap = { name: "damaged", size, granularity: 512, clusters: ["zeros", "zeros"], l1Checksum: 1 };
const empty: HandBitmap = { name: "empty", size: 0n, granularity: 512 };
const bytes = file({ bitmaps: [good, broken, damaged, empty] });

/** Counts the L1 entries that are validated while something runs: the first rule is the one of the reserved bits. */
function validated(run: () => void): number {
  const spy = vi.spyOn(QdbClusterMap.prototype, "hasReservedBits");
  try {
    run();
    return spy.mock.calls.length;
  } finally {
    spy.mockRestore();
  }
}

test("the entries of each L1 area that matches its checksum are validated once, up to the first broken one", () => {
  const opened = index(bytes);
  const load = () => runSync(loadMaps(opened, opened.table.entries, { crc32 }), bytesSource(bytes));
  expect(validated(load)).toBe(2 + 2);
  const mapped = load();
  const ask = (): void => {
    for (const one of mapped) for (let time = 0; time < 10; time++) expect(one.map).toBe(one.map);
  };
  expect(validated(ask)).toBe(0);
  // A problem is described from the entry that is known to be broken, not looked for.
  expect(validated(() => void mapped[1]?.findProblem())).toBe(1);
  expect(validated(() => void mapped[0]?.findProblem())).toBe(0);
});

test("one checksum is computed for each L1 area and each data cluster, however often the result is asked", () => {
  let checksums = 0;
  const counting = (data: Uint8Array): number => {
    checksums++;
    return crc32(data);
  };
  const counted = runSync(countAllPlan(index(bytes), { crc32: counting }), bytesSource(bytes));
  for (let time = 0; time < 3; time++) {
    expect(counted.map((one) => one.problem?.code)).toEqual([
      undefined,
      "RESERVED_NOT_ZERO",
      "BAD_CHECKSUM",
      undefined,
    ]);
    expect(counted.map(({ dirty }) => dirty)).toEqual([
      { bits: 4096, bytes: 4096n * 512n },
      undefined,
      undefined,
      { bits: 0, bytes: 0n },
    ]);
    expect(counted.map(({ map }) => map?.count)).toEqual([2, undefined, undefined, 0]);
  }
  // Three L1 areas, one data cluster.
  expect(checksums).toBe(4);
});
