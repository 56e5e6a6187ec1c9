import { QdbError } from "@qdb/format";
import type { Answer, Request } from "./access.ts";

/** What a page waits for. */
interface Pending {
  resolve(answer: Answer): void;
  reject(error: unknown): void;
}

/** Access to a file from a page: a worker of this package has the file open, one for each open file. */
export class RemoteAccess {
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  #failed: QdbError | undefined;
  #next = 0;

  constructor() {
    // In these words bundlers find the module of the worker.
    this.#worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    this.#worker.addEventListener(
      "message",
      ({ data }: MessageEvent<{ id: number; answer?: Answer; error?: unknown }>) => {
        const pending = this.#pending.get(data.id);
        this.#pending.delete(data.id);
        if (data.answer === undefined) pending?.reject(data.error);
        else pending?.resolve(data.answer);
      },
    );
    this.#worker.addEventListener("error", (event) => {
      event.preventDefault();
      const reason = event.message ? `: ${event.message}` : "";
      this.#fail(
        `the worker that holds the file failed or could not be started${reason}; its module is opfs/worker.js of @qdb/io-web`,
      );
    });
    this.#worker.addEventListener("messageerror", () =>
      this.#fail("an answer of the worker that holds the file is lost"),
    );
  }

  /** Asks the worker. @throws {QdbError} NOT_SUPPORTED if the worker cannot be started @throws {unknown} name and message of what the browser threw */
  serve(request: Request): Promise<Answer> {
    if (this.#failed !== undefined) return Promise.reject(this.#failed);
    const id = this.#next++;
    const answer = new Promise<Answer>((resolve, reject) => this.#pending.set(id, { resolve, reject }));
    this.#worker.postMessage({ id, request });
    return answer;
  }

  /** Ends the worker. A file that it has open is unlocked by that. */
  end(): void {
    this.#fail("the worker that held the file has ended");
    this.#worker.terminate();
  }

  #fail(message: string): void {
    this.#failed ??= new QdbError("NOT_SUPPORTED", message);
    for (const { reject } of this.#pending.values()) reject(this.#failed);
    this.#pending.clear();
  }
}
