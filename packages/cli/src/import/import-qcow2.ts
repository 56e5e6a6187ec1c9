import { Bitmap, QdbError, quote } from "@qdb/format";
import { type BitSource, ClusterBits } from "@qdb/format/container";
import { atGranularity, closing, requireName } from "@qdb/format/internal";
import { openFileSource } from "@qdb/io-node";
import { type Qcow2Bitmap, Qcow2File, type Qcow2Index } from "@qdb/qcow2";
import type { NewBitmap } from "../files/new-bitmaps.ts";
import { errorLine } from "../shell/errors.ts";
import { warn } from "../shell/output.ts";
import { aboutSource, type Importer, type ImportRequest, refuseOptions } from "./request.ts";

/** Maximum number of bytes of bits that one import stores. A small hostile image can claim 512 MiB for each of 65,535 bitmaps. */
const MAX_TOTAL_BYTES = 2 ** 30;

/** Imports the bitmaps of a qcow2 image: all of them in the order of the image, or those given with -B in the order given. */
export const importQcow2: Importer = async (request) => {
  refuseOptions(request, "qcow2", ["dirty"]);
  if (request.source === "-") throw new QdbError("USAGE", "a qcow2 image cannot come from standard input; name a file");
  const { signal } = request.call;
  const said = new Set<string>();
  return {
    run: (plan) =>
      aboutSource(request, async () => {
        const source = openFileSource(request.source);
        let found: readonly FoundBitmap[] = [];
        const result = await closing(source, async () => {
          const file = await Qcow2File.open(source, { signal });
          return file.run(
            (index) => {
              found = findBitmaps(index, request);
              return plan(found.map(({ bitmap }) => bitmap));
            },
            { signal },
          );
        });
        for (const { warning } of found) {
          if (warning !== undefined && !said.has(warning)) warn(warning);
          if (warning !== undefined) said.add(warning);
        }
        return result;
      }),
  };
};

/** A bitmap of an image. `warning` is set if all of it is dirty because its bits could not be used. */
interface FoundBitmap {
  readonly bitmap: NewBitmap;
  readonly warning?: string;
}

function findBitmaps(index: Qcow2Index, request: ImportRequest): readonly FoundBitmap[] {
  if (request.size !== undefined && request.size !== index.virtualSize) {
    throw new QdbError(
      "SIZE_MISMATCH",
      `the image's disk has ${index.virtualSize} bytes, ${request.size} are asked for`,
    );
  }
  const chosen = chooseBitmaps(index, request.names);
  for (const { bitmap } of chosen) requireShape(bitmap);
  const total = chosen.reduce((sum, { bitmap }) => sum + bitmap.bitCount, 0);
  if (total / 8 > MAX_TOTAL_BYTES) {
    throw new QdbError(
      "LIMIT",
      `the bits of ${chosen.length} bitmaps take ${total / 8} bytes, at most ${MAX_TOTAL_BYTES} are imported at once; choose some of them with -B`,
    );
  }
  return chosen.map(({ bitmap, name }) => foundBitmap(bitmap, name, request));
}

/** Refuses a bitmap whose size or granularity cannot be relied on. @throws {QdbError} the code of the first such problem (see `shapeProblem`) */
function requireShape({ shapeProblem }: Qcow2Bitmap): void {
  if (shapeProblem !== undefined) throw QdbError.from(shapeProblem);
}

/**
 * Returns a bitmap of an image, whose bits are read as they are needed. If they cannot be used, it is all dirty: as in use if it is
 * INCONSISTENT, and as a usable bitmap with --inconsistent=mark-all.
 * @throws {QdbError} the code of the bitmap's first problem, if that is not INCONSISTENT and --inconsistent=mark-all is not given
 */
