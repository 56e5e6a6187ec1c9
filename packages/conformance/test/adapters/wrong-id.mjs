// Answers a check under another id.
import { speak } from "./toy.mjs";

await speak({
  write: (line, verb) => process.stdout.write(`${verb === "check" ? line.replace(/"id":"\d+"/, '"id":"0"') : line}\n`),
});
