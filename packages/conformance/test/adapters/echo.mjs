// Sends back what it is sent.
import { speak } from "./toy.mjs";

await speak({ write: (line, verb, request) => process.stdout.write(verb === "hello" ? `${line}\n` : `${request}\n`) });
