// The names of both public entry points. A change here is a change of the public interface: it needs a changeset.
import { readFileSync } from "node:fs";
import * as format from "@qdb/format";
import * as container from "@qdb/format/container";
import { describe, expect, test } from "vitest";

const SRC = new URL("../src/", import.meta.url);

interface Export {
  readonly name: string;
  readonly isType: boolean;
  readonly file: string;
}

/** What an entry point exports, types included, which leave no trace at run time. */
function exportsOf(entry: string): Export[] {
  const text = readFileSync(new URL(entry, SRC), "utf8");
  return [...text.matchAll(/export (type )?\{([^}]*)\} from "\.\/([^"]+)";/g)].flatMap(
    ([, all, names = "", file = ""]) =>
      names
        .split(",")
        .map((name) => name.trim())
        .filter((name) => name !== "")
        .map((name) => ({
          name: name.replace("type ", ""),
          isType: all !== undefined || name.startsWith("type "),
          file,
        })),
  );
}

const ENTRIES = { "index.ts": format, "container.ts": container };

test("what @qdb/format exports: about as many names as a README can name", () => {
  const names = exportsOf("index.ts").map(({ name }) => name);
  expect(names.length).toBeLessThanOrEqual(50);
  expect(names.sort()).toMatchInlineSnapshot(`
    [
      "AnySource",
      "Bitmap",
      "BitmapEdit",
      "BitmapInit",
      "BitmapRecords",
      "BitmapShape",
      "BitmapState",
      "ByteRange",
      "ByteSource",
      "CallOptions",
      "CheckSummary",
      "CommitReport",
      "CountedBitmap",
      "Digests",
      "DirtyCount",
      "DiskRange",
      "DiskStamp",
      "Extent",
      "ExtentBatch",
      "ExtentSink",
      "Finding",
      "LoadedBitmap",
      "OpenOptions",
      "Problem",
      "QdbEdit",
      "QdbError",
      "QdbErrorCode",
      "QdbFile",
      "QdbFileSync",
      "QdbJson",
      "ReadBitmapOptions",
      "ReadOptions",
      "StoredBitmap",
      "StoredBitmapSync",
      "SyncByteSource",
      "Where",
      "bytesSource",
      "checkQdb",
      "countAll",
      "dumpQdb",
      "extentsOfAll",
      "formatExtents",
      "isQdbError",
      "quote",
      "readAll",
      "readBitmap",
      "readBitmapSync",
      "readExtentMap",
      "readRawBits",
      "transferExtents",
    ]
  `);
});

