// SPDX-License-Identifier: CC0-1.0 OR MIT
// Loads the adapter over a given copy of the format's sources. Each load creates new modules.
import { readFileSync } from "node:fs";
import nodeModule from "node:module";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { AdapterModule } from "./corpus-tests.ts";

/** A resolved module, as the module hooks of Node give it. */
interface Resolved {
  readonly url: string;
  readonly format?: string | null;
  readonly shortCircuit?: boolean;
}

/** Functions of Node 24 that the types of Node 20 lack. */
interface Node24 {
  stripTypeScriptTypes(source: string): string;
  registerHooks(hooks: {
    resolve(
      specifier: string,
      context: { readonly parentURL?: string | undefined },
      next: (specifier: string, context?: object) => Resolved,
    ): Resolved;
    load(url: string, context: object, next: (url: string, context?: object) => object): object;
  }): void;
}

const { registerHooks, stripTypeScriptTypes } = nodeModule as unknown as Node24;

const LOADED = /\?load=(\d+)$/;
const ADAPTER = new URL("../adapters/ts/format.ts", import.meta.url).href;
const PROTOCOL = new URL("../adapters/ts/protocol.ts", import.meta.url).href;
const OWN_PROTOCOL = new URL("protocol.ts", import.meta.url).href;

/** The root of each load, by its number. */
const roots: string[] = [];
/** Sources without types. Stripping takes longer than loading, and the sources do not change while the process runs. */
const stripped = new Map<string, string>();

registerHooks({
  resolve(specifier, context, next) {
    const [load, number] = LOADED.exec(context.parentURL ?? "") ?? [];
    if (load === undefined) return next(specifier, context);
    if (specifier === "@qdb/format") {
      const index = pathToFileURL(join(roots[Number(number)] ?? "", "packages/format/src/index.ts"));
      return { url: index.href + load, shortCircuit: true };
    }
    const resolved = next(specifier, context);
    const url = resolved.url.replace(LOADED, "");
    if (!url.startsWith("file:") || !url.endsWith(".ts")) return resolved;
    return { ...resolved, url: (url === PROTOCOL ? OWN_PROTOCOL : url) + load };
  },
  load(url, context, next) {
    if (!LOADED.test(url)) return next(url, context);
    const path = fileURLToPath(url.replace(LOADED, ""));
    let source = stripped.get(path);
    if (source === undefined) {
      source = stripTypeScriptTypes(readFileSync(path, "utf8"));
      stripped.set(path, source);
    }
    return { format: "module", source, shortCircuit: true };
  },
});

/** Loads new modules of the adapter and its imports, `@qdb/format` from the sources under a root. */
export async function loadAdapter(root: string): Promise<AdapterModule> {
  const load = `?load=${roots.push(root) - 1}`;
  await import(ADAPTER + load);
  return (await import(OWN_PROTOCOL + load)) as AdapterModule;
}
