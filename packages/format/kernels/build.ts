// Assembles kernels.wat into src/kernels/module.ts: `node kernels/build.ts`. With `--check` it writes nothing, and fails if the file differs.
import { readFileSync, writeFileSync } from "node:fs";
import wabt from "wabt";

const source = new URL("kernels.wat", import.meta.url);
const target = new URL("../src/kernels/module.ts", import.meta.url);

/** Returns the text of module.ts. */
export async function moduleText(): Promise<string> {
  const { parseWat } = await wabt();
  const module = parseWat("kernels.wat", readFileSync(source, "utf8"), { simd: true });
  module.validate();
  const { buffer } = module.toBinary({});
  module.destroy();
  const lines =
    Buffer.from(buffer)
      .toString("base64")
      .match(/.{1,120}/g) ?? [];
  return `// Written by kernels/build.ts from kernels.wat. Do not edit.

/** The WebAssembly module of ${buffer.length} bytes, in base64. */
export const MODULE =
${lines.map((line) => `  "${line}"`).join(" +\n")};
`;
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const text = await moduleText();
  if (!process.argv.includes("--check")) writeFileSync(target, text);
  else if (readFileSync(target, "utf8") !== text)
    throw new Error("src/kernels/module.ts is not what kernels.wat comes to; run node kernels/build.ts");
}
