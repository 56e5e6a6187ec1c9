import { QdbError } from "@qdb/format";
import { align8, type FileChunk, type FileImage, TLV_HEAD } from "@qdb/format/container";
import { encodeUtf8, isClusterBits, viewOf } from "@qdb/format/internal";
import { DATA_FILE_NAME } from "../image/extensions.ts";
import { AUTOCLEAR_RAW_DATA, INCOMPATIBLE, QCOW2_HEADER } from "../image/header.ts";
import { MAX_L1_SIZE } from "../image/limits.ts";
import { QCOW2_MAGIC } from "../image/magic.ts";
import { REFCOUNT_TABLE_ENTRY_SIZE, setRefcount } from "../image/refcount-table.ts";

/** A header extension: type and data. */
export interface NewExtension {
  readonly type: number;
  readonly data: Uint8Array;
}

/** What a new image is to be. */
export interface NewImage {
  /** Length of the disk in bytes, a multiple of 512 above 0. */
  readonly size: bigint;
  /** Bytes per cluster: a power of two, 512 to 2 MiB. */
  readonly clusterSize: number;
  /**
   * Path of a raw file or device that has the data of the guest: every cluster of the disk is mapped to its place in it. Without it the image
   * has no data, and the disk reads as zeros.
   */
  readonly dataFile?: string | undefined;
  /** Header extensions of others, behind those of qcow2. */
  readonly extensions?: readonly NewExtension[] | undefined;
}

/** Bit 63 of L1 and L2 entries: the cluster is referred to once (qcow2: Cluster mapping). */
const COPIED_HIGH = 0x80000000;
/** Refcounts of 16 bits, as QEMU makes them. */
const REFCOUNT_ORDER = 4;
const HEADER_LENGTH = 112;
const L1_ENTRY_SIZE = 8;

/** Where the structures of a new image are, in clusters. */
interface Layout {
  readonly clusterSize: number;
  /** Number of clusters of the disk. */
  readonly dataClusters: number;
  /** Entries of the L1 table. */
  readonly l1Size: number;
  readonly l1At: number;
  readonly l2At: number;
  /** Number of L2 tables; 0 without an external data file. */
  readonly l2Count: number;
  readonly refcountTableClusters: number;
  readonly blocks: number;
  /** Number of all clusters. */
  readonly end: number;
}

/**
 * Returns a new image without bitmaps: header, refcounts, and the tables of the guest's data. It is made in memory that does not grow with the
 * disk.
 * @throws {QdbError} BAD_FIELD for a size or a cluster size that qcow2 does not allow; LIMIT for a disk that is too large for the cluster
 * size, or extensions that do not fit in the first cluster
 */
export function newImage(image: NewImage): FileImage {
  const layout = layoutOf(image);
  const header = encodeHeader(image, layout);
  return {
    length: layout.end * layout.clusterSize,
    *chunks() {
      yield { offset: 0, bytes: header };
      yield* refcountChunks(layout);
      yield* mappingChunks(layout);
    },
  };
}

function layoutOf({ size, clusterSize, dataFile }: NewImage): Layout {
  if (!isClusterBits(Math.log2(clusterSize)))
    throw new QdbError("BAD_FIELD", `a cluster size of ${clusterSize} is no power of two from 512 to 2 MiB`);
  if (size <= 0n || size % 512n !== 0n)
    throw new QdbError(
      "BAD_FIELD",
      `a disk of ${size} bytes is not possible in a qcow2 image: it takes a multiple of 512 above 0`,
    );
  const dataClusters = Number((size + BigInt(clusterSize) - 1n) / BigInt(clusterSize));
  const perTable = clusterSize / L1_ENTRY_SIZE;
  const l1Size = Math.ceil(dataClusters / perTable);
  if (l1Size * L1_ENTRY_SIZE > MAX_L1_SIZE) {
    const message = `a disk of ${size} bytes is too large for clusters of ${clusterSize}: its L1 table would have more than ${MAX_L1_SIZE} bytes`;
    throw new QdbError("LIMIT", message);
  }
  const l1Clusters = Math.ceil((l1Size * L1_ENTRY_SIZE) / clusterSize);
  const l2Count = dataFile === undefined ? 0 : l1Size;
  const others = 1 + l1Clusters + l2Count;
  const perBlock = (clusterSize * 8) / 2 ** REFCOUNT_ORDER;
  // The clusters of the refcounts are counted too.
  let blocks = 1;
  let refcountTableClusters = 1;
  while (others + blocks + refcountTableClusters > blocks * perBlock) {
    blocks++;
    refcountTableClusters = Math.ceil((blocks * REFCOUNT_TABLE_ENTRY_SIZE) / clusterSize);
  }
  const l1At = 1 + refcountTableClusters + blocks;
  const l2At = l1At + l1Clusters;
  return { clusterSize, dataClusters, l1Size, l1At, l2At, l2Count, refcountTableClusters, blocks, end: l2At + l2Count };
}

