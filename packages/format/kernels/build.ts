// Assembles kernels.wat and lines.wat into modules of src/kernels: `node kernels/build.ts`. With `--check` it writes nothing, and fails if a
// file differs.
import { readFileSync, writeFileSync } from "node:fs";
import wabt from "wabt";

/** The files of text here, each with the file that it is made into. */
export const MODULES = { "kernels.wat": "module.ts", "lines.wat": "lines-module.ts" } as const;

/** Returns the text of the file that is made of a file of {@link MODULES}. */
export async function moduleText(name: keyof typeof MODULES): Promise<string> {
  const { parseWat } = await wabt();
  const module = parseWat(name, readFileSync(new URL(name, import.meta.url), "utf8"), { simd: true });
  module.validate();
  const { buffer } = module.toBinary({});
  module.destroy();
  const lines =
    Buffer.from(buffer)
      .toString("base64")
      .match(/.{1,120}/g) ?? [];
  return `// Written by kernels/build.ts from ${name}. Do not edit.

/** The WebAssembly module of ${buffer.length} bytes, in base64. */
export const MODULE =
${lines.map((line) => `  "${line}"`).join(" +\n")};
`;
}

/** Returns the path of the file that is made of a file of {@link MODULES}. */
export function targetOf(name: keyof typeof MODULES): URL {
  return new URL(`../src/kernels/${MODULES[name]}`, import.meta.url);
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  for (const name of Object.keys(MODULES) as (keyof typeof MODULES)[]) {
    const text = await moduleText(name);
    if (!process.argv.includes("--check")) writeFileSync(targetOf(name), text);
    else if (readFileSync(targetOf(name), "utf8") !== text)
      throw new Error(`src/kernels/${MODULES[name]} is not what ${name} comes to; run node kernels/build.ts`);
  }
}
