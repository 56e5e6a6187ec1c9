// Every byte of small valid files flipped, and every truncation. The law: the right bits, more dirty bits, or an error.
import { isQdbError, type QdbError } from "@qdb/format";
import { describe, expect, it } from "vitest";
import { be, bits, file, hex, join, named, rep, tlv, utf8 } from "./hand.ts";
import { check, type Read, readAll } from "./reading.ts";

const END = rep(0, 8);
const ALL_ONES = tlv(0x6803f857, named(hex("00 00"), "all-ones clusters"));

const FILES: { readonly name: string; readonly bytes: Uint8Array }[] = [
  {
    name: "one bitmap, stored clusters and zeros",
    bytes: file({
      bitmaps: [
        {
          name: "daily",
          size: 65536n * 9000n,
          flags: 1,
          clusters: [bits(512, 0, 80, 81, 4095), "zeros", bits(101, 7)],
        },
      ],
    }),
  },
  {
    name: "all-ones clusters, an extension, records, a preallocation",
    bytes: file({
      header: { incompatible: 1n, compatible: 0x10n, autoclear: 0x20n, generation: 7n },
      extensions: join(ALL_ONES, tlv(0x0badcafe, hex("aa bb cc")), END),
      bitmaps: [
        {
          name: "täglich",
          size: 512n * 12000n - 100n,
          granularity: 512,
          flags: 1,
          extra: join(tlv(1, utf8("drive0")), tlv(2, rep(5, 24)), tlv(0xfeedbeef, hex("01"))),
          clusters: ["ones", { descriptor: 9729n }, bits(476, 3, 2000)],
        },
      ],
      length: 10240,
    }),
  },
  {
    name: "several bitmaps, one frozen with its successor, one in use, one of another version, one of size 0",
    bytes: file({
      bitmaps: [
        { name: "frozen", flags: 4, size: 65536n * 100n, extra: tlv(8, utf8("next")), clusters: [bits(13, 5)] },
        {
          name: "next",
          flags: 1,
          size: 65536n * 100n,
          granularity: 512,
          clusters: ["zeros", bits(512, 9), bits(512, 8), "zeros"],
        },
        { name: "busy", flags: 3, size: 65536n * 100n, clusters: [bits(13, 6)] },
        { name: "later", flags: 0x10, size: 65536n * 100n, clusters: [bits(13, 7)] },
        { name: "empty", size: 0n },
      ],
    }),
  },
  {
    name: "no bitmaps, a longer header",
    bytes: file({ unknownHeader: rep(0xee, 16), extensions: join(tlv(5, hex("05")), END) }),
  },
];

interface Outcome {
  readonly error: QdbError | undefined;
  readonly bitmaps: readonly Read[];
}

/** What a reader gets; anything thrown that is no QdbError fails the test. */
function outcome(bytes: Uint8Array): Outcome {
  try {
    return { error: undefined, bitmaps: readAll(bytes) };
  } catch (error) {
    if (isQdbError(error)) return { error, bitmaps: [] };
    throw error;
  }
}

/** Whether check calls the file corrupt or unsafe, or cannot look at it. */
function isSuspect(bytes: Uint8Array): boolean {
  try {
    const { counts } = check(bytes);
    return counts.corrupt + counts.unsafe > 0;
  } catch (error) {
    if (isQdbError(error, "BAD_MAGIC", "UNSUPPORTED_VERSION", "UNSUPPORTED_FEATURE")) return true;
    throw error;
  }
}

/** Whether a loses no dirty bit of b. */
function holds(a: Read["bitmap"], b: Read["bitmap"]): boolean {
  if (a === undefined || b === undefined) return false;
  if (a.equals(b)) return true;
  if (a.size !== b.size || a.granularity !== b.granularity) return false;
  const missing = b.clone();
  missing.subtract(a);
  return missing.count() === 0;
}

