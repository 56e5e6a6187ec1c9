// The procedure that stores the bits of a bitmap exists once. QDB files and qcow2 images give it a codec and an allocator.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const packages = fileURLToPath(new URL("../..", import.meta.url));

/** Files of a package's sources that contain a text, and how often. */
function occurrences(name: string, text: string): [file: string, count: number][] {
  const folder = join(packages, name, "src");
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file): [string, number] => [file, readFileSync(join(folder, file), "utf8").split(text).length - 1])
    .filter(([, count]) => count > 0);
}

test("each container calls it once for its commits, and decides nothing about clusters of bits itself", () => {
  expect(occurrences("qcow2", "storeBits(")).toEqual([["write/commit.ts", 1]]);
  expect(occurrences("qcow2", "storeAllDerived(")).toEqual([["write/commit.ts", 1]]);
  // What finds out how a cluster is stored: in the procedure alone.
  for (const part of ["storedAs(", "asStoredEnd(", "uniformKind(", "isStoredWith(", "onesCluster("])
    expect(occurrences("qcow2", part), part).toEqual([]);
  const callers = occurrences("format", "storeBits(").filter(([file]) => file !== "bits/store-bits.ts");
  expect(callers.map(([file]) => file).sort()).toEqual(["commit/allocate-writes.ts", "commit/write-image.ts"]);
});
