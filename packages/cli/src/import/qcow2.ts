import { Bitmap, bitmapPlan, type Progress, QdbError, quote, run } from "@qdb/format";
import { type FileSource, openFileSource } from "@qdb/io-node";
import { confirmQcow2, type Qcow2Bitmap, type Qcow2Index, readQcow2Index, readQcow2Map } from "@qdb/qcow2";
import { diskRecords } from "../images.ts";
import { type NewBitmap, requireBitmapName } from "../new-bitmaps.ts";
import { aboutSource, type Importer, type ImportRequest, refuseOptions } from "./request.ts";

/** Most bytes of bits that one import holds: a small hostile image can claim 512 MiB for each of 65535 bitmaps. */
const MAX_TOTAL_BYTES = 2 ** 30;

/** The bitmaps of a qcow2 image, all of them or those that -B names, in its order or in that of -B. */
export const importQcow2: Importer = async (request) => {
  refuseOptions(request, "qcow2", ["dirty"]);
  if (request.source === "-") throw new QdbError("USAGE", "a qcow2 image cannot come from standard input; name a file");
  const source = openFileSource(request.source);
  try {
    return await aboutSource(request, () => readBitmaps(source, request));
  } finally {
    source.close();
  }
};

async function readBitmaps(source: FileSource, request: ImportRequest): Promise<readonly NewBitmap[]> {
  const { signal } = request.call;
  const index = await run(readQcow2Index(source.size), source, { signal });
  if (request.size !== undefined && request.size !== index.virtualSize) {
    throw new QdbError(
      "SIZE_MISMATCH",
      `the image's disk has ${index.virtualSize} bytes, ${request.size} are asked for`,
    );
  }
  const chosen = chooseBitmaps(index, request.names);
  const total = chosen.reduce((sum, { bitmap }) => sum + bitsIn(bitmap), 0);
  if (total / 8 > MAX_TOTAL_BYTES) {
    throw new QdbError(
      "LIMIT",
      `the bits of ${chosen.length} bitmaps take ${total / 8} bytes, at most ${MAX_TOTAL_BYTES} are imported at once; choose some of them with -B`,
    );
  }
  const progress = request.call.progress("reading");
  try {
    const result: NewBitmap[] = [];
    let done = 0;
    for (const { bitmap, name } of chosen) {
      const before = done;
      const onProgress: Progress = (bits) => progress.onProgress(before + bits, total);
      const read = await readBitmap(index, bitmap, source, request, onProgress);
      result.push({ ...read, name });
      done += bitsIn(bitmap);
    }
    return result;
  } finally {
    progress.end();
  }
}

/** Bits of a bitmap whose shape can be relied on; others are refused when they are read. */
function bitsIn(bitmap: Qcow2Bitmap): number {
  const { problem } = bitmap;
  return problem === undefined || problem.code === "INCONSISTENT" ? bitmap.bits : 0;
}

async function readBitmap(
  index: Qcow2Index,
  bitmap: Qcow2Bitmap,
  source: FileSource,
  { granularity, disk, markInconsistent, call: { signal } }: ImportRequest,
  onProgress: Progress,
): Promise<Omit<NewBitmap, "name">> {
  const isInconsistent = bitmap.problem?.code === "INCONSISTENT";
  const bits = isInconsistent
    ? Bitmap.dirty(bitmap.shape)
    : await run(bitmapPlan(await run(readQcow2Map(index, bitmap), source, { signal }), { onProgress }), source, {
        signal,
      });
  await run(confirmQcow2(index, bitmap), source, { signal });
  return {
    bits: bits.regranulate(granularity ?? bits.granularity),
    isEnabled: bitmap.enabled,
    isInUse: isInconsistent && !markInconsistent,
    records: disk === undefined ? [] : diskRecords(disk),
  };
}

interface Choice {
  readonly bitmap: Qcow2Bitmap;
  /** The name that it is to have. */
  readonly name: string;
}

/** The bitmaps to be imported, with their new names. @throws {QdbError} NOT_FOUND, USAGE */
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

/** `NAME` or `NAME=NEW`. Names may hold a = themselves, so the image's own names say where NAME ends. @throws {QdbError} NOT_FOUND, USAGE */
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
    name: choice.rename === undefined ? ownName(choice.bitmap) : requireBitmapName(choice.rename),
  };
}
