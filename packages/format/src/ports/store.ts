import type { FileChunk, FileImage } from "./image.ts";
import { fetchRanges, fetchSync, type Step } from "./plan.ts";
import type { ByteSource, SyncByteSource } from "./source.ts";

/** A file that can be changed, awaited. Every failure is thrown; nothing is written shorter than given. */
export interface Store extends ByteSource {
  /** @throws {QdbError} IO */
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /** Resolves when everything written is on the disk: fsync. @throws {QdbError} IO */
  flush(): Promise<void>;
  /** Cuts the file to a length in bytes. @throws {QdbError} IO */
  truncate(length: number): Promise<void>;
  /** Puts another file in this one's place, whole (spec §5, Creation and rewrite); absent where that cannot be had. @throws {QdbError} IO */
  replace?(image: FileImage): Promise<void>;
  /**
   * Looks whether the path still names this file, before a change counts as done (spec §5, Acknowledging); absent where a store has
   * no path. @throws {QdbError} PATH_CHANGED; IO where it cannot be seen
   */
  confirm?(): Promise<void>;
}

/** The same, answered at once. */
export interface SyncStore extends SyncByteSource {
  /** @throws {QdbError} IO */
  writeSync(offset: number, bytes: Uint8Array): void;
  /** @throws {QdbError} IO */
  flushSync(): void;
  /** @throws {QdbError} IO */
  truncateSync(length: number): void;
  /** @throws {QdbError} IO */
  replaceSync?(image: FileImage): void;
  /** @throws {QdbError} PATH_CHANGED; IO where it cannot be seen */
  confirmSync?(): void;
}

/** Either kind of store. */
export type AnyStore = Store | SyncStore;

/** A step that changes a file. */
export type StoreStep =
  | { readonly write: Iterable<FileChunk> }
  | { readonly flush: true }
  | { readonly confirm: true }
  | { readonly truncate: number };

/** A plan that changes a file: reads, writes and flushes in one order, written once. */
export type StorePlan<T> = Generator<Step<never> | StoreStep, T, readonly Uint8Array[]>;

const NOTHING: readonly Uint8Array[] = [];

/** Writes chunks in the order given. */
export function* write(chunks: Iterable<FileChunk>): StorePlan<void> {
  yield { write: chunks };
}

/** Waits until everything written is on the disk. */
export function* flush(): StorePlan<void> {
  yield { flush: true };
}

/** Looks whether the path still names the file. */
export function* confirm(): StorePlan<void> {
  yield { confirm: true };
}

/** Cuts the file to a length in bytes. */
export function* truncate(length: number): StorePlan<void> {
  yield { truncate: length };
}

function performSync(step: Step<never> | StoreStep, store: SyncStore): readonly Uint8Array[] {
  if ("read" in step) return fetchSync(step.read, store);
  if ("write" in step) for (const { offset, bytes } of step.write) store.writeSync(offset, bytes);
  else if ("flush" in step) store.flushSync();
  else if ("confirm" in step) store.confirmSync?.();
  else if ("truncate" in step) store.truncateSync(step.truncate);
  return NOTHING;
}

async function perform(step: Step<never> | StoreStep, store: Store): Promise<readonly Uint8Array[]> {
  if ("read" in step) return fetchRanges(step.read, store, {});
  if ("write" in step) for (const { offset, bytes } of step.write) await store.write(offset, bytes);
  else if ("flush" in step) await store.flush();
  else if ("confirm" in step) await store.confirm?.();
  else if ("truncate" in step) await store.truncate(step.truncate);
  return NOTHING;
}

/** Runs a changing plan on a synchronous store. It is not aborted in the middle: a commit ends, or fails. @throws {QdbError} what plan and store throw */
export function runStoreSync<T>(plan: StorePlan<T>, store: SyncStore): T {
  let step = plan.next(NOTHING);
  while (step.done !== true) {
    let input: readonly Uint8Array[];
    try {
      input = performSync(step.value, store);
    } catch (error) {
      step = plan.throw(error);
      continue;
    }
    step = plan.next(input);
  }
  return step.value;
}

/** Runs a changing plan on any store. @throws {QdbError} what plan and store throw */
export async function runStore<T>(plan: StorePlan<T>, store: AnyStore): Promise<T> {
  if ("writeSync" in store) return runStoreSync(plan, store);
  let step = plan.next(NOTHING);
  while (step.done !== true) {
    let input: readonly Uint8Array[];
    try {
      input = await perform(step.value, store);
    } catch (error) {
      step = plan.throw(error);
      continue;
    }
    step = plan.next(input);
  }
  return step.value;
}
