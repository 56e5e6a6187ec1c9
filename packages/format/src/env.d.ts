// The few globals that the pure library uses; every host of it has them (Node, browsers, Deno).
// No Node or DOM types are loaded here, so that anything else fails to compile.
declare class TextEncoder {
  encode(text: string): Uint8Array<ArrayBuffer>;
}
declare class TextDecoder {
  constructor(label: "utf-8", options: { fatal?: boolean; ignoreBOM?: boolean });
  decode(bytes?: Uint8Array, options?: { stream?: boolean }): string;
}
declare function atob(text: string): string;
declare const performance: { now(): number };
declare function setTimeout(callback: () => void, ms: number): unknown;
declare class MessageChannel {
  readonly port1: { addEventListener(type: "message", listener: () => void): void; start(): void; close(): void };
  readonly port2: { postMessage(message: undefined): void };
}
/** Node has it, browsers do not. */
declare const setImmediate: ((callback: () => void) => unknown) | undefined;
