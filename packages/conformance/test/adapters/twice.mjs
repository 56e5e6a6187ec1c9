// Answers a check twice.
import { speak } from "./toy.mjs";

await speak({ write: (line, verb) => process.stdout.write(`${line}\n`.repeat(verb === "check" ? 2 : 1)) });
