// A format that is not QDB behind the protocol, to test the runner with: a file is a model as JSON, or E: and a code with
// which it is refused. The adapters beside this one do one thing wrong each.
import { closeSync, openSync, readFileSync, readSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";

export class Refused extends Error {}

/** What a file says; the first bytes are enough. */
export function load(path) {
  const file = openSync(path, "r");
  const bytes = Buffer.alloc(4096);
  const text = bytes.toString("utf8", 0, readSync(file, bytes, 0, 4096, 0)).replace(/\0.*$/s, "");
  closeSync(file);
  if (text.startsWith("E:")) throw new Refused(text.slice(2).trim());
  if (text === "") throw new Refused("BAD_MAGIC");
  return JSON.parse(text);
}

export const next = (model) => ({
  ...model,
  header: { ...model.header, generation: `${+model.header.generation + 1}` },
});

function apply(path, script, out) {
  const [first, ...rest] = readFileSync(script, "utf8").trim().split("\n");
  const lines = path === "-" ? rest : [first, ...rest];
  let model = path === "-" ? { header: { form: "full", file_id: "made", generation: "1" }, bitmaps: [] } : load(path);
  if (path === "-" && first !== "create") throw new Refused("USAGE");
  for (const line of lines) {
    if (line === "refuse") throw new Refused("NOT_FOUND");
    model = { ...model, bitmaps: [...model.bitmaps, { name: line }] };
  }
  writeFileSync(out, JSON.stringify(path === "-" ? model : next(model)));
  return {};
}

export const verbs = {
  hello: () => ({
    protocol: 1,
    name: "toy",
    version: "1",
    spec: [1],
    profiles: ["read", "check", "write", "update", "repair"],
    features: ["io"],
  }),
  read(path, what) {
    const model = load(path);
    if (what === undefined) return { model };
    return { names: model.bitmaps.map(({ name }) => name), io: { bytes: 100, rounds: 2 } };
  },
  check: (path) => ({ findings: load(path).findings ?? [], complete: true }),
  canon(path, out) {
    writeFileSync(out, JSON.stringify(load(path)));
    return {};
  },
  repair(path, out) {
    const { findings: _, ...model } = load(path);
    writeFileSync(out, JSON.stringify(next(model)));
    return { findings: [] };
  },
  apply,
};

/** What is answered to a request. */
export function answer(own, verb, fields) {
  if (own[verb] === undefined) return { skip: "unknown verb" };
  try {
    return { ok: true, ...own[verb](...fields) };
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return { ok: false, error: error.message };
  }
}

/** Speaks with verbs of its own; `write` may spoil what goes out, `end` the exit code. */
export async function speak({ own = verbs, write = (line) => process.stdout.write(`${line}\n`), end = 0 } = {}) {
  const [verb, ...fields] = process.argv.slice(2);
  if (verb !== "serve") {
    const body = answer(own, verb, fields);
    write(JSON.stringify(body), verb);
    process.exitCode = "skip" in body ? 3 : body.ok ? 0 : 1;
    return;
  }
  for await (const line of createInterface({ input: process.stdin })) {
    const [id, asked, ...rest] = line.split("\t");
    await write(JSON.stringify({ id, ...answer(own, asked, rest) }), asked, line);
  }
  process.exitCode = end;
}