/** What of the law a damaged file breaks; undefined when it keeps it. */
function broken(good: Outcome, damaged: Uint8Array): string | undefined {
  const now = outcome(damaged);
  let lost = now.error !== undefined;
  if (now.error === undefined) {
    if (now.bitmaps.length !== good.bitmaps.length) return `${now.bitmaps.length} bitmaps are listed`;
    for (const [at, before] of good.bitmaps.entries()) {
      const after = now.bitmaps[at];
      if (after === undefined || after.label !== before.label) return `bitmap ${at} is another one: ${after?.label}`;
      if (after.problem !== undefined) {
        if (before.problem?.code !== after.problem.code) lost = true;
        continue;
      }
      // Bits that were refused stay refused, or would have to be known to be right.
      if (before.bitmap === undefined) return `${before.label} had no usable bits before`;
      if (!holds(after.bitmap, before.bitmap)) return `${before.label} lost dirty bits`;
    }
  }
  return lost && !isSuspect(damaged) ? "bits are lost to use, and check finds nothing corrupt or unsafe" : undefined;
}

const SLOW_MS = 50;

/** Runs the check of one damaged file; a pause of the machine is not the library's: what is slow must be slow again. */
function verdict(good: Outcome, damaged: Uint8Array): string | undefined {
  for (let attempt = 0; ; attempt++) {
    const start = performance.now();
    const result = broken(good, damaged);
    if (result !== undefined || performance.now() - start < SLOW_MS) return result;
    if (attempt === 4) return `takes more than ${SLOW_MS} ms`;
  }
}

const MASKS = [1, 2, 4, 8, 16, 32, 64, 128, 0xff];

/**
 * Which bytes a reader asks for. All that a reader knows of a file goes through its source: a byte that it does not ask for
 * cannot change what it does, be it flipped in one way or another.
 */
function bytesAsked(bytes: Uint8Array): Uint8Array {
  const asked = new Uint8Array(bytes.length);
  readAll({
    size: bytes.length,
    readSync(offset, length) {
      asked.fill(1, offset, offset + length);
      return bytes.subarray(offset, offset + length);
    },
  });
  return asked;
}

describe.each(FILES.map((item, at) => ({ ...item, at })))("$name", ({ bytes, at: place }) => {
  const good = outcome(bytes);
  const asked = bytesAsked(bytes);
  /** The flips of a byte: all nine, but two of the zeros at the end of the header area, which are the same in every file. */
  const masksAt = (at: number): readonly number[] => {
    if (asked[at] === 0) return [0xff];
    return place > 0 && at >= 512 && at < 4096 ? [1 << (at % 8), 0xff] : MASKS;
  };

  it("is a valid file", () => {
    expect(good.error).toBeUndefined();
    expect(bytes.length).toBeLessThan(40960);
    const codes = good.bitmaps.map(({ problem }) => problem?.code ?? "ok");
    expect(codes.every((code) => ["ok", "INCONSISTENT", "UNSUPPORTED_FEATURE"].includes(code))).toBe(true);
    expect(check(bytes).findings.filter(({ severity }) => severity === "corrupt")).toEqual([]);
  });

  it("keeps the law with every byte flipped, each bit and all eight", () => {
    const failures: string[] = [];
    const damaged = bytes.slice();
    for (let at = 0; at < bytes.length; at++) {
      const before = bytes[at] ?? 0;
      for (const mask of masksAt(at)) {
        damaged[at] = before ^ mask;
        const failure = verdict(good, damaged);
        if (failure !== undefined) failures.push(`byte ${at} ^ ${mask}: ${failure}`);
      }
      damaged[at] = before;
    }
    expect(failures.slice(0, 5)).toEqual([]);
  }, 600_000);

  it("keeps the law cut at every length", () => {
    const failures: string[] = [];
    for (let length = 0; length < bytes.length; length++) {
      const failure = verdict(good, bytes.subarray(0, length));
      if (failure !== undefined) failures.push(`cut at ${length}: ${failure}`);
    }
    expect(failures.slice(0, 5)).toEqual([]);
  });

  it("keeps the law with every sector lost: zeros, ones, or another sector of the file", () => {
    const failures: string[] = [];
    for (let at = 0; at < bytes.length; at += 512) {
      for (const sector of [rep(0, 512), rep(0xff, 512), bytes.slice(at + 512, at + 1024), bytes.slice(0, 512)]) {
        const damaged = bytes.slice();
        damaged.set(sector.subarray(0, bytes.length - at), at);
        const failure = verdict(good, damaged);
        if (failure !== undefined) failures.push(`sector at ${at}: ${failure}`);
      }
    }
    expect(failures.slice(0, 5)).toEqual([]);
  });
});

