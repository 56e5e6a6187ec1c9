// Answers a check with what is no JSON.
import { speak } from "./toy.mjs";

await speak({ write: (line, verb) => process.stdout.write(verb === "check" ? "all is well\n" : `${line}\n`) });
