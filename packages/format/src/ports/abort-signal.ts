/**
 * A signal by which a caller aborts a call: the `AbortSignal` of the DOM or of Node, if their types are loaded, so that it can be passed on
 * to `fetch`. Without these types, anything that says whether it is aborted.
 */
export type AbortSignalLike = typeof globalThis extends { AbortSignal: { prototype: infer Signal } }
  ? Signal
  : { readonly aborted: boolean; readonly reason?: unknown };
