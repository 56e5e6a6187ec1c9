// The synchronous access to one file of the origin private file system. It runs in a worker, and imports nothing: a page starts this module
// and `worker.ts` as they are, without a bundler.

/** What the library asks of a file. */
export type Request =
  | { readonly do: "open"; readonly path: readonly string[]; readonly create: boolean }
  | { readonly do: "read"; readonly ranges: readonly { readonly offset: number; readonly length: number }[] }
  | { readonly do: "write"; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly do: "flush" }
  | { readonly do: "truncate"; readonly length: number }
  | { readonly do: "close" };

/** The answer: the length of the file in bytes, and the bytes that were read. */
export interface Answer {
  readonly size: number;
  readonly pieces: readonly Uint8Array[];
}

/** What this library uses of a `FileSystemSyncAccessHandle`, which the types of a page do not have. */
interface AccessHandle {
  read(buffer: Uint8Array, options: { readonly at: number }): number;
  write(buffer: Uint8Array, options: { readonly at: number }): number;
  flush(): void;
  truncate(length: number): void;
  getSize(): number;
  close(): void;
}

/** A file of the origin private file system. */
interface LockableFile extends FileSystemFileHandle {
  createSyncAccessHandle?(): Promise<AccessHandle>;
}

/** Whether files can be opened for writing here, which is so in a worker. */
export function hasAccess(): boolean {
  return typeof FileSystemFileHandle === "function" && "createSyncAccessHandle" in FileSystemFileHandle.prototype;
}

/** Returns the handle of a file; the path has at least one part. @throws {DOMException} as the browser */
export async function findFile(path: readonly string[], create: boolean): Promise<LockableFile> {
  let folder = await navigator.storage.getDirectory();
  for (const part of path.slice(0, -1)) folder = await folder.getDirectoryHandle(part);
  return folder.getFileHandle(path[path.length - 1] as string, { create });
}

/** One open file. Its access handle is the lock: the browser gives out a second one, in any tab, only when this one is closed. */
export class Access {
  #handle: AccessHandle | undefined;

  /** Does what is asked. @throws {unknown} what the browser throws; an error with the name ShortRead or ShortWrite */
  async serve(request: Request): Promise<Answer> {
    if (request.do === "open") {
      const file = await findFile(request.path, request.create);
      if (file.createSyncAccessHandle === undefined)
        throw failure("SecurityError", "this browser has no synchronous access to files in workers");
      this.#handle = await file.createSyncAccessHandle();
      return { size: this.#handle.getSize(), pieces: [] };
    }
    const handle = this.#handle;
    if (handle === undefined) throw failure("InvalidStateError", "the file is not open");
    switch (request.do) {
      case "read": {
        const pieces = request.ranges.map((range) => readExactly(handle, range));
        return { size: handle.getSize(), pieces };
      }
      case "write":
        writeAll(handle, request.bytes, request.offset);
        break;
      case "flush":
        handle.flush();
        break;
      case "truncate":
        handle.truncate(request.length);
        break;
      case "close":
        this.#handle = undefined;
        handle.close();
        return { size: 0, pieces: [] };
    }
    return { size: handle.getSize(), pieces: [] };
  }
}

function readExactly(
  handle: AccessHandle,
  { offset, length }: { readonly offset: number; readonly length: number },
): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    const count = handle.read(bytes.subarray(done), { at: offset + done });
    if (!(count > 0))
      throw failure("ShortRead", `${length} bytes at offset ${offset}, the file has ${handle.getSize()}`);
    done += count;
  }
  return bytes;
}

function writeAll(handle: AccessHandle, bytes: Uint8Array, offset: number): void {
  for (let done = 0; done < bytes.length; ) {
    const count = handle.write(bytes.subarray(done), { at: offset + done });
    if (!(count > 0)) throw failure("ShortWrite", `${done} of ${bytes.length} bytes at offset ${offset} were written`);
    done += count;
  }
}

function failure(name: string, message: string): Error {
  const error = new Error(message);
  error.name = name;
  return error;
}
