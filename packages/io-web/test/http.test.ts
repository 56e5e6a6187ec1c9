// The HTTP source against a real server on loopback.
import type { Clock } from "@qdb/format/container";
import { openHttpSource } from "@qdb/io-web";
import { afterAll, describe, expect, test } from "vitest";
import { errorOf } from "../../format/test/contract/errors.ts";
import { httpContract } from "./contract/http.ts";
import { partial } from "./support/misbehaviours.ts";
import { askedRange, type RangeServer, rangeServer } from "./support/range-server.ts";
import { SERVED_LENGTH, servedBytes } from "./support/served-bytes.ts";

const BYTES = servedBytes(0, SERVED_LENGTH);
const piece = servedBytes;

const server = await rangeServer();
afterAll(() => server.close());

httpContract(server.origin, { inPage: false });

let names = 0;
const serve = (file: Parameters<RangeServer["serve"]>[1]) => server.serve(`file ${names++}`, file);

/** Time that passes by waiting alone. */
function testClock(): Clock & { readonly waits: number[] } {
  const waits: number[] = [];
  return { waits, now: () => 0, wait: async (ms) => void waits.push(ms) };
}

describe("reads", () => {
  test("give the bytes that were asked for", async () => {
    const source = await openHttpSource(new URL(serve({ bytes: BYTES }).url));
    expect(source.size).toBe(BYTES.length);
    for (const [offset, length] of [
      [0, 10],
      [16380, 8],
      [200_001, 70_000],
      [299_999, 1],
      [300_000, 0],
    ] as const)
      expect(await source.read(offset, length)).toEqual(piece(offset, length));
  });

  test.each([1, 100, 16384, 16385])("of a file of %i bytes", async (size) => {
    const source = await openHttpSource(serve({ bytes: piece(0, size) }).url);
    expect(source.size).toBe(size);
    expect(await source.read(0, size)).toEqual(piece(0, size));
  });

  test.each([
    [299_999, 2],
    [-1, 2],
    [0, Number.NaN],
    [0, -1],
  ])("of %i+%i, outside the file, are SHORT_READ without a request", async (offset, length) => {
    const { url, served } = serve({ bytes: BYTES });
    const source = await openHttpSource(url);
    const ranges = [
      { offset: 0, length: 1 },
      { offset, length },
    ];
    expect((await errorOf(() => source.readMany(ranges))).code).toBe("SHORT_READ");
    expect(served.requests).toBe(1);
    expect(await source.read(20_000, 5)).toEqual(piece(20_000, 5));
  });

  test("of a round are joined if they are near, whatever their order", async () => {
    const { url, served } = serve({ bytes: BYTES });
    const source = await openHttpSource(url);
    const ranges = [
      { offset: 60_000, length: 5000 },
      { offset: 50_000, length: 3000 },
      { offset: 61_000, length: 10 },
      { offset: 0, length: 0 },
      { offset: 200_000, length: 100 },
      { offset: 5, length: 10 },
    ];
    expect(await source.readMany(ranges)).toEqual(ranges.map(({ offset, length }) => piece(offset, length)));
    expect(served.requests).toBe(3);
    expect(served.sent).toBe(16_384 + 15_000 + 100);
    expect(source.received).toEqual({ requests: 3, bytes: 16_384 + 15_000 + 100 });
  });

  test("of a round that are far apart are sent side by side, at most six", async () => {
    const waiting: (() => void)[] = [];
    let most = 0;
    const answerAll = (): void => {
      most = Math.max(most, waiting.length);
      for (const answer of waiting.splice(0)) answer();
    };
    const { url } = serve({
      bytes: BYTES,
      answer(request, response, nth) {
        if (nth === 0) return false;
        const { first, last } = askedRange(request, BYTES.length);
        waiting.push(() =>
          partial(response, `bytes ${first}-${last}/${BYTES.length}`, piece(first, last + 1 - first), { ETag: '"1"' }),
        );
        setTimeout(answerAll, 50);
        return true;
      },
    });
    const source = await openHttpSource(url);
    const ranges = Array.from({ length: 14 }, (_, at) => ({ offset: 20_000 * at + 17_000, length: 10 }));
    expect(await source.readMany(ranges)).toEqual(ranges.map(({ offset, length }) => piece(offset, length)));
    expect(most).toBe(6);
  });

  test("are answered from the cache within its budget, oldest out first", async () => {
    const { url, served } = serve({ bytes: BYTES });
    const source = await openHttpSource(url, { cacheBytes: 25_000 });
    await source.read(100_000, 8000);
    expect(await source.read(100_100, 5)).toEqual(piece(100_100, 5));
    expect(served.requests).toBe(2);
    await source.read(200_000, 8000);
    await source.read(100_000, 8000);
    expect(served.requests).toBe(3);
    await source.read(0, 10);
    expect(served.requests).toBe(4);
  });
});

