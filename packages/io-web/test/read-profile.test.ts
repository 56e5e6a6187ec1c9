// Vectors of the read profile of the conformance suite, read in a page of Chromium: over HTTP, and as a Blob. `pnpm soak browser` reads all
// of them, `npm test` those of some families.
import { spawn } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Page } from "playwright";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Pages, startPages } from "./support/page.ts";

const NODE = process.env.QDB_NODE ?? process.execPath;
const manifest = fileURLToPath(new URL("../../conformance/package.json", import.meta.url));
const { bin } = createRequire(import.meta.url)(manifest) as { bin: Record<string, string> };
const RUNNER = join(dirname(manifest), bin["qdb-conformance"] ?? "");
const RELAY = fileURLToPath(new URL("support/relay.mjs", import.meta.url));
const isSoak = process.env.QDB_SOAK === "1";
/** Families of vectors that `npm test` reads: openings, mirrors, tables, L1 areas, data. */
const FAMILIES = ["golden-*", "open-*", "own-*", "val-*"];
const FILTERS = isSoak ? [] : FAMILIES.flatMap((family) => ["--filter", family]);
/** Longer files are read over HTTP only. */
const MOST_IN_BLOB = 8 * 2 ** 20;

let pages: Pages;
let page: Page;
beforeAll(async () => {
  pages = await startPages();
  page = await pages.open();
});
afterAll(() => pages?.close());

/** What the page says of a file, as the protocol of the suite wants it. */
async function readInPage(path: string): Promise<object> {
  const { size } = statSync(path);
  const url = pages.serve(path);
  return page.evaluate(
    async ({ url, size, mostInBlob }) => {
      const answerOf = async (place: string | Blob): Promise<string> => {
        try {
          const digests = { sha256: () => qdb.sha256() };
          const file = await qdb.openQdb(place, { digests });
          let text = "";
          for await (const piece of qdb.dumpQdb(file)) text += piece;
          await file.close();
          return `{"ok":true,"model":${text}}`;
        } catch (error) {
          if (!qdb.isQdbError(error)) throw error;
          return JSON.stringify({ ok: false, error: error.code });
        }
      };
      const answers: string[] = [];
      // A server has no range of an empty file to give.
      if (size > 0) answers.push(await answerOf(url));
      if (size <= mostInBlob) answers.push(await answerOf(await (await fetch(`${url}?whole`)).blob()));
      const [first = "", second = first] = answers;
      if (first !== second) throw new Error(`over HTTP: ${first}; as a Blob: ${second}`);
      return JSON.parse(first);
    },
    { url, size, mostInBlob: MOST_IN_BLOB },
  );
}

async function answer(line: string): Promise<object> {
  const [id, verb, path = "", ...rest] = line.split("\t");
  if (verb === "hello") {
    return {
      id,
      ok: true,
      protocol: 1,
      name: "@qdb/io-web",
      version: "0.0.0",
      spec: [1],
      profiles: ["read"],
      features: [],
    };
  }
  if (verb !== "read" || rest.length > 0) return { id, skip: `${line} is not asked for` };
  return { id, ...(await readInPage(path)) };
}

test("vectors of the read profile pass in a page", async () => {
  const failures: unknown[] = [];
  const server = createServer((socket) => {
    let last: Promise<void> = Promise.resolve();
    createInterface({ input: socket }).on("line", (line) => {
      last = last
        .then(async () => void socket.write(`${JSON.stringify(await answer(line))}\n`))
        .catch((error) => {
          failures.push(`${line}: ${error}`);
          socket.destroy();
        });
    });
    socket.on("end", () => void last.finally(() => socket.end()));
    socket.on("error", () => undefined);
  });
  await new Promise<void>((resolve) => server.listen({ port: 0, host: "127.0.0.1", allowHalfOpen: true }, resolve));
  const command = `"${NODE}" "${RELAY}" ${(server.address() as AddressInfo).port}`;
  const runner = spawn(NODE, [
    RUNNER,
    "--exec",
    command,
    "--profile",
    "read",
    "--jobs",
    "1",
    "--timeout",
    "60",
    ...FILTERS,
  ]);
  let stdout = "";
  let stderr = "";
  runner.stdout.on("data", (text) => {
    stdout += text;
  });
  runner.stderr.on("data", (text) => {
    stderr += text;
  });
  const status = await new Promise((resolve) => runner.on("close", resolve));
  server.close();
  expect({ failures, lines: stdout.match(/^(FAIL|CRASH) .*/gm), status, stderr }).toEqual({
    failures: [],
    lines: null,
    status: 0,
    stderr: "",
  });
  const last = stdout.trimEnd().split("\n").at(-1) ?? "";
  console.log(last);
  const all = JSON.parse(
    readFileSync(fileURLToPath(new URL("../../../conformance/manifest.json", import.meta.url)), "utf8"),
  );
  expect(all.vectors.length).toBeGreaterThan(1000);
  expect(Number(/^conformance: (\d+) passed, 0 failed/.exec(last)?.[1])).toBeGreaterThan(isSoak ? 1000 : 100);
}, 300_000);
