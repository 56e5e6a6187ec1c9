import { Bitmap, bitsOfShape, QdbError } from "@qdb/format";
import { requireBitmapName } from "../files/new-bitmaps.ts";
import { diskRecords } from "../files/raw-images.ts";
import { inputName, readInput } from "../files/read-input.ts";
import { type Importer, type ImportRequest, onlyName, refuseOptions } from "./request.ts";

/** Imports plain bits: ceil(bits / 8) bytes, least significant bit first, as `qdb export --to raw-bits` writes them. */
export const importRawBits: Importer = async (request) => {
  refuseOptions(request, "raw-bits", ["dirty", "inconsistent"]);
  const name = requireBitmapName(onlyName(request, "raw-bits"));
  const { granularity, size, disk } = request;
  if (granularity === undefined || size === undefined) {
    throw new QdbError(
      "USAGE",
      "raw-bits says nothing of the disk: give -g, and --size or --disk; try: qdb import --help",
    );
  }
  const shape = { size, granularity };
  const bits = Bitmap.fromBytes(await readExactly(request, Math.ceil(bitsOfShape(shape) / 8)), shape);
  return [{ name, bits, isEnabled: false, isInUse: false, records: disk === undefined ? [] : diskRecords(disk) }];
};

/** Reads a source that must have exactly `length` bytes. @throws {QdbError} SIZE_MISMATCH if it has more or fewer; what reading throws */
async function readExactly({ source, size, granularity, call }: ImportRequest, length: number): Promise<Uint8Array> {
  const mismatch = (found: string): QdbError =>
    new QdbError(
      "SIZE_MISMATCH",
      `${inputName(source)} has ${found} bytes, the bits of ${size} bytes at granularity ${granularity} take ${length}; are size and granularity right?`,
    );
  const bytes = new Uint8Array(length);
  let done = 0;
  for await (const piece of readInput(source, call.signal)) {
    if (done + piece.length > length) throw mismatch("more");
    bytes.set(piece, done);
    done += piece.length;
  }
  if (done < length) throw mismatch(`${done}`);
  return bytes;
}