function foundBitmap(
  bitmap: Qcow2Bitmap,
  name: string,
  { granularity, disk, markInconsistent }: ImportRequest,
): FoundBitmap {
  const { problem } = bitmap;
  const isInconsistent = problem?.code === "INCONSISTENT";
  if (problem !== undefined && !isInconsistent && !markInconsistent) {
    const message = `${problem.message}; --inconsistent=mark-all takes all of it for dirty`;
    throw new QdbError(problem.code, message, problem.where);
  }
  const found = {
    name,
    bits: problem === undefined ? bitsOf(bitmap, granularity) : allDirty(bitmap, granularity),
    enabled: bitmap.enabled,
    inUse: isInconsistent && !markInconsistent,
    ...disk,
  };
  if (problem === undefined || isInconsistent) return { bitmap: found };
  return { bitmap: found, warning: `all of ${quote(name)} is dirty: ${errorLine(problem)}` };
}

function bitsOf(bitmap: Qcow2Bitmap, granularity = bitmap.granularity): BitSource {
  return atGranularity(ClusterBits.over(bitmap.map()), granularity, false);
}

function allDirty({ shape }: Qcow2Bitmap, granularity = shape.granularity): Bitmap {
  return Bitmap.dirty(shape).regranulate(granularity);
}

interface Choice {
  readonly bitmap: Qcow2Bitmap;
  /** The name that the bitmap gets in the QDB file. */
  readonly name: string;
}

/**
 * Returns the bitmaps to import with their new names.
 * @throws {QdbError} NOT_FOUND if the image has no bitmaps or not the one asked for; USAGE if a value of -B is ambiguous or two bitmaps
 * would get one name; NOT_SUPPORTED for a name that is not UTF-8
 */
function chooseBitmaps({ bitmaps }: Qcow2Index, names: readonly string[]): Choice[] {
  if (bitmaps.length === 0) throw new QdbError("NOT_FOUND", "the image holds no bitmaps");
  if (names.length === 0) return bitmaps.map((bitmap) => ({ bitmap, name: ownName(bitmap) }));
  const byLabel = new Map(bitmaps.map((bitmap) => [bitmap.label, bitmap]));
  const choices = names.map((text) => chooseBitmap(byLabel, text));
  const double = choices.find(({ name }, at) => choices.findIndex((other) => other.name === name) !== at);
  if (double !== undefined)
    throw new QdbError("USAGE", `two bitmaps would get the name ${quote(double.name)}; rename one with -B NAME=NEW`);
  return choices;
}

function ownName(bitmap: Qcow2Bitmap): string {
  if (bitmap.name !== undefined) return bitmap.name;
  const { label } = bitmap;
  throw new QdbError(
    "NOT_SUPPORTED",
    `the name of the bitmap ${quote(label)} is not UTF-8; give it another one with -B ${label}=NEW`,
  );
}

/**
 * Parses a value of -B: `NAME` or `NAME=NEW`. A name may contain `=`, so the names in the image decide where NAME ends.
 * @throws {QdbError} NOT_FOUND if the image has no such bitmap; USAGE if the value can be read in two ways, or if NEW is no valid name;
 * NOT_SUPPORTED if NEW is missing and the name is not UTF-8
 */
function chooseBitmap(byLabel: ReadonlyMap<string, Qcow2Bitmap>, text: string): Choice {
  const ends = [...text.matchAll(/=/g)].map(({ index }) => index);
  const found = [...ends, text.length].flatMap((end) => {
    const bitmap = byLabel.get(text.slice(0, end));
    return bitmap === undefined ? [] : [{ bitmap, rename: end === text.length ? undefined : text.slice(end + 1) }];
  });
  const [choice, other] = found;
  if (choice === undefined) {
    const list = [...byLabel.keys()].slice(0, 10).map(quote).join(", ");
    throw new QdbError(
      "NOT_FOUND",
      `the image holds no bitmap ${quote(text)}; it has ${list}${byLabel.size > 10 ? ", …" : ""}`,
    );
  }
  if (other !== undefined)
    throw new QdbError("USAGE", `-B ${quote(text)} can be read in two ways: the image has bitmaps of both names`);
  return {
    bitmap: choice.bitmap,
    name: choice.rename === undefined ? ownName(choice.bitmap) : requireName(choice.rename),
  };
}
