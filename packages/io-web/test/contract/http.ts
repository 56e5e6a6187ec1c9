// What a file behind HTTP promises its reader, in Node and in a page whose server is of another origin.
import { openHttpSource, openQdb } from "@qdb/io-web";
import { describe, expect, test } from "vitest";
import { errorOf } from "../../../format/test/contract/errors.ts";
import { readingContract } from "../../../format/test/contract/reading.ts";
import { MISBEHAVIOURS } from "../support/misbehaviours.ts";
import { publishedHost } from "../support/published-host.ts";
import { SERVED_LENGTH, servedBytes } from "../support/served-bytes.ts";

/** `origin` is that of a `rangeServer`; in a page the browser hides some answers. */
export function httpContract(origin: string, { inPage }: { readonly inPage: boolean }): void {
  const address = (name: string) => `${origin}/${encodeURIComponent(name)}/${crypto.randomUUID()}`;
  const strong = (version: number) => `"${version}"`;

  describe("openQdb, by a strong ETag", () =>
    readingContract({
      ...publishedHost(origin, strong),
      open: ({ url }, options) => openQdb(url, { ...options, cacheBytes: 0 }),
      afterCommit: "SOURCE_CHANGED",
    }));

  describe("openQdb, by a strong ETag, with all of the file in the cache", () =>
    readingContract({
      ...publishedHost(origin, strong),
      open: ({ url }, options) => openQdb(url, options),
      afterCommit: "old",
    }));

  // The commit of the suite makes the file longer, which shows without the ETag.
  describe("openQdb, by a weak ETag", () =>
    readingContract({
      ...publishedHost(origin, () => 'W/"same"'),
      open: ({ url }, options) => openQdb(url, options),
      afterCommit: "SOURCE_CHANGED",
    }));

  test("reads are exact", async () => {
    const source = await openHttpSource(address("good"));
    expect([source.size, source.immutable]).toEqual([SERVED_LENGTH, true]);
    const ranges = [
      { offset: 250_000, length: 1000 },
      { offset: 0, length: 100 },
      { offset: SERVED_LENGTH, length: 0 },
      { offset: SERVED_LENGTH - 1, length: 1 },
    ];
    expect(await source.readMany(ranges)).toEqual(ranges.map(({ offset, length }) => servedBytes(offset, length)));
  });

  describe("what a server does wrong", () => {
    test.each(Object.entries(MISBEHAVIOURS))("%s", async (name, misbehaviour) => {
      const { from, timeoutMs } = misbehaviour;
      const { code, message } = (inPage ? misbehaviour.inPage : undefined) ?? misbehaviour;
      const url = address(name);
      // Pauses end at once.
      const clock = { now: () => 0, wait: async () => undefined };
      const error = await errorOf(async () => {
        const source = await openHttpSource(url, { clock, retries: 2, timeoutMs });
        expect(from).toBe(1);
        const first = await errorOf(() => source.read(100_000, 5000));
        const { requests } = source.received;
        // The source does not go on, not even with what it has.
        expect(await errorOf(() => source.read(0, 4))).toBe(first);
        expect(source.received.requests).toBe(requests);
        throw first;
      });
      expect(error.message).toMatch(message);
      expect(error.message).toContain(url);
      expect(error.code).toBe(code);
    });
  });

  test("an abort ends a read", async () => {
    const source = await openHttpSource(address("says nothing"));
    const control = new AbortController();
    setTimeout(() => control.abort(), 20);
    expect((await errorOf(() => source.read(100_000, 5, { signal: control.signal }))).code).toBe("ABORTED");
  });
}
