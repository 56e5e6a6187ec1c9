// Holds the lock of the file argv[2] until it is told to go, or killed.
import { spawn } from "node:child_process";
import { openFileStore } from "../../src/container.ts";

const store = openFileStore(process.argv[2] ?? "");
if (process.argv[3] === "with-child") {
  // As a program would start another one: it must not get the lock with it.
  const child = spawn("sleep", ["600"], { detached: true, stdio: "ignore" });
  child.unref();
  console.log(`child ${child.pid}`);
}
console.log("locked");
process.on("SIGTERM", () => {
  store.close();
  process.exit();
});
setInterval(() => undefined, 1000);