describe("what a server does wrong", () => {
  test("a server that is not there", async () => {
    const gone = await rangeServer();
    await gone.close();
    const error = await errorOf(() => openHttpSource(`${gone.origin}/a`, { clock: testClock() }));
    expect([error.code, error.message]).toEqual(["IO", expect.stringMatching(/no connection.*, 5 times/)]);
  });

  test("a body that is compressed where the header is not shown has another length", async () => {
    const source = await openHttpSource(serve({ bytes: BYTES }).url, {
      retries: 0,
      fetch: async (...request) => {
        const response = await fetch(...request);
        const bytes = new Uint8Array(await response.arrayBuffer());
        return new Response(bytes.length > 16_000 ? bytes : bytes.subarray(1), response);
      },
    });
    expect((await errorOf(() => source.read(50_000, 100))).code).toBe("IO");
  });
});

describe("failures that pass", () => {
  test.each<[string, (response: import("node:http").ServerResponse) => void]>([
    ["503", (response) => void response.writeHead(503).end()],
    ["429 with a pause of one second", (response) => void response.setHeader("Retry-After", "1").writeHead(429).end()],
    ["a connection that breaks", (response) => void response.destroy()],
  ])("%s", async (name, fail) => {
    const clock = testClock();
    const { url, served } = serve({
      bytes: BYTES,
      answer(_, response, nth) {
        if (nth === 0 || nth > 3) return false;
        fail(response);
        return true;
      },
    });
    const source = await openHttpSource(url, { clock });
    expect(await source.read(100_000, 5)).toEqual(piece(100_000, 5));
    expect(served.requests).toBe(5);
    expect(clock.waits).toEqual(name.startsWith("429") ? [1000, 1000, 1000] : [250, 500, 1000]);
    expect(source.received.requests).toBe(5);
  });
});

describe("one state of the file", () => {
  test("a strong ETag makes the source immutable", async () => {
    expect((await openHttpSource(serve({ bytes: BYTES }).url)).immutable).toBe(true);
  });

  test.each([
    ["a weak ETag", { ETag: 'W/"1"' }],
    ["Last-Modified alone", { ETag: undefined }],
  ])("%s does not, and nothing is cached", async (_, headers) => {
    const { url, served } = serve({ bytes: BYTES, headers });
    const source = await openHttpSource(url);
    expect(source.immutable).toBe(false);
    for (const _again of [1, 2]) expect(await source.read(0, 100)).toEqual(piece(0, 100));
    expect(served.requests).toBe(3);
  });
});

describe("the end", () => {
  const silent = { bytes: BYTES, answer: (_: unknown, __: unknown, nth: number) => nth > 0 };

  test("an abort ends a read, and the source can be used again", async () => {
    const { url, served } = serve(silent);
    const source = await openHttpSource(url);
    const control = new AbortController();
    const reading = errorOf(() => source.read(100_000, 5, { signal: control.signal }));
    setTimeout(() => control.abort(), 20);
    expect((await reading).code).toBe("ABORTED");
    served.answer = () => false;
    expect(await source.read(100_000, 5)).toEqual(piece(100_000, 5));
  });

  test("an abort ends a pause, and opening", async () => {
    const control = new AbortController();
    const { url } = serve({ bytes: BYTES, answer: (_, response) => response.writeHead(503).end() !== undefined });
    setTimeout(() => control.abort(), 20);
    const start = performance.now();
    const error = await errorOf(() => openHttpSource(url, { signal: control.signal }));
    expect(error.code).toBe("ABORTED");
    expect(performance.now() - start).toBeLessThan(240);
    expect((await errorOf(() => openHttpSource(url, { signal: control.signal }))).code).toBe("ABORTED");
  });

  test("closing ends a read under way, and later ones", async () => {
    const source = await openHttpSource(serve(silent).url);
    const reading = errorOf(() => source.read(100_000, 5));
    setTimeout(() => source.close(), 20);
    expect((await reading).code).toBe("USAGE");
    expect((await errorOf(() => source.read(100_000, 5))).code).toBe("USAGE");
  });
});
