import { statSync } from "node:fs";
import { type Bench, readIfShort, requireDone, requireRefused } from "../bench/bench.ts";
import { VectorFailure } from "../bench/vector-failure.ts";
import { sha256 } from "../corpus/corpus.ts";
import type { ExpectCanon } from "../corpus/manifest.ts";

/** Tries a vector of kind `canon`: the written file is the canonical one, byte for byte, or the request is refused with the expected code. */
export async function tryCanon(bench: Bench): Promise<void> {
  const { expect } = bench.vector;
  const out = bench.path("output.qdb");
  const answer = await bench.askToWrite(["canon", bench.input(), out], out);
  if ("error" in expect) {
    requireRefused(answer, expect.error);
    return;
  }
  const canon = expect as ExpectCanon;
  requireDone(answer, "the canonical file");
  const expected = expectedBytes(bench, canon);
  const { size } = statSync(out);
  if (size !== expected.length)
    throw new VectorFailure("fail", `the canonical file has ${expected.length} bytes, ${size} were written`);
  const came = readIfShort(out, Number.MAX_SAFE_INTEGER) ?? Buffer.alloc(0);
  if (sha256(came) === canon.sha256) return;
  const at = came.findIndex((byte, index) => byte !== expected[index]);
  const part = (bytes: Uint8Array): string => Buffer.from(bytes.subarray(at, at + 16)).toString("hex");
  throw new VectorFailure("fail", `the first byte that is not canonical is at offset ${at}`, {
    expected: `${part(expected)}… (SHA-256 ${canon.sha256})`,
    came: `${part(came)}… (SHA-256 ${sha256(came)})`,
  });
}

/** Returns the bytes of the canonical file: those of a file of the corpus, or of the input of another vector. */
function expectedBytes({ corpus, vector }: Bench, canon: ExpectCanon): Uint8Array {
  if ("file" in canon) return corpus.bytes({ file: canon.file, length: 0, sha256: canon.sha256 }) as Uint8Array;
  const other = corpus.vector(canon.same_as);
  if (other === undefined) throw new Error(`${vector.id}: there is no vector ${canon.same_as}`);
  const bytes = corpus.bytes(other.input);
  return bytes instanceof Uint8Array ? bytes : bytes.bytes();
}
