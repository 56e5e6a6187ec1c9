import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { isAbsolute, join, normalize } from "node:path";
import { isObject } from "./answer.ts";
import type { CrashLog, Input, Json, Manifest, Vector } from "./manifest.ts";
import type { Pages } from "./pages.ts";
import { materialise } from "./recipe.ts";

/** What an input comes to: the bytes of a small file, or the pages of one that is mostly empty. */
export type InputBytes = Uint8Array | Pages;

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

  /** Opens a corpus. @throws {Error} without a manifest, and for one of a later format */
  static open(folder: string): Corpus {
    const path = join(folder, "manifest.json");
    let manifest: Json;
    try {
      manifest = JSON.parse(readFileSync(path, "utf8"));
    } catch (error) {
      throw new Error(`${path} cannot be read as a manifest: ${error instanceof Error ? error.message : error}`);
    }
    if (!isObject(manifest) || manifest.manifest_format !== 1 || manifest.protocol !== 1)
      throw new Error(`${path} is no manifest of format 1 and protocol 1; take the runner that came with this corpus`);
    return new Corpus(folder, manifest as unknown as Manifest);
  }

  /** Holds every file against the digest of the manifest. @throws {Error} for a corpus that is not as it was published */
  verify(): void {
    const lines: string[] = [];
    for (const folder of ["vectors", "models", "ops", "json", "logs"]) {
      if (!existsSync(join(this.folder, folder))) continue;
      for (const name of readdirSync(join(this.folder, folder)))
        lines.push(`${folder}/${name} ${sha256(readFileSync(join(this.folder, folder, name)))}\n`);
    }
    const digest = sha256(Buffer.from(`${lines.sort().join("")}${JSON.stringify(this.manifest.vectors)}`));
    if (digest !== this.manifest.corpus_digest) throw damaged(this.folder, this.manifest.corpus_digest, digest);
  }

  /** Version and digest, as they are cited. */
  get name(): string {
    return `${this.manifest.corpus_version} (${this.manifest.corpus_digest})`;
  }

  /** The vector of an id. */
  vector(id: string): Vector | undefined {
    return this.#byId.get(id);
  }

  /** The place of a file of the corpus. @throws {Error} for one outside it */
  path(file: string): string {
    const inside = normalize(file);
    if (isAbsolute(inside) || inside.startsWith("..")) throw new Error(`${file} is no file of the corpus`);
    return join(this.folder, inside);
  }

  /** A JSON file of the corpus. @throws {Error} for one that is not there or no JSON */
  json(file: string): Json {
    return JSON.parse(readFileSync(this.path(file), "utf8"));
  }

  /** The log of a crash vector. @throws {Error} as {@link json} */
  log(file: string): CrashLog {
    return this.json(file) as unknown as CrashLog;
  }

  /** The bytes of an input; of null none. @throws {Error} when they are not those that the manifest tells of */
  bytes(input: Input): InputBytes {
    if (input === null) return new Uint8Array(0);
    if ("document" in input) return readFileSync(this.path(input.document));
    if ("recipe" in input) {
      const pages = materialise(input.recipe);
      if (pages.digest() !== input.digest) throw damaged("a recipe", input.digest, pages.digest());
      return pages;
    }
    const bytes = readFileSync(this.path(input.file));
    const digest = sha256(bytes);
    if (digest !== input.sha256) throw damaged(input.file, input.sha256, digest);
    return bytes;
  }
}

/** SHA-256 in hex. */
export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function damaged(what: string, expected: string, came: string): Error {
  return new Error(
    `the corpus is damaged: ${what} has the digest ${came}, the manifest says ${expected}; take another copy`,
  );
}
