// SPDX-License-Identifier: CC0-1.0 OR MIT
// Measures which changes of the sources of @qdb/format the corpus notices: `pnpm mutation`. README.md has the options.
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { LogLevel, MutantResult } from "@stryker-mutator/api/core";
import { Stryker } from "@stryker-mutator/core";
import strykerPackage from "@stryker-mutator/core/package.json" with { type: "json" };
import { REPOSITORY, SUITE } from "../tools/places.ts";
import { CorpusTests } from "./corpus-tests.ts";
import { countsOf, keyOf, LEAST_SCORE, noticedIn, reportText, roomsOf } from "./report.ts";
import { loadAdapter } from "./sandbox.ts";

const HERE = fileURLToPath(new URL("./", import.meta.url));
const SOURCES = "packages/format/src";
/** Folders of which every file is mutated. The other rooms (ports, layout, bitmap) have their own tests. */
const ROOMS = ["records", "open", "bits", "maps", "check", "commit", "edit", "json", "retry"].map(
  (room) => `${SOURCES}/${room}`,
);
/** Files at the root of the sources that are mutated too. */
const ROOT_FILES = ["all-bitmaps.ts", "dump-qdb.ts", "editor.ts", "qdb-file.ts", "read-all.ts"].map(
  (name) => `${SOURCES}/${name}`,
);
/** Files that are mutated together. */
const SHARD = 8;
/** Vectors that take longer are not tried (disks of 2^63 bytes, tables of 64 MiB): each survivor would take seconds. */
const MOST_MS = 30;
const { values } = parseArgs({
  options: {
    mutate: { type: "string" },
    vectors: { type: "string" },
    corpus: { type: "string", default: SUITE },
    jobs: { type: "string", default: "2" },
    incremental: { type: "boolean", default: false },
    results: { type: "string" },
    earlier: { type: "string" },
  },
});
const manifestPath = join(values.corpus, "manifest.json");
if (!existsSync(manifestPath)) {
  process.stderr.write(`there is no ${manifestPath}; make the corpus first: node conformance/tools/build.ts\n`);
  process.exit(1);
}
process.env.QDB_MUTATION_CORPUS = values.corpus;
if (values.vectors !== undefined) process.env.QDB_MUTATION_VECTORS = values.vectors;
process.chdir(REPOSITORY);
const started = Date.now();
const sources = sourcesDigest();
const tests = new CorpusTests(values.corpus, values.vectors?.split(","));
const slow = await tests.slow(await loadAdapter(REPOSITORY), MOST_MS);
tests.close();
process.env.QDB_MUTATION_SLOW = slow.map(({ id }) => id).join();
process.stdout.write(`${tests.tests.length} vectors, ${slow.length} of them too slow to be tried\n`);
const earlier = values.earlier === undefined ? undefined : noticedIn(values.earlier, sources);
const mutants: MutantResult[] = [];
for (const [at, files] of shards().entries()) {
  process.stdout.write(`\n${files.map((file) => basename(file)).join(" ")}\n`);
  const stryker = new Stryker({
    testRunner: "qdb-corpus",
    plugins: [join(HERE, "runner.ts"), join(HERE, "ignorer.ts")],
    ignorers: ["qdb-unreachable"],
    mutate: files,
    // Only the sources of the format are copied into the sandbox.
    ignorePatterns: ["**", "!packages/format/src/**/*.ts"],
    tempDirName: join(tmpdir(), "qdb-mutation"),
    cleanTempDir: "always",
    symlinkNodeModules: false,
    // Stryker would rewrite it with an API that TypeScript 7 does not have.
    tsconfigFile: "none",
    coverageAnalysis: "perTest",
    concurrency: Number(values.jobs),
    // A mutant that loops is stopped by its hit limit. The timeout is the last resort.
    timeoutMS: 4000,
    timeoutFactor: 1.5,
    warnings: { slow: false, preprocessorErrors: true, unknownOptions: true, unserializableOptions: true },
    incremental: values.incremental,
    incrementalFile: join(REPOSITORY, `node_modules/.cache/qdb-mutation/incremental-${at}.json`),
    reporters: ["dots"],
    logLevel: "warn" as LogLevel,
  });
  const tried = await stryker.runMutationTest();
  mutants.push(...tried.map((mutant) => earlier?.get(keyOf(mutant)) ?? mutant));
  if (values.results !== undefined) writeFileSync(values.results, JSON.stringify({ sources, mutants }));
}

process.stdout.write(`\n${reportText(mutants, REPOSITORY)}`);
const counts = countsOf(mutants);
const minutes = Math.ceil((Date.now() - started) / 60_000);
process.stdout.write(`\nmutation score ${counts.score.toFixed(2)} %, ${LEAST_SCORE} % are due; ${minutes} min\n`);
const isWhole = values.mutate === undefined && (values.vectors === undefined || earlier !== undefined);
if (isWhole) {
  writeFileSync(join(HERE, "score.json"), `${JSON.stringify(record(), undefined, 2)}\n`);
  if (counts.score < LEAST_SCORE) process.exitCode = 1;
}

/** The files that a whole run mutates, as paths from the root of the repository. */
function mutated(): string[] {
  const inRooms = ROOMS.flatMap((room) =>
    readdirSync(join(REPOSITORY, room))
      .sort()
      .map((name) => `${room}/${name}`),
  );
  return [...inRooms, ...ROOT_FILES];
}

/** The files to mutate, in groups: an interrupted run keeps the groups that are done. */
function shards(): string[][] {
  const files = values.mutate?.split(",") ?? mutated();
  const found: string[][] = [];
  for (let at = 0; at < files.length; at += SHARD) found.push(files.slice(at, at + SHARD));
  return found;
}

/** The content of score.json. */
function record(): object {
  const { corpus_version, corpus_digest, vectors } = JSON.parse(readFileSync(manifestPath, "utf8"));
  return {
    command: "pnpm mutation",
    date: new Date(started).toISOString().slice(0, 10),
    corpus: {
      version: corpus_version,
      digest: corpus_digest,
      vectors: vectors.length,
      tried: vectors.length - slow.length,
    },
    sources: { rooms: [...ROOMS, SOURCES], sha256: sources },
    stryker: strykerPackage.version,
    node: process.version,
    minutes,
    score: counts.score,
    mutants: counts,
    rooms: roomsOf(mutants),
  };
}

/** SHA-256 over paths and bytes of the mutated files. It shows whether a score belongs to the current sources. */
function sourcesDigest(): string {
  const hash = createHash("sha256");
  for (const file of mutated()) hash.update(`${file}\n`).update(readFileSync(join(REPOSITORY, file)));
  return hash.digest("hex");
}