function encodeHeader({ size, clusterSize, dataFile, extensions = [] }: NewImage, layout: Layout): Uint8Array {
  const name = dataFile === undefined ? [] : [{ type: DATA_FILE_NAME, data: encodeUtf8(dataFile) }];
  const all = [...name, ...extensions];
  const length = all.reduce(
    (sum, { data }) => sum + TLV_HEAD.size + align8(data.length),
    HEADER_LENGTH + TLV_HEAD.size,
  );
  if (length > clusterSize) {
    const message = `header and extensions take ${length} bytes, a cluster has ${clusterSize}; choose larger clusters`;
    throw new QdbError("LIMIT", message);
  }
  const bytes = new Uint8Array(clusterSize);
  QCOW2_HEADER.encode(
    {
      magic: QCOW2_MAGIC,
      version: 3,
      backingFileOffset: 0n,
      backingFileSize: 0,
      clusterBits: Math.log2(clusterSize),
      size,
      cryptMethod: 0,
      l1Size: layout.l1Size,
      l1TableOffset: BigInt(layout.l1At * clusterSize),
      refcountTableOffset: BigInt(clusterSize),
      refcountTableClusters: layout.refcountTableClusters,
      nbSnapshots: 0,
      snapshotsOffset: 0n,
      incompatibleFeatures: dataFile === undefined ? 0n : INCOMPATIBLE.externalDataFile,
      compatibleFeatures: 0n,
      autoclearFeatures: dataFile === undefined ? 0n : AUTOCLEAR_RAW_DATA,
      refcountOrder: REFCOUNT_ORDER,
      headerLength: HEADER_LENGTH,
    },
    bytes,
  );
  let at = HEADER_LENGTH;
  for (const { type, data } of all) {
    TLV_HEAD.encode({ type, length: data.length }, bytes, at);
    bytes.set(data, at + TLV_HEAD.size);
    at += TLV_HEAD.size + align8(data.length);
  }
  return bytes;
}

function* refcountChunks({ clusterSize, refcountTableClusters, blocks, end }: Layout): Generator<FileChunk, void> {
  const firstBlock = 1 + refcountTableClusters;
  const table = new Uint8Array(refcountTableClusters * clusterSize);
  const perBlock = (clusterSize * 8) / 2 ** REFCOUNT_ORDER;
  for (let block = 0; block < blocks; block++)
    viewOf(table).setBigUint64(block * REFCOUNT_TABLE_ENTRY_SIZE, BigInt((firstBlock + block) * clusterSize));
  yield { offset: clusterSize, bytes: table };
  for (let block = 0; block < blocks; block++) {
    const bytes = new Uint8Array(clusterSize);
    const counted = Math.min(perBlock, end - block * perBlock);
    for (let entry = 0; entry < counted; entry++) setRefcount(viewOf(bytes), entry, REFCOUNT_ORDER, 1);
    yield { offset: (firstBlock + block) * clusterSize, bytes };
  }
}

/** The L1 table, and L2 tables that map each cluster of the disk to the same place in the data file. */
function* mappingChunks({
  clusterSize,
  dataClusters,
  l1Size,
  l1At,
  l2At,
  l2Count,
}: Layout): Generator<FileChunk, void> {
  const l1 = new Uint8Array(Math.ceil((l1Size * L1_ENTRY_SIZE) / clusterSize) * clusterSize);
  for (let table = 0; table < l2Count; table++) setEntry(viewOf(l1), table, (l2At + table) * clusterSize);
  yield { offset: l1At * clusterSize, bytes: l1 };
  const perTable = clusterSize / L1_ENTRY_SIZE;
  for (let table = 0; table < l2Count; table++) {
    const bytes = new Uint8Array(clusterSize);
    const view = viewOf(bytes);
    const first = table * perTable;
    const count = Math.min(perTable, dataClusters - first);
    for (let entry = 0; entry < count; entry++) setEntry(view, entry, (first + entry) * clusterSize);
    yield { offset: (l2At + table) * clusterSize, bytes };
  }
}

function setEntry(view: DataView, entry: number, offset: number): void {
  view.setUint32(entry * L1_ENTRY_SIZE, (COPIED_HIGH | Math.floor(offset / 2 ** 32)) >>> 0);
  view.setUint32(entry * L1_ENTRY_SIZE + 4, offset % 2 ** 32);
}
