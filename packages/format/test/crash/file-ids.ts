// Tells files apart by their bytes: to compare pages costs less than to hash files, and no two are taken for one.
import { crc32 } from "node:zlib";
import { equal } from "./bits.ts";
import { PAGE } from "./disk.ts";

/** A page that was seen. */
interface Page {
  readonly bytes: Uint8Array;
  readonly id: number;
}

/** Numbers for pages, by which files are named. */
export class FileIds {
  /** The pages of each CRC-32. */
  readonly #pages = new Map<number, Page[]>();
  /** The page that was last seen at each place: files that a power cut leaves differ in a few. */
  readonly #latest: Page[] = [];
  #count = 0;

  /** A text that files of the same bytes have in common, and no others. */
  idOf(bytes: Uint8Array): string {
    let id = `${bytes.length}`;
    for (let place = 0; place * PAGE < bytes.length; place++) {
      const piece = bytes.subarray(place * PAGE, (place + 1) * PAGE);
      const latest = this.#latest[place];
      const page = latest !== undefined && equal(latest.bytes, piece) ? latest : this.#find(piece);
      this.#latest[place] = page;
      id += `,${page.id}`;
    }
    return id;
  }

  #find(bytes: Uint8Array): Page {
    const checksum = crc32(bytes);
    const pages = this.#pages.get(checksum) ?? [];
    const known = pages.find((page) => equal(page.bytes, bytes));
    if (known !== undefined) return known;
    const page = { bytes: bytes.slice(), id: this.#count++ };
    this.#pages.set(checksum, [...pages, page]);
    return page;
  }
}
