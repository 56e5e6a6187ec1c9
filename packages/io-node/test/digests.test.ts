import { crc32 } from "node:zlib";
import { expect, test } from "vitest";
import { nodeDigests } from "../src/index.ts";
import { pattern } from "./support/images.ts";

test("the first bytes, whose CRC-32 takes no zlib, have the CRC-32 of zlib; so have those that follow", () => {
  let previous = 0;
  let wanted = 0;
  for (const length of [0, 1, 7, 68, 511, 512, 513, 1500, 4024, 4096, 512, 100_000, 3]) {
    const bytes = pattern(length + 3).subarray(3);
    expect(nodeDigests.crc32?.(bytes)).toBe(crc32(bytes));
    previous = nodeDigests.crc32?.(bytes, previous) ?? -1;
    wanted = crc32(bytes, wanted);
    expect(previous).toBe(wanted);
  }
});
