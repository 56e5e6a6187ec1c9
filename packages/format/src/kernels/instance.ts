/** What is used of `WebAssembly`. Not every host has it, and not every set of types declares it. */
interface Host {
  readonly WebAssembly?: {
    readonly Module: new (bytes: Uint8Array) => object;
    readonly Instance: new (module: object) => { readonly exports: unknown };
  };
}

/**
 * Compiles a module, given in base64, and returns the exports of an instance; undefined if the host has no WebAssembly with SIMD, or its
 * policy refuses it.
 */
export function exportsOf(module: string): unknown {
  // Bits are words in the byte order of the machine; those of WebAssembly are little-endian.
  const isLittleEndian = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;
  const { WebAssembly } = globalThis as Host;
  if (WebAssembly === undefined || !isLittleEndian) return undefined;
  const bytes = Uint8Array.from(atob(module), (char) => char.charCodeAt(0));
  try {
    return new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports;
  } catch {
    // No SIMD, no memory, or a policy of the page.
    return undefined;
  }
}
