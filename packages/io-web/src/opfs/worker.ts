// The module of the worker that has a file open for a page. It answers each message, in order.
import { Access, type Request } from "./access.ts";

/** What this module uses of the global scope of a worker, which the types of a page do not have. */
interface Scope {
  addEventListener(
    type: "message",
    listener: (event: MessageEvent<{ readonly id: number; readonly request: Request }>) => void,
  ): void;
  postMessage(message: unknown): void;
}

const scope = globalThis as unknown as Scope;
const access = new Access();
let last: Promise<void> = Promise.resolve();

scope.addEventListener("message", ({ data: { id, request } }) => {
  last = last.then(async () => {
    try {
      scope.postMessage({ id, answer: await access.serve(request) });
    } catch (error) {
      const { name, message } = error as Error;
      scope.postMessage({ id, error: { name, message } });
    }
  });
});