test("what @qdb/format/container exports: the rest, and nothing twice", () => {
  const names = exportsOf("container.ts").map(({ name }) => name);
  const consumers = new Set(exportsOf("index.ts").map(({ name }) => name));
  expect(names.filter((name) => consumers.has(name))).toEqual([]);
  expect(names.sort()).toMatchInlineSnapshot(`
    [
      "Ability",
      "AbortSignalLike",
      "AllOptions",
      "Allocate",
      "AllocationRule",
      "AnyStore",
      "BITMAP_ENTRY",
      "BitOptions",
      "BitRange",
      "BitSource",
      "BitmapContents",
      "BitmapEntry",
      "BitmapFacts",
      "BitmapSession",
      "BitsOptions",
      "ByteChunks",
      "BytesField",
      "ChangeOptions",
      "ChangePlan",
      "ChangeStep",
      "CheckOptions",
      "ChunkOptions",
      "Clock",
      "ClusterBits",
      "ClusterBitsOptions",
      "ClusterKind",
      "ClusterMap",
      "ClusterToStore",
      "ComputedClusters",
      "Container",
      "ContainerBitmap",
      "Crc32",
      "DISK_STAMP",
      "DRAFT_HEADER",
      "Decoded",
      "DirtyExtents",
      "DumpOptions",
      "DumpSummary",
      "ERROR_CODES",
      "EXTENSION_NAME",
      "EditCallOptions",
      "EditOptions",
      "EditSource",
      "EditStoreOptions",
      "EditTarget",
      "EditorOptions",
      "Edits",
      "EntryContents",
      "ExtentMap",
      "ExtentMapOptions",
      "ExtentsSource",
      "ExtentsVisitor",
      "ExtraRecord",
      "FEATURES",
      "FEATURE_NAME",
      "FLAG",
      "FeatureKind",
      "FeatureName",
      "FieldRow",
      "FieldType",
      "Fields",
      "FileChunk",
      "FileContents",
      "FileImage",
      "FileInit",
      "FileState",
      "FindingCode",
      "FlagName",
      "Form",
      "FormatOptions",
      "Growth",
      "HEADER",
      "Header",
      "HeaderSource",
      "JsonLoader",
      "KeepClusters",
      "L1_CHECKSUM",
      "L1_ENTRY",
      "Limits",
      "LoadOptions",
      "LongCallOptions",
      "MappedBitmap",
      "MirrorOptions",
      "NamedBitmap",
      "NewBitmap",
      "NewBitmapHost",
      "PendingChange",
      "Plan",
      "Progress",
      "PutStep",
      "QdbEditor",
      "QdbIndex",
      "QdbJsonBitmap",
      "QdbJsonDraftHeader",
      "QdbJsonError",
      "QdbJsonExtension",
      "QdbJsonExtensionName",
      "QdbJsonFullHeader",
      "QdbJsonRecord",
      "RECORD",
      "ReadStep",
      "RepairFinding",
      "RepairReport",
      "Report",
      "RequestedBitmap",
      "RunOptions",
      "Scratch",
      "Session",
      "SessionOptions",
      "Severity",
      "SeverityCounts",
      "Sha256",
      "ShapeInput",
      "Step",
      "Store",
      "StoredBits",
      "StoredCluster",
      "StoredClusters",
      "StreamOptions",
      "Struct",
      "SyncStore",
      "TLV_HEAD",
      "TableBuilder",
      "TableCodec",
      "TextChunks",
      "Tlv",
      "TransferOptions",
      "UnnamedBitmapInit",
      "WholeFileOptions",
      "align8",
      "attempts",
      "bitmapChanges",
      "bitmapPlan",
      "bitsInward",
      "bitsOf",
      "bitsOfShape",
      "bitsOutward",
      "bytes",
      "bytesOfBits",
      "checkPlan",
      "collectEdit",
      "confirm",
      "countAllPlan",
      "countPlan",
      "crc32",
      "decodeRecord",
      "decodeUtf8",
      "describeWhere",
      "dumpPlan",
      "editStore",
      "editsOf",
      "encodeRecord",
      "extensionName",
      "extentsPlan",
      "findBitmap",
      "flagNames",
      "flush",
      "fromHex",
      "fromUuid",
      "i64",
      "imageBytes",
      "loadMaps",
      "mapPut",
      "newFile",
      "put",
      "quoteJson",
      "read",
      "readAllPlan",
      "readIndex",
      "readMap",
      "readRange",
      "run",
      "runSync",
      "shortRead",
      "specName",
      "storeAllDerived",
      "storeBits",
      "stream",
      "streamSync",
      "struct",
      "toHex",
      "toUuid",
      "u16",
      "u32",
      "u64",
      "u8",
      "wholeContents",
      "write",
      "writeImage",
    ]
  `);
});

describe.each(Object.entries(ENTRIES))("%s", (entry, module) => {
  test("exports at run time what is no type", () => {
    const values = exportsOf(entry).filter(({ isType }) => !isType);
    expect(Object.keys(module).sort()).toEqual(values.map(({ name }) => name).sort());
  });

  test.each(exportsOf(entry))("$name has a doc comment", ({ name, file }) => {
    const text = readFileSync(new URL(file, SRC), "utf8");
    const kind = "(?:abstract class|class|interface|type|const|async function\\*?|function\\*?)";
    expect(text).toMatch(new RegExp(`\\*/\\nexport ${kind} ${name}\\b`));
  });
});