describe("the test of the law itself", () => {
  it("notices a lost bit where nothing guards it: in a draft file", () => {
    const bytes = file({ draft: true, bitmaps: [{ size: 65536n * 100n, clusters: [bits(13, 5, 6)] }] });
    const good = outcome(bytes);
    const at = bytes.length - 512;
    const cleared = bytes.slice();
    cleared[at] = (bytes[at] ?? 0) & ~32;
    expect(broken(good, cleared)).toBe("a lost dirty bits");
    const more = bytes.slice();
    more[at] = 0xff;
    expect(broken(good, more)).toBeUndefined();
  });
});

describe("a draft file with every byte flipped, and cut at every length", () => {
  const bytes = file({
    draft: true,
    extensions: join(tlv(0x0badcafe, hex("aa bb cc")), END),
    bitmaps: [
      {
        name: "a",
        flags: 1,
        size: 65536n * 9000n,
        extra: tlv(1, utf8("drive0")),
        clusters: [bits(512, 0, 80), "zeros", bits(101, 7)],
      },
      { name: "b", size: 512n, granularity: 512, clusters: [bits(1, 0)] },
    ],
  });

  /** The code of the error of the file, or of each bitmap, `bits` where it has none. */
  const result = (damaged: Uint8Array): string => {
    const { error, bitmaps } = outcome(damaged);
    return error === undefined ? bitmaps.map(({ problem }) => problem?.code ?? "bits").join(" ") : error.code;
  };

  /** What a flip of a byte has to come to; damage of the bits, and of names and records, is not found in draft form. */
  const fits = (at: number, codes: string): boolean => {
    // Magic, version, header_length and the zeros behind it say that this is a draft: else it is none, and too short to be more.
    if (at < 4) return codes === "BAD_MAGIC";
    if (at < 8 || (at >= 24 && at < 32)) return codes === "TRUNCATED";
    // Clusters of another size, more or fewer bitmaps, a table elsewhere.
    if (at < 24) return codes !== "bits bits";
    // Of the first entry l1_size and granularity, then the reserved bytes.
    if (at >= 512 + 8 && at < 512 + 16) return !codes.startsWith("bits");
    if (at >= 512 + 28 && at < 512 + 36) return codes.startsWith("RESERVED_NOT_ZERO");
    return true;
  };

  it("gives a typed error or a result", () => {
    expect(result(bytes)).toBe("bits bits");
    const seen = new Set<string>();
    const failures: string[] = [];
    const damaged = bytes.slice();
    for (let at = 0; at < bytes.length; at++) {
      const before = bytes[at] ?? 0;
      for (const mask of MASKS) {
        damaged[at] = before ^ mask;
        const codes = result(damaged);
        seen.add(codes);
        if (!fits(at, codes)) failures.push(`byte ${at} ^ ${mask}: ${codes}`);
        if (/[A-Z]/.test(codes) && !isSuspect(damaged)) failures.push(`byte ${at} ^ ${mask}: check finds nothing`);
      }
      damaged[at] = before;
    }
    expect(failures).toEqual([]);
    expect([...seen]).toEqual(expect.arrayContaining(["BAD_FIELD", "MISALIGNED", "OUT_OF_BOUNDS"]));
  }, 300_000);

  it("is refused wherever it is cut in its structures", () => {
    for (let length = 0; length < bytes.length; length++) {
      expect(result(bytes.subarray(0, length))).not.toBe("bits bits");
    }
  });
});

describe("bytes that nothing guards", () => {
  it("are those of no structure: flipping them changes nothing", () => {
    const bytes = file({ bitmaps: [{ size: 65536n, clusters: [bits(1, 0)] }] });
    const behindTable = 8192 + 48;
    const damaged = bytes.slice();
    damaged.set(be(0xffffffff, 4), behindTable);
    expect(readAll(damaged)[0]?.bitmap?.count()).toBe(1);
    expect(check(damaged).findings).toEqual([]);
  });
});
