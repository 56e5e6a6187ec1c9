// Answers a check once more when nobody waits any longer.
import { speak } from "./toy.mjs";

await speak({
  write(line, verb) {
    process.stdout.write(`${line}\n`);
    if (verb === "check") setTimeout(() => process.stdout.write(`${line}\n`), 50);
    return new Promise((resolve) => setTimeout(resolve, 100));
  },
});
