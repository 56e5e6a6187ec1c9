// The one global that this pure package uses; every host of it has it (Node, browsers, Deno).
// No Node or DOM types are loaded here, so that anything else fails to compile.
declare class TextDecoder {
  constructor(label: "utf-8", options: { fatal?: boolean; ignoreBOM?: boolean });
  decode(bytes?: Uint8Array): string;
}
