// The HTTP source in a page, whose server is of another origin.
import { isQdbError, type QdbError } from "@qdb/format";
import { openHttpSource } from "@qdb/io-web";
import { describe, expect, inject, test } from "vitest";
import { MISBEHAVIOURS } from "../test/support/misbehaviours.ts";

const origin = inject("rangeServer");
const address = (name: string) => `${origin}/${encodeURIComponent(name)}/${crypto.randomUUID()}`;
const clock = { now: () => 0, wait: async () => undefined };
const byte = (at: number) => ((at * 31) ^ (at >> 8)) & 255;
const piece = (offset: number, length: number) => Uint8Array.from({ length }, (_, at) => byte(offset + at));

async function errorOf(work: Promise<unknown>): Promise<QdbError> {
  try {
    await work;
  } catch (error) {
    if (isQdbError(error)) return error;
    throw error;
  }
  return expect.fail("the call was to fail");
}

test("reads are exact", async () => {
  const source = await openHttpSource(address("good"));
  expect(source.immutable).toBe(true);
  const ranges = [
    { offset: 250_000, length: 1000 },
    { offset: 0, length: 100 },
    { offset: 299_999, length: 1 },
  ];
  expect(await source.readMany(ranges)).toEqual(ranges.map(({ offset, length }) => piece(offset, length)));
});

describe("what a server does wrong", () => {
  test.each(Object.entries(MISBEHAVIOURS))("%s", async (name, misbehaviour) => {
    const { from, timeoutMs } = misbehaviour;
    const { code, message } = misbehaviour.inPage ?? misbehaviour;
    const url = address(name);
    const options = { clock, retries: 2, timeoutMs };
    const error = await errorOf(
      (async () => {
        const source = await openHttpSource(url, options);
        expect(from).toBe(1);
        return source.read(100_000, 5000);
      })(),
    );
    expect(error.message).toMatch(message);
    expect(error.code).toBe(code);
  });
});

test("an abort ends a read", async () => {
  const source = await openHttpSource(address("says nothing"));
  const control = new AbortController();
  setTimeout(() => control.abort(), 20);
  expect((await errorOf(source.read(100_000, 5, { signal: control.signal }))).code).toBe("ABORTED");
});
