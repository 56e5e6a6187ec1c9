import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { isAbsolute, join, normalize } from "node:path";
import { isObject, type Json } from "../text/json.ts";
import { messageOf } from "../text/messages.ts";
import folders from "./corpus-folders.json" with { type: "json" };
import type { CrashLog, Input, Manifest, Vector } from "./manifest.ts";
import { materialise } from "./recipe.ts";
import type { SparseBytes } from "./sparse-bytes.ts";

/** The folders of a corpus. The digest of the corpus is over every file in them. */
export const CORPUS_FOLDERS: readonly string[] = folders;

/** The bytes of an input: sparse bytes if a recipe makes the input. */
export type InputBytes = Uint8Array | SparseBytes;

/** A corpus in a folder. */
export class Corpus {
  readonly folder: string;
  readonly manifest: Manifest;
  readonly #byId: ReadonlyMap<string, Vector>;

  private constructor(folder: string, manifest: Manifest) {
    this.folder = folder;
    this.manifest = manifest;
    this.#byId = new Map(manifest.vectors.map((vector) => [vector.id, vector]));
  }

  /** Opens a corpus. @throws {Error} if the manifest is missing, is not JSON, or has another format or protocol than 1 */
  static open(folder: string): Corpus {
    const path = join(folder, "manifest.json");
    let manifest: Json;
    try {
      manifest = JSON.parse(readFileSync(path, "utf8"));
    } catch (error) {
      throw new Error(`${path} cannot be read as a manifest: ${messageOf(error)}`);
    }
    if (!isObject(manifest) || manifest.manifest_format !== 1 || manifest.protocol !== 1)
      throw new Error(`${path} is no manifest of format 1 and protocol 1; take the runner that came with this corpus`);
    return new Corpus(folder, manifest as unknown as Manifest);
  }

  /** Compares the digest of all files and vectors with the digest in the manifest. @throws {Error} if they differ */
  verify(): void {
    const lines: string[] = [];
    for (const folder of CORPUS_FOLDERS) {
      if (!existsSync(join(this.folder, folder))) continue;
      for (const name of readdirSync(join(this.folder, folder)))
        lines.push(`${folder}/${name} ${sha256(readFileSync(join(this.folder, folder, name)))}\n`);
    }
    const digest = sha256(Buffer.from(`${lines.sort().join("")}${JSON.stringify(this.manifest.vectors)}`));
    if (digest !== this.manifest.corpus_digest) throw damaged(this.folder, this.manifest.corpus_digest, digest);
  }

  /** Version and digest of the corpus, as a citation of a result has them. */
  get name(): string {
    return `${this.manifest.corpus_version} (${this.manifest.corpus_digest})`;
  }

  /** Returns the vector with an id; undefined if there is none. */
  vector(id: string): Vector | undefined {
    return this.#byId.get(id);
  }

  /** Returns the path of a file of the corpus. @throws {Error} if the path leads out of the corpus */
  path(file: string): string {
    const inside = normalize(file);
    if (isAbsolute(inside) || inside.startsWith("..")) throw new Error(`${file} is no file of the corpus`);
    return join(this.folder, inside);
  }

  /** Reads a JSON file of the corpus. @throws {Error} if the file is missing or is not JSON */
  json(file: string): Json {
    return JSON.parse(readFileSync(this.path(file), "utf8"));
  }

  /** Reads the log of a crash vector. @throws {Error} as {@link json} */
  log(file: string): CrashLog {
    return this.json(file) as unknown as CrashLog;
  }

  /** Returns the bytes of an input; no bytes for null. @throws {Error} if the bytes do not match the digest in the manifest */
  bytes(input: Input): InputBytes {
    if (input === null) return new Uint8Array(0);
    if ("document" in input) return readFileSync(this.path(input.document));
    if ("recipe" in input) {
      const made = materialise(input.recipe);
      if (made.digest() !== input.digest) throw damaged("a recipe", input.digest, made.digest());
      return made;
    }
    const bytes = readFileSync(this.path(input.file));
    const digest = sha256(bytes);
    if (digest !== input.sha256) throw damaged(input.file, input.sha256, digest);
    return bytes;
  }
}

/** Returns the SHA-256 of bytes in hex. */
export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function damaged(what: string, expected: string, came: string): Error {
  return new Error(
    `the corpus is damaged: ${what} has the digest ${came}, the manifest says ${expected}; take another copy`,
  );
}
