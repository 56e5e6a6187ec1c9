// Answers a check in another encoding.
import { speak } from "./toy.mjs";

const spoiled = (line) => Buffer.from(`${line.slice(0, -1)},"note":"\xe9"}\n`, "latin1");
await speak({ write: (line, verb) => process.stdout.write(verb === "check" ? spoiled(line) : `${line}\n`) });
