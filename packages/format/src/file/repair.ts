import { Bitmap } from "../bitmap/bitmap.ts";
import { viewAsWords } from "../bitmap/words.ts";
import { QdbError } from "../errors.ts";
import { isZero } from "../layout/bytes.ts";
import type { Plan } from "../ports/plan.ts";
import { parseExtraData } from "../records/extra-data.ts";
import type { QdbClusterMap } from "./cluster-map.ts";
import { hasTail, readClusters } from "./clusters.ts";
import { isPlaceProblem } from "./findings.ts";
import type { FileState, MappedBitmap } from "./maps.ts";
import type { NextBitmap, NextEntry } from "./next-bitmap.ts";
import { windows } from "./windows.ts";

/**
 * What a repair makes of a file's bitmaps (spec §5 Dirt, §7.3): what cannot be trusted becomes dirty, its range only where its
 * L1 area is good, all of it else; tails and padding become zero; in_use stays; what nothing can put right stays byte for byte.
 */
export function* repairPlan({ index, mapped }: FileState): Plan<NextBitmap[]> {
  const next: NextBitmap[] = [];
  for (const from of mapped) {
    if (index.problems.isBeyondRepair(from.entry.index)) {
      next.push({ from });
      continue;
    }
    const entry = cleanEntry(from);
    const misplaced = from.map === undefined || (from.problem !== undefined && isPlaceProblem(from.problem));
    const bits = misplaced || from.map === undefined ? Bitmap.dirty(shapeOf(from)) : yield* repairedBits(from.map);
    next.push({ from, ...(entry === undefined ? {} : { entry }), ...(bits === undefined ? {} : { bits }) });
  }
  return next;
}

function shapeOf({ entry }: MappedBitmap): { readonly size: bigint; readonly granularity: number } {
  const { size, granularity } = entry.fields;
  return { size, granularity };
}

/** The entry written anew, where its padding or that of a record is not zero. */
function cleanEntry({ entry }: MappedBitmap): NextEntry | undefined {
  const parsed = parseExtraData(entry.extraData, { fileOffset: 0, bitmap: entry.label }, () => undefined);
  if (parsed === undefined || (isZero(entry.padding) && parsed.padding.length === 0)) return undefined;
  return { nameBytes: entry.nameBytes, flags: entry.fields.flags, extraData: parsed.records };
}

/** The bits with every cluster that cannot be trusted dirty; undefined when there is nothing to put right. */
function* repairedBits(map: QdbClusterMap): Plan<Bitmap | undefined> {
  let found = !isZero(map.area.padding);
  const bits = Bitmap.clean(map.shape);
  for (const window of windows(map)) {
    for (const [cluster, bytes] of yield* readClusters(map, window)) {
      const first = cluster * map.clusterSize * 8;
      const end = Math.min(map.bits, first + map.clusterSize * 8);
      if (bytes instanceof QdbError || map.verify(cluster, bytes) !== undefined) {
        found = true;
        bits.markBits({ first, end });
      } else {
        found ||= hasTail(map, cluster, bytes);
        bits.mergeWordsAt(first, viewAsWords(bytes));
      }
    }
  }
  if (!found) return undefined;
  for (let cluster = 0; cluster < map.count; cluster++) {
    if (map.kind(cluster) !== "ones") continue;
    const first = cluster * map.clusterSize * 8;
    bits.markBits({ first, end: Math.min(map.bits, first + map.clusterSize * 8) });
  }
  return bits;
}
