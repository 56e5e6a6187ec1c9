import { crc32 } from "node:zlib";
import type { Bitmap } from "@qdb/format";
import type { FileContents } from "@qdb/format/container";
import { expect } from "vitest";

/** Looks at the bytes of a whole file with nothing of the library's but the bits that it was to write: the rules of spec §4, Canonical file. */
export class CanonicalLook {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #contents: FileContents;
  readonly #cluster: number;
  /** Copy of the file in which what a structure describes is blotted out; the rest must be zero. */
  readonly #rest: Uint8Array;
  /** Where the next structure must begin. */
  #next: number;

  constructor(bytes: Uint8Array, contents: FileContents) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#contents = contents;
    this.#cluster = 2 ** contents.clusterBits;
    this.#rest = bytes.slice();
    this.#next = contents.form === "full" ? 2 * Math.max(this.#cluster, 4096) : this.#cluster;
  }

  look(): void {
    const { form, bitmaps } = this.#contents;
    this.#header();
    const offset = Number(this.#view.getBigUint64(16));
    expect(this.#view.getUint32(12)).toBe(bitmaps.length);
    if (bitmaps.length === 0) {
      expect(offset).toBe(0);
      if (form === "full") expect([this.#view.getUint32(28), this.#view.getUint32(64)]).toEqual([0, 0]);
    } else {
      expect(offset).toBe(this.#next);
      this.#bitmaps(offset);
    }
    expect(this.#bytes.length).toBe(this.#next);
    expect(this.#bytes.length % this.#cluster).toBe(0);
    expect(this.#rest.findIndex((byte) => byte !== 0)).toBe(-1);
  }

  #take(offset: number, length: number): void {
    this.#rest.fill(0, offset, offset + length);
  }

  /** Magic, version, features, the extensions in order, and the mirror. */
  #header(): void {
    const { form, allOnes, extensions, clusterBits, fileId, writerId } = this.#contents;
    const view = this.#view;
    expect([view.getUint32(0), view.getUint32(4), view.getUint32(8)]).toEqual([0x51444200, 1, clusterBits]);
    const full = form === "full";
    expect(view.getUint32(24)).toBe(full ? 104 : 28);
    if (full) {
      const words = [32, 40, 48, 56].map((at) => view.getBigUint64(at));
      expect(words).toEqual([allOnes ? 1n : 0n, 0n, 0n, 1n]);
      expect(this.#bytes.slice(72, 104)).toEqual(Uint8Array.of(...writerId, ...fileId));
      const unsealed = this.#bytes.slice(0, 4096).fill(0, 68, 72);
      expect(view.getUint32(68)).toBe(crc32(unsealed));
      const mirror = Math.max(this.#cluster, 4096);
      expect(this.#bytes.slice(mirror, mirror + 4096)).toEqual(this.#bytes.slice(0, 4096));
      this.#take(mirror, 4096);
    }
    const expected = extensions.map(({ type, data }) => [type, [...data]]);
    if (allOnes) {
      const name = [0, 0, ...new TextEncoder().encode("all-ones clusters")];
      expected.unshift([0x6803f857, [...name, ...new Array<number>(48 - name.length).fill(0)]]);
    }
    let at = full ? 104 : 32;
    for (const [type, data] of expected) {
      const length = view.getUint32(at + 4);
      expect([view.getUint32(at), [...this.#bytes.subarray(at + 8, at + 8 + length)]]).toEqual([type, data]);
      this.#take(at, 8 + length);
      at += 8 + Math.ceil(length / 8) * 8;
    }
    this.#take(0, full ? 104 : 28);
  }

  #bitmaps(offset: number): void {
    let at = offset;
    const places: { l1: number; count: number; crc: number }[] = [];
    for (const { nameBytes, flags, extraData, bits } of this.#contents.bitmaps) {
      const view = this.#view;
      places.push({ l1: Number(view.getBigUint64(at)), count: view.getUint32(at + 8), crc: view.getUint32(at + 28) });
      expect([view.getUint32(at + 12), view.getBigUint64(at + 16)]).toEqual([bits.granularity, bits.size]);
      expect([view.getUint16(at + 24), view.getUint16(at + 26)]).toEqual([flags, nameBytes.length]);
      const extra = view.getUint32(at + 36);
      let record = at + 40;
      for (const { type, data } of extraData) {
        expect([view.getUint32(record), view.getUint32(record + 4)]).toEqual([type, data.length]);
        expect(this.#bytes.slice(record + 8, record + 8 + data.length)).toEqual(Uint8Array.from(data));
        this.#take(record, 8 + data.length);
        record += 8 + Math.ceil(data.length / 8) * 8;
      }
      expect(record).toBe(at + 40 + extra);
      expect(this.#bytes.slice(record, record + nameBytes.length)).toEqual(Uint8Array.from(nameBytes));
      this.#take(record, nameBytes.length);
      this.#take(at, 32);
      this.#take(at + 36, 4);
      at += Math.ceil((40 + extra + nameBytes.length) / 8) * 8;
    }
    if (this.#contents.form === "full") {
      expect(this.#view.getUint32(28)).toBe(at - offset);
      expect(this.#view.getUint32(64)).toBe(crc32(this.#bytes.subarray(offset, at)));
    }
    this.#advance(at);
    this.#contents.bitmaps.forEach(({ bits }, index) => {
      const place = places[index];
      if (place !== undefined) this.#data(bits, place);
    });
  }

  #advance(end: number): void {
    this.#next = Math.ceil(end / this.#cluster) * this.#cluster;
  }

  #data(bits: Bitmap, place: { l1: number; count: number; crc: number }): void {
    const { form, allOnes } = this.#contents;
    const full = form === "full";
    const expected = Math.ceil(Math.ceil(bits.bitCount / 8) / this.#cluster);
    expect(place.count).toBe(expected);
    if (expected === 0) {
      expect([place.l1, place.crc]).toEqual([0, 0]);
      return;
    }
    const size = full ? Math.ceil((expected * 12) / 8) * 8 : expected * 8;
    expect(place.l1).toBe(this.#next);
    expect(place.crc).toBe(full ? crc32(this.#bytes.subarray(place.l1, place.l1 + size)) : 0);
    this.#take(place.l1, full ? expected * 12 : size);
    this.#advance(place.l1 + size);
    for (let cluster = 0; cluster < expected; cluster++) {
      const descriptor = this.#view.getBigUint64(place.l1 + cluster * 8);
      const checksum = full ? this.#view.getUint32(place.l1 + expected * 8 + cluster * 4) : 0;
      const wanted = bits.bytesAt(cluster * this.#cluster, this.#cluster);
      const valid = Math.min(this.#cluster * 8, bits.bitCount - cluster * this.#cluster * 8);
      const ones = wanted.reduce((sum, byte) => sum + ones8(byte), 0);
      if (ones === 0) {
        expect([descriptor, checksum]).toEqual([0n, 0]);
      } else if (allOnes && ones === valid) {
        expect([descriptor, checksum]).toEqual([2n, 0]);
      } else {
        expect(descriptor).toBe(BigInt(this.#next));
        const stored = this.#bytes.subarray(this.#next, this.#next + this.#cluster);
        expect(Buffer.compare(stored, wanted)).toBe(0);
        if (full) expect(checksum).toBe(crc32(stored));
        this.#take(this.#next, this.#cluster);
        this.#next += this.#cluster;
      }
    }
  }
}

function ones8(byte: number): number {
  let count = 0;
  for (let bit = 0; bit < 8; bit++) count += (byte >> bit) & 1;
  return count;
}
